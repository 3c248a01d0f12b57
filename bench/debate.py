"""Debate against majority vote at equal tokens, on GSM8K, with an untrained base.

    nice -n 19 python -m bench.debate build/bases/qwen-coder --files DIR [--tasks 200] [--out FILE]

Three copies of the base debate every task for three rounds; the debate's answer is the majority of
its last answers. Then independent answers are drawn for the vote, until a task has as many written
tokens as its debate: the vote takes the answers that fit, at least one. Tokens read are not
counted, of which a debate has more. Prompts are those of `redqueen eval`. Accuracies with Wilson
intervals, and their difference over the same tasks with a bootstrap interval.

Tasks are played in batches of `--batch`; each that is finished is a line of FILE. The same command
goes on where it was ended, at whatever point, and what it writes is the same.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
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
from redqueen.files import write_bytes
from redqueen.report.statistics import bootstrap_means, percentile_interval, wilson
from redqueen.rng import derive_seed, numpy_rng
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


@dataclass(frozen=True)
class Played:
    """What became of a task."""

    task: str
    right: dict[str, bool]
    """By way to an answer: the one answer, votes, the debate."""
    debate_tokens: int
    vote_tokens: int
    voters: int


DEBATE, VOTE = "debate", "vote at equal tokens"


def play(work: Work, tasks: Sequence[Task], rounds: int, agents: int, seed: int) -> list[Played]:
    """Debate each task, and vote on it at the debate's tokens."""
    debates = list(of_tasks(work.play(Debate(rounds=rounds), tasks, 1, agents, seed), tasks))
    budgets = [tokens_of(texts) for texts in debates]
    # A later answer may be shorter than a first one: draw until every budget is used up.
    ballots: list[list[Rollout]] = [[] for _ in tasks]
    for more in range(1, 9):
        short = [i for i, some in enumerate(ballots) if tokens_of(some) < budgets[i]]
        if not short:
            break
        asked = [tasks[i] for i in short]
        fresh = work.play(Independent(), asked, agents * rounds, 1, derive_seed("vote", seed, more))
        for i, some in zip(short, of_tasks(fresh, asked), strict=True):
            ballots[i] += some
    played = []
    for task, texts, some, budget in zip(tasks, debates, ballots, budgets, strict=True):
        voters, first = within(some, budget), [r for r in texts if r.turn == 0]
        right = {
            "one answer": first[0].verdict is Verdict.CORRECT,
            "vote of the first answers": is_right(first),
            DEBATE: is_right([r for r in texts if r.final]),
            VOTE: is_right(voters),
        }
        played.append(Played(task.id, right, budget, tokens_of(voters), len(voters)))
    return played


def tokens_of(answers: Sequence[Rollout]) -> int:
    """Written tokens of some answers."""
    return sum(len(r.completion.token_ids) for r in answers)


def figures(played: Sequence[Played], seed: int) -> dict[str, Any]:
    """Accuracies with their intervals, and what a task took."""
    gains = np.array([p.right[DEBATE] - float(p.right[VOTE]) for p in played])
    draws = bootstrap_means(gains[:, None], numpy_rng("debate", seed))
    counts = {name: sum(p.right[name] for p in played) for name in played[0].right}
    return {
        "tasks": len(played),
        "accuracy": {
            name: [right / len(played), *wilson(right, len(played))]
            for name, right in counts.items()
        },
        "debate over vote": [float(gains.mean()), *percentile_interval(draws[:, 0])],
        "tokens a task": {
            "debate": float(np.mean([p.debate_tokens for p in played])),
            "vote": float(np.mean([p.vote_tokens for p in played])),
        },
        "voters a task": float(np.mean([p.voters for p in played])),
    }


def read_finished(out: Path, setting: dict[str, Any]) -> list[Played]:
    """The tasks of a file's whole lines; the file is made, and loses a line that is cut short.

    Raises:
        SystemExit: the file is of another setting.
    """
    lines = out.read_text(encoding="utf-8").splitlines(keepends=True) if out.exists() else []
    whole = [line for line in lines if line.endswith("\n")]
    if whole and json.loads(whole[0]) != setting:
        raise SystemExit(f"{out} is of {whole[0].strip()}; give another file with --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(out, "".join(whole or [f"{json.dumps(setting)}\n"]).encode())
    return [Played(**item) for line in whole[1:] for item in json.loads(line)]


def play_all(work: Work, tasks: Sequence[Task], setting: dict[str, Any], out: Path) -> list[Played]:
    """Play what `out` does not have of the tasks; return all."""
    played = read_finished(out, setting)
    size = setting["batch"]
    for start in range(len(played), len(tasks), size):
        batch = tasks[start : start + size]
        seed = derive_seed("debate", setting["seed"], start)
        fresh = play(work, batch, setting["rounds"], setting["agents"], seed)
        with out.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps([asdict(item) for item in fresh])}\n")
        played += fresh
        print(f"{len(played)} of {len(tasks)} tasks", flush=True)
    return played


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
    parser.add_argument("--batch", type=int, default=16, help="tasks played side by side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/bench/debate.jsonl"))
    args = parser.parse_args(argv)
    keys = ("base", "tasks", "rounds", "agents", "tokens", "batch", "seed")
    setting = {key: getattr(args, key) for key in keys}
    rows = args.batch * args.agents
    config = build_config(
        {"policy": {"base": args.base}, "engine": {"type": "torch", "rows": rows}}
    )
    with opened(config, args.files, args.tokens) as work:
        tasks = sources_of(work.environment)[TEST].tasks(args.tasks, 0)
        said = figures(play_all(work, tasks, setting, args.out), args.seed)
    for name, (share, low, high) in said["accuracy"].items():
        print(f"{name}: {100 * share:.1f} % ({100 * low:.1f} to {100 * high:.1f})")
    print(json.dumps({k: v for k, v in said.items() if k != "accuracy"}, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
