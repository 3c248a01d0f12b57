"""One student practises: does the update teach anything that elicitation does not give?

No teachers, ratings or evolution: the policy, rewards, advantages and update of a run. Where an
answer may be given in haste, its first token is forbidden (`redqueen.environments.base.elicit`), so
the habit of the format is not what can be learnt.

    python -m bench.learning                32 fixed hard tasks, 100 steps: the gate
    python -m bench.learning --stream       new tasks in every step, measured on held-out ones
    python -m bench.learning --shuffle      the control: verdicts dealt anew among the attempts

A task is hard if the base solves it in 1 to half of its attempts. What is chosen by attempts looks
worse than it is, so accuracy before and after is of fresh ones. Prints a line for each step, and
the change in accuracy over tasks with its 95 % interval.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from bench.work import Lab
from redqueen.build import open_environments
from redqueen.config import Config, load_config
from redqueen.curriculum import HeldOut, draw_stream, suite_tasks
from redqueen.engines.base import Sampling
from redqueen.environments.base import STREAM, Attempt, Environment, elicit, sources_of
from redqueen.learner import Learner, StackedAdamW, UpdateReport, assign_rewards, make_samples
from redqueen.models.population_model import PopulationModel
from redqueen.rng import derive_seed, numpy_rng
from redqueen.types import Match, Member, Request, Role, Rollout, Suppression, Task, Verdict

STUDENT = Member(id=0, slot=0, roles=(Role.STUDENT,), mu=25.0, sigma=8.0)


@dataclass(frozen=True, slots=True)
class Change:
    """Accuracy over tasks before and after, and the 95 % interval of their difference."""

    before: float
    after: float
    low: float
    high: float
    tasks: int

    def __str__(self) -> str:
        gain = 100 * (self.after - self.before)
        return (
            f"{100 * self.before:.1f} % -> {100 * self.after:.1f} %, {gain:+.1f} points "
            f"({100 * self.low:+.1f} to {100 * self.high:+.1f}), {self.tasks} tasks"
        )


def paired_change(before: Sequence[float], after: Sequence[float]) -> Change:
    """Return the change of a task's mean accuracy with Student's interval over tasks."""
    difference = np.subtract(after, before)
    mean, error = difference.mean(), difference.std(ddof=1) / len(difference) ** 0.5
    reach = float(stats.t.ppf(0.975, len(difference) - 1) * error)
    return Change(
        float(np.mean(before)), float(np.mean(after)), mean - reach, mean + reach, len(difference)
    )


@dataclass(frozen=True, slots=True)
class Practice:
    """One student with what teaches it."""

    code: Environment
    lab: Lab
    learner: Learner
    config: Config

    def attempt(self, tasks: Sequence[Task], count: int, step: int, slot: int | None = 0,
                temperature: float = 1.0) -> list[Rollout]:  # fmt: skip
        """Return `count` verified attempts at each task, of the student or of the base (None)."""
        posed = [(task, number) for task in tasks for number in range(count)]
        requests = []
        for task, number in posed:
            openings = elicit(self.code, task).openings
            requests.append(
                Request(
                    slot,
                    self.code.prompt(task),
                    derive_seed(self.config.seed, "attempt", step, task.id, number),
                    temperature,
                    Suppression(opening=openings) if openings else None,
                )
            )
        limit = self.config.rollout.solve_tokens
        texts = self.lab.engine.generate(requests, Sampling(limit, temperature))
        judged = self.code.verify(
            [Attempt(task, text.text) for (task, _), text in zip(posed, texts, strict=True)]
        )
        return [
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
            for (task, number), request, text, item in zip(
                posed, requests, texts, judged, strict=True
            )
        ]

    def learn(self, rollouts: Sequence[Rollout], step: int, *, shuffle: bool) -> UpdateReport:
        """Update the student; `shuffle` deals the verdicts anew among all attempts first."""
        if shuffle:
            order = numpy_rng(self.config.seed, "shuffle", step).permutation(len(rollouts))
            dealt = [rollouts[i].verdict for i in order]
            rollouts = [
                replace(item, verdict=verdict)
                for item, verdict in zip(rollouts, dealt, strict=True)
            ]
        match = Match(step, 0, None, STUDENT.id)
        rewards = assign_rewards([match], [], rollouts, self.config.learner)
        batch = make_samples([match], [], rollouts, rewards, [STUDENT])
        report = self.learner.update(batch, step, versions={0: step - 1})
        self.lab.engine.sync([0], self.lab.model.adapters, step)
        return report


def accuracy(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """Return the share of right attempts by task."""
    right: dict[str, list[bool]] = defaultdict(list)
    for item in rollouts:
        right[item.task_id].append(item.verdict is Verdict.CORRECT)
    return {task: sum(hits) / len(hits) for task, hits in right.items()}


def hard_tasks(
    practice: Practice, offered: Sequence[Task], count: int, attempts: int
) -> list[Task]:
    """Return tasks that the base solves in 1 to half of `attempts`.

    Raises:
        SystemExit: fewer than `count` of those offered are so.
    """
    rates = accuracy(practice.attempt(offered, attempts, 0, slot=None))
    hard = [task for task in offered if 0 < rates[task.id] <= 0.5][:count]
    if len(hard) < count:
        raise SystemExit(f"only {len(hard)} of {len(offered)} tasks are hard; offer more")
    return hard


def line(step: int, rollouts: Sequence[Rollout], report: UpdateReport, seconds: float) -> str:
    """Return what a step came to."""
    rates = accuracy(rollouts)
    readable = [item for item in rollouts if item.verdict is not Verdict.MALFORMED]
    mixed = np.mean([0 < rate < 1 for rate in rates.values()])
    truncated = np.mean([not item.completion.finished for item in rollouts])
    right = np.mean([item.verdict is Verdict.CORRECT for item in readable]) if readable else 0.0
    return (
        f"step {step:3d}  solved {np.mean(list(rates.values())):.3f}  readable "
        f"{len(readable) / len(rollouts):.3f}  of these right {right:.3f}  mixed {mixed:.2f}  "
        f"cut {truncated:.2f}  entropy {report.entropy:.3f}  {seconds:.1f} s"
    )


def practise(
    practice: Practice, tasks: Sequence[Sequence[Task]], *, shuffle: bool, out: Path | None
) -> None:
    """Attempt and learn, one list of tasks a step; lines go to the terminal, and to `out`."""
    for step, posed in enumerate(tasks, 1):
        begun = time.perf_counter()
        rollouts = practice.attempt(posed, practice.config.rollout.attempts, step)
        report = practice.learn(rollouts, step, shuffle=shuffle)
        text = line(step, rollouts, report, time.perf_counter() - begun)
        print(text, flush=True)
        if out is not None:
            with out.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, "accuracy": accuracy(rollouts)}) + "\n")


def by_kind(tasks: Sequence[Task]) -> Mapping[str, list[str]]:
    """Return the ids of tasks by kind, and of all."""
    ids: dict[str, list[str]] = defaultdict(list)
    for task in tasks:
        ids[task.kind].append(task.id)
        ids["all"].append(task.id)
    return ids


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--stream", action="store_true", help="new tasks in every step")
    parser.add_argument("--shuffle", action="store_true", help="the control: shuffled verdicts")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--tasks", type=int, default=32, help="tasks of a step")
    parser.add_argument("--suite", default="held-out", help="measured with --stream")
    parser.add_argument("--measured", type=int, default=200, help="tasks of the suite")
    parser.add_argument("--samples", type=int, default=16, help="attempts that measure a task")
    parser.add_argument("--out", type=Path, help="a JSON line a step")
    parser.add_argument("--write", type=Path, help="the gain over all tasks, as JSON")
    parser.add_argument("--config", type=Path, help="a run's config; default: all defaults")
    args, rest = parser.parse_known_args()
    keys = list(zip((key.removeprefix("--") for key in rest[::2]), rest[1::2], strict=True))
    config = load_config(args.config, keys)
    torch.set_num_threads(config.threads or torch.get_num_threads())
    model = PopulationModel.load(config.policy, 1, config.seed)
    lab = Lab.of(model, config.engine)
    optimizer = StackedAdamW(
        model.adapters.parameters(),
        betas=config.learner.betas,
        max_grad_norm=config.learner.max_grad_norm,
    )
    learner = Learner(
        lab.scorer, optimizer, config.learner, temperature=1.0, seed=config.seed, steps=args.steps
    )
    with open_environments(config) as environments:
        code = environments["code"]
        practice = Practice(code, lab, learner, config)
        held_out = HeldOut(code, "all", seed=config.eval.seed)
        stream = sources_of(code)[STREAM]

        def drawn(count: int, *place: int | str) -> list[Task]:
            seed = derive_seed(config.seed, "stream", *place)
            return draw_stream("code", stream, count, seed, held_out, 1)

        if args.stream:
            tasks = [drawn(args.tasks, step) for step in range(args.steps)]
            measured = suite_tasks(code, args.suite, args.measured, config.eval.seed)
        else:
            measured = hard_tasks(practice, drawn(8 * args.tasks), args.tasks, 16)
            tasks = [measured] * args.steps
        before = accuracy(practice.attempt(measured, args.samples, -1, slot=None))
        practise(practice, tasks, shuffle=args.shuffle, out=args.out)
        after = accuracy(practice.attempt(measured, args.samples, -1))
    lab.engine.close()
    for kind, ids in by_kind(measured).items():
        if len(ids) > 1:
            change = paired_change([before[i] for i in ids], [after[i] for i in ids])
            print(f"{kind:8} {change}")
    if args.write is not None:
        gain = float(np.mean([after[i] - before[i] for i in before]))
        args.write.parent.mkdir(parents=True, exist_ok=True)
        args.write.write_text(
            json.dumps({"seed": config.seed, "gain": gain}) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
