"""One student on a fixed stream of generated tasks: does the update learn at all?

No teachers, ratings or evolution: the same policy, rewards, advantages and update as in a run, fed
with tasks of the generator. Prints the sampled solve rate over the steps and the held-out change.

    python -m bench.learning --steps 40 --rate 1e-3
"""

import argparse
import time
from random import Random

import torch

from redqueen.benchmarks import SUITE, Subject, evaluate, heldout_tasks
from redqueen.config import load_config
from redqueen.domains import Attempt, build_domain
from redqueen.learner import Learner, StackedAdamW, make_trajectories, student_reward
from redqueen.policy import Policy
from redqueen.rng import derive_seed
from redqueen.sandbox import make_sandbox
from redqueen.types import Member, Request, Role, Rollout, Verdict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--tasks", type=int, default=16, help="tasks a step")
    parser.add_argument("--rate", type=float, default=None, help="learning rate")
    parser.add_argument("--advantage", default="trr++")
    parser.add_argument("--loss-norm", default="token")
    parser.add_argument("--heldout", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    overrides = [("learner.advantage", args.advantage), ("learner.loss_norm", args.loss_norm)]
    if args.rate:
        overrides.append(("learner.learning_rate", str(args.rate)))
    config = load_config(None, overrides)
    policy = Policy.load(config.policy, 1, args.seed)
    optimizer = StackedAdamW(
        policy.adapters.parameters(),
        betas=config.learner.betas,
        max_grad_norm=config.learner.max_grad_norm,
    )
    learner = Learner(
        policy,
        optimizer,
        config.learner,
        temperature=1.0,
        seed=args.seed,
        steps=args.steps,
    )
    student = Member(id=0, slot=0, roles=(Role.STUDENT,), mu=25.0, sigma=8.0)
    with make_sandbox(config.sandbox) as sandbox:
        domain = build_domain(config, sandbox, policy.tokenizer)
        heldout = heldout_tasks(domain, args.heldout, config.eval.seed)
        rng = Random(derive_seed(args.seed, "stream"))
        pairs = [(kind, band) for band in (1, 2, 3, 4, 5) for kind in domain.kinds]
        for step in range(1, args.steps + 1):
            begun = time.perf_counter()
            tasks = [domain.generated_task(*rng.choice(pairs), rng) for _ in range(args.tasks)]
            requests = [
                Request(0, domain.pose(task), derive_seed(args.seed, step, task.id, number))
                for task in tasks
                for number in range(config.rollout.attempts)
            ]
            texts = policy.generate(
                requests, max_new_tokens=config.rollout.solve_tokens, temperature=1.0
            )
            sampled = time.perf_counter()
            posed = [task for task in tasks for _ in range(config.rollout.attempts)]
            pairs_ = zip(posed, texts, strict=True)
            judged = domain.verify([Attempt(task, text.text) for task, text in pairs_])
            rollouts = [
                Rollout(
                    step=step,
                    match=0,
                    student=0,
                    task_id=task.id,
                    kind=task.kind,
                    attempt=0,
                    completion=text,
                    verdict=verdict.verdict,
                    reward=student_reward(verdict.verdict, config.learner),
                )
                for task, text, verdict in zip(posed, texts, judged, strict=True)
            ]
            report = learner.update(make_trajectories([], rollouts, [student]), step)
            solved = sum(item.verdict is Verdict.CORRECT for item in judged) / len(judged)
            print(
                f"step {step:3d}  solved {100 * solved:5.1f} %  entropy {report.entropy:.3f}  "
                f"gap {report.logprob_gap:.1e}  sample {sampled - begun:.1f} s  "
                f"learn {time.perf_counter() - sampled:.1f} s",
                flush=True,
            )
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
    for mode in ("greedy", "sampled"):
        line = [f"{mode:8}"]
        for subject in ("base", "student"):
            for kind in (*domain.kinds, "all"):
                own = [
                    row.correct / row.samples
                    for row in rows
                    if row.subject == subject and row.mode == mode and kind in (row.kind, "all")
                ]
                line.append(f"{subject} {kind} {100 * sum(own) / len(own):.1f}")
        print("  ".join(line))
    print(f"{torch.get_num_threads()} threads, {args.heldout} held-out tasks")


if __name__ == "__main__":
    main()
