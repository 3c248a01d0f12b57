"""Debate against majority vote at equal tokens, on GSM8K, with an untrained base.

    python -m bench.debate build/bases/qwen-coder --files DIR [--tasks 200]

Three copies of the base debate every task for three rounds; the debate's answer is the majority of
its last answers. Then independent answers are drawn for the vote, until a task has as many written
tokens as its debate: the vote takes the answers that fit, at least one. Tokens read are not
counted, of which a debate has more. Prompts are those of `redqueen eval`. Accuracies with Wilson
intervals, and their difference over the same tasks with a bootstrap interval.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from redqueen import build
from redqueen.background import Background
from redqueen.benchmarks import TEST
from redqueen.config import Config, build_config
from redqueen.engines.base import Engine, Sampling
from redqueen.environments.base import Environment, sources_of
from redqueen.evaluation import named_benchmarks
from redqueen.report.statistics import bootstrap_means, percentile_interval, wilson
from redqueen.rng import numpy_rng
from redqueen.rollouts.collect import run_interaction, verifier_of
from redqueen.rollouts.interactions.base import InteractionConfig, Posing
from redqueen.rollouts.interactions.debate import Debate
from redqueen.rollouts.interactions.independent import Independent
from redqueen.types import Match, Member, Role, Rollout, Task, Verdict


@dataclass(frozen=True)
class Work:
    """What writes and judges."""

    engine: Engine
    environment: Environment
    sampling: Sampling

    def play(self, config: InteractionConfig, tasks: Sequence[Task], attempts: int, students: int,
             seed: int) -> list[Rollout]:  # fmt: skip
        """The rollouts of tasks that each go to so many copies of the base."""
        members = [Member(n, 0, (Role.STUDENT,), 25.0, 8.0) for n in range(students)]
        posings = []
        for number, task in enumerate(tasks):
            root = number * students
            for m in members:
                shared = root if m.id else None
                match = Match(1, root + m.id, None, m.id, shared, task.environment)
                posings.append(Posing(match, task, self.environment.prompt(task), m))
        background = Background("debate")
        try:
            rollouts, _ = run_interaction(
                config.begin(posings, attempts, 1, seed), self.engine, self.sampling, background,
                verifier_of({self.environment.name: self.environment}), say,
            )  # fmt: skip
        finally:
            background.close()
        return rollouts


def say(done: int, total: int) -> None:
    if done == total:
        print(f"  {total} texts written", flush=True)


def is_right(answers: Sequence[Rollout]) -> bool:
    """Whether the most frequent answer is right; of equals the one that came first."""
    read = [a for a in answers if a.answer is not None]
    if not read:
        return False
    winner = Counter(a.answer for a in read).most_common(1)[0][0]
    return next(a for a in read if a.answer == winner).verdict is Verdict.CORRECT


def within(answers: Sequence[Rollout], tokens: int) -> list[Rollout]:
    """The first answers that have at most so many tokens together, one at least."""
    lengths = np.cumsum([len(a.completion.token_ids) for a in answers])
    return list(answers[: max(1, int(np.searchsorted(lengths, tokens, side="right")))])


def of_tasks(rollouts: Sequence[Rollout], tasks: Sequence[Task]) -> Iterator[list[Rollout]]:
    for task in tasks:
        yield [r for r in rollouts if r.task_id == task.id]


def compare(
    work: Work, tasks: Sequence[Task], rounds: int, agents: int, seed: int
) -> dict[str, Any]:
    """The figures of a debate and of a vote at its tokens."""
    debates = list(of_tasks(work.play(Debate(rounds=rounds), tasks, 1, agents, seed), tasks))
    budgets = [sum(len(r.completion.token_ids) for r in texts) for texts in debates]
    # A later answer may be shorter than a first one: draw until every budget is used up.
    ballots: list[list[Rollout]] = [[] for _ in tasks]
    for batch in range(8):
        short = [
            i for i, some in enumerate(ballots)
            if sum(len(r.completion.token_ids) for r in some) < budgets[i]
        ]  # fmt: skip
        if not short:
            break
        asked = [tasks[i] for i in short]
        fresh = work.play(Independent(), asked, agents * rounds, 1, seed + 1 + batch)
        for i, some in zip(short, of_tasks(fresh, asked), strict=True):
            ballots[i] += some
    voters = [within(some, budget) for some, budget in zip(ballots, budgets, strict=True)]
    first = [[r for r in texts if r.turn == 0] for texts in debates]
    last = [[r for r in texts if r.final] for texts in debates]
    outcomes = {
        "one answer": [some[0].verdict is Verdict.CORRECT for some in first],
        f"vote of the {agents} first answers": [is_right(some) for some in first],
        f"debate, {rounds} rounds": [is_right(some) for some in last],
        "vote at equal tokens": [is_right(some) for some in voters],
    }
    pair = np.array([outcomes[f"debate, {rounds} rounds"], outcomes["vote at equal tokens"]], float)
    draws = bootstrap_means((pair[0] - pair[1])[:, None], numpy_rng("debate", seed))
    low, high = percentile_interval(draws[:, 0])
    spent = [sum(len(r.completion.token_ids) for r in some) for some in voters]
    return {
        "tasks": len(tasks),
        "accuracy": {
            name: [float(np.mean(right)), *wilson(sum(right), len(right))]
            for name, right in outcomes.items()
        },
        "debate over vote": [float(np.mean(pair[0] - pair[1])), low, high],
        "tokens a task": {"debate": float(np.mean(budgets)), "vote": float(np.mean(spent))},
        "voters a task": float(np.mean([len(some) for some in voters])),
    }


@contextmanager
def opened(config: Config, files: str, tokens: int) -> Iterator[Work]:
    """The base and GSM8K."""
    chosen = named_benchmarks(["gsm8k"], files)
    model = build.load_model(config, 1)
    with (
        build.open_environments(config, chosen) as environments,
        build.open_engine(config, model) as engine,
    ):
        engine.sync([0], model.adapters, 0)  # an adapter that changes nothing
        yield Work(engine, environments["gsm8k"], Sampling(tokens, 1.0))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("base")
    parser.add_argument("--files", default="", help="directory with gsm8k.jsonl; default: the hub")
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--agents", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=512, help="longest answer")
    parser.add_argument("--rows", type=int, default=48, help="sequences sampled side by side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/bench/debate.json"))
    args = parser.parse_args(argv)
    config = build_config(
        {"policy": {"base": args.base}, "engine": {"type": "torch", "rows": args.rows}}
    )
    with opened(config, args.files, args.tokens) as work:
        tasks = sources_of(work.environment)[TEST].tasks(args.tasks, 0)
        figures = compare(work, tasks, args.rounds, args.agents, args.seed)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(figures | {"base": args.base}, indent=2) + "\n")
    for name, (share, low, high) in figures["accuracy"].items():
        print(f"{name}: {100 * share:.1f} % ({100 * low:.1f} to {100 * high:.1f})")
    print(json.dumps({k: v for k, v in figures.items() if k != "accuracy"}, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
