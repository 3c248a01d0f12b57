"""One student on a fixed stream of generated tasks: does the update learn at all?

No teachers, ratings or evolution: the same policy, rewards, advantages and update as in a run, fed
with tasks of the generator. Prints the sampled solve rate over the steps and the held-out change.

    python -m bench.learning --steps 40 --rate 2e-3
"""

import argparse
import time
from collections.abc import Sequence

import torch

from bench.work import Lab
from redqueen.benchmarks import Subject, evaluate, tasks_of_suite
from redqueen.build import open_environments
from redqueen.config import Config, load_config
from redqueen.curriculum import HeldOut, draw_stream
from redqueen.environments.base import STREAM, Attempt, Environment, sources_of
from redqueen.learner import Learner, StackedAdamW, assign_rewards, make_samples
from redqueen.models.population_model import PopulationModel
from redqueen.rng import derive_seed
from redqueen.rollouts.collect import verifier_of
from redqueen.store import EvaluationAttempt
from redqueen.types import Match, Member, Request, Role, Rollout, Task, Verdict

STUDENT = Member(id=0, slot=0, roles=(Role.STUDENT,), mu=25.0, sigma=8.0)


def train_step(
    code: Environment, lab: Lab, learner: Learner, tasks: list[Task], config: Config, step: int
) -> str:
    """Attempt, verify, update; one line of what came of it."""
    begun = time.perf_counter()
    posed = [(task, number) for task in tasks for number in range(config.rollout.attempts)]
    requests = [
        Request(0, code.prompt(task), derive_seed(config.seed, step, task.id, number))
        for task, number in posed
    ]
    texts = lab.write(requests, config.rollout.solve_tokens)
    sampled = time.perf_counter()
    judged = code.verify(
        [Attempt(task, text.text) for (task, _), text in zip(posed, texts, strict=True)]
    )
    rollouts = [
        Rollout(
            step=step,
            match=0,
            student=STUDENT.id,
            task_id=task.id,
            kind=task.kind,
            attempt=number,
            group=f"{step}/{task.id}",
            request=request,
            completion=text,
            verdict=item.verdict,
            answer=item.answer,
        )
        for (task, number), request, text, item in zip(posed, requests, texts, judged, strict=True)
    ]
    match = Match(step, 0, None, STUDENT.id)
    rewards = assign_rewards([match], [], rollouts, config.learner)
    batch = make_samples([match], [], rollouts, rewards, [STUDENT])
    report = learner.update(batch, step, versions={0: step - 1})
    lab.engine.sync([0], lab.model.adapters, step)
    solved = sum(item.verdict is Verdict.CORRECT for item in judged) / len(judged)
    return (
        f"step {step:3d}  solved {100 * solved:5.1f} %  entropy {report.entropy:.3f}  "
        f"mismatch {report.logprob_mismatch:.1e}  sample {sampled - begun:.1f} s  "
        f"learn {time.perf_counter() - sampled:.1f} s"
    )


def show(tasks: Sequence[Task], attempts: Sequence[EvaluationAttempt]) -> None:
    """The held-out solve rates of base and student, in percent."""
    kind_of = {task.id: task.kind for task in tasks}
    kinds = sorted(set(kind_of.values()))
    for mode in ("greedy", "sampled"):
        line = [f"{mode:8}"]
        for subject in ("base", "student"):
            for kind in (*kinds, "all"):
                right = [
                    item.verdict is Verdict.CORRECT
                    for item in attempts
                    if item.subject == subject
                    and item.mode == mode
                    and kind in (kind_of[item.task_id], "all")
                ]
                line.append(f"{subject} {kind} {100 * sum(right) / len(right):.1f}")
        print("  ".join(line))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--tasks", type=int, default=16, help="tasks a step")
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate")
    parser.add_argument("--advantage", default="grpo")
    parser.add_argument("--loss-norm", default="token")
    parser.add_argument("--heldout", type=int, default=300, help="held-out tasks")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    keys = {
        "seed": args.seed,
        "learner.student.advantage": args.advantage,
        "learner.loss_norm": args.loss_norm,
        "learner.learning_rate": args.rate,
    }
    config = load_config(None, [(key, str(value)) for key, value in keys.items()])
    model = PopulationModel.load(config.policy, 1, args.seed)
    lab = Lab.of(model, config.engine)
    optimizer = StackedAdamW(
        model.adapters.parameters(),
        betas=config.learner.betas,
        max_grad_norm=config.learner.max_grad_norm,
    )
    learner = Learner(
        lab.scorer, optimizer, config.learner, temperature=1.0, seed=args.seed, steps=args.steps
    )
    with open_environments(config) as environments:
        code = environments["code"]
        suite = tasks_of_suite(environments, "held-out", args.heldout, config.eval.seed)
        held_out = HeldOut(code, ["held-out"], seed=config.eval.seed, count=args.heldout)
        stream = sources_of(code)[STREAM]
        for step in range(1, args.steps + 1):
            seed = derive_seed(args.seed, "stream", step)
            tasks = draw_stream("code", stream, args.tasks, seed, held_out, step)
            print(train_step(code, lab, learner, tasks, config, step), flush=True)
        attempts = evaluate(
            lab.engine,
            verifier_of(environments),
            environments,
            "held-out",
            suite,
            [Subject("base", None), Subject("student", 0)],
            samples=2,
            max_new_tokens=config.rollout.solve_tokens,
            seed=config.eval.seed,
        )
    lab.engine.close()
    show(suite, attempts)
    print(f"{torch.get_num_threads()} threads, {args.heldout} held-out tasks")


if __name__ == "__main__":
    main()
