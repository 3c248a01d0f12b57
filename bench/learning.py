"""One student on a fixed stream of generated tasks: does the update learn at all?

No teachers, ratings or evolution: the same policy, rewards, advantages and update as in a run, fed
with tasks of the generator. Prints the sampled solve rate over the steps and the held-out change.

    python -m bench.learning --steps 40 --rate 2e-3
"""

import argparse
import time
from collections.abc import Sequence
from random import Random

import torch
from redqueen.engines.policy import Policy

from redqueen.benchmarks import SUITE, Subject, evaluate, heldout_tasks
from redqueen.config import Config, load_config
from redqueen.environments import build_domain
from redqueen.environments.base import Attempt, Domain
from redqueen.environments.code.generator import BANDS
from redqueen.learner import Learner, StackedAdamW, make_trajectories, student_reward
from redqueen.rng import derive_seed
from redqueen.sandbox import make_sandbox
from redqueen.store import EvaluationRow
from redqueen.types import Member, Request, Role, Rollout, Task, Verdict

STUDENT = Member(id=0, slot=0, roles=(Role.STUDENT,), mu=25.0, sigma=8.0)


def train_step(
    domain: Domain, policy: Policy, learner: Learner, tasks: list[Task], config: Config, step: int
) -> str:
    """Attempt, verify, update; one line of what came of it."""
    begun = time.perf_counter()
    posed = [(task, number) for task in tasks for number in range(config.rollout.attempts)]
    requests = [
        Request(0, domain.pose(task), derive_seed(config.seed, step, task.id, number))
        for task, number in posed
    ]
    texts = policy.generate(requests, max_new_tokens=config.rollout.solve_tokens, temperature=1.0)
    sampled = time.perf_counter()
    judged = domain.verify(
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
            completion=text,
            verdict=verdict.verdict,
            reward=student_reward(verdict.verdict, config.learner),
        )
        for (task, number), text, verdict in zip(posed, texts, judged, strict=True)
    ]
    report = learner.update(make_trajectories([], rollouts, [STUDENT]), step)
    solved = sum(item.verdict is Verdict.CORRECT for item in judged) / len(judged)
    return (
        f"step {step:3d}  solved {100 * solved:5.1f} %  entropy {report.entropy:.3f}  "
        f"gap {report.logprob_gap:.1e}  sample {sampled - begun:.1f} s  "
        f"learn {time.perf_counter() - sampled:.1f} s"
    )


def show(rows: Sequence[EvaluationRow], kinds: Sequence[str]) -> None:
    """The held-out solve rates of base and student, in percent."""
    for mode in ("greedy", "sampled"):
        line = [f"{mode:8}"]
        for subject in ("base", "student"):
            for kind in (*kinds, "all"):
                own = [
                    row.correct / row.samples
                    for row in rows
                    if row.subject == subject and row.mode == mode and kind in (row.kind, "all")
                ]
                line.append(f"{subject} {kind} {100 * sum(own) / len(own):.1f}")
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
    wanted = {
        "seed": args.seed,
        "learner.advantage": args.advantage,
        "learner.loss_norm": args.loss_norm,
        "learner.learning_rate": args.rate,
    }
    config = load_config(None, [(key, str(value)) for key, value in wanted.items()])
    policy = Policy.load(config.policy, 1, args.seed)
    optimizer = StackedAdamW(
        policy.adapters.parameters(),
        betas=config.learner.betas,
        max_grad_norm=config.learner.max_grad_norm,
    )
    learner = Learner(
        policy, optimizer, config.learner, temperature=1.0, seed=args.seed, steps=args.steps
    )
    with make_sandbox(config.sandbox) as sandbox:
        domain = build_domain(config, sandbox, policy.tokenizer)
        heldout = heldout_tasks(domain, args.heldout, config.eval.seed)
        known = {task.id for task in heldout}
        rng = Random(derive_seed(args.seed, "stream"))
        cells = [(kind, band) for band in BANDS for kind in domain.kinds]
        for step in range(1, args.steps + 1):
            drawn = [domain.generated_task(*rng.choice(cells), rng) for _ in range(args.tasks)]
            tasks = [task for task in drawn if task.id not in known]
            print(train_step(domain, policy, learner, tasks, config, step), flush=True)
        rows = evaluate(
            policy,
            domain,
            SUITE,
            heldout,
            [Subject("base", None), Subject("student", 0)],
            samples=2,
            max_new_tokens=config.rollout.solve_tokens,
            seed=config.eval.seed,
        )
    show(rows, domain.kinds)
    print(f"{torch.get_num_threads()} threads, {args.heldout} held-out tasks")


if __name__ == "__main__":
    main()
