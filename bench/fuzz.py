"""Hostile and malformed texts for every registered environment: no exception, no hang, limits held.

    python -m bench.fuzz [--texts 100000] [--seed 0] [--environments logic math gym proof code lean]

Texts are Hypothesis's: sound proposals and answers of the environment that were damaged (cut,
spliced with another, nested, parts repeated or replaced by what breaks parsers), pieces of such,
and characters at random. Each is validated as a proposal and verified as an answer. One line for
each environment; the status is 1 if anything raised, a text brought about a failure of ours
(`infra_error`), took more than `--seconds` of this process's time, or more than `--hang` in all.
What workers may take is limited by themselves. Lean is not asked: every theorem passes there.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from redqueen import build, registry
from redqueen.benchmarks import Benchmark
from redqueen.config import build_config
from redqueen.environments.base import Attempt, Draft, TaskSpace, sources_of
from redqueen.environments.lean import Lean, LeanEnvironment
from redqueen.environments.lean.checker import Finding, Inquiry
from redqueen.environments.workers import NoReply
from redqueen.errors import ConfigError, InfrastructureError
from redqueen.types import Task

BREAKERS = (
    "9" * 5000, "-1e999", "NaN", "null", "1/0", "9**9**9", "x^{x^{x^{x}}}", "\\frac{1}{0}",
    "(" * 3000, "[" * 3000, "{" * 3000, '{"a":' * 500, "⟨" * 500, "/-" * 500, "\\boxed{" * 50,
    "\x00", "\x1b[2J", "\r", "\ud800", "\u202e", "\u2028", "\\u0000", "é𝔘" * 50,
    "\u0301" * 500, "</answer>", "<answer>", "<problem>", "</program>", "<expression>", "$= $.",
    "</expression>", "```", "```lean", "theorem t : ", ":=", "by sorry", "{'a': 1}", '"""',
    "lambda: 0", "f'{x!r:>{w}}'",
    "while True: pass", "import os", "__import__('os')", "factorial(10**7)",
    "summation(k, (k, 1, k))",
)  # fmt: skip
MOST_CHARS = 8000


@dataclass
class Tally:
    """What became of an environment's texts."""

    texts: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0
    """Seconds of this process's time for a text."""

    def line(self, name: str) -> str:
        """Return the row of a table."""
        said = [
            ", ".join(f"{key} {count:,}" for key, count in counts.most_common())
            for counts in (self.outcomes, self.verdicts)
        ]
        cells = [name, f"{self.texts:,}", *said, str(len(self.faults)), f"{self.slowest:.3f} s"]
        return f"| {' | '.join(cells)} |"


HEAD = "| environment | texts | proposals | answers | faults | slowest |\n|---|---|---|---|---|---|"
Damage = tuple[str, float, float, str]


def damage(text: str, wounds: Sequence[Damage]) -> str:
    """Return a text after accidents: a kind, where (shares of the text), and what is put in."""
    for kind, start, length, piece in wounds:
        begun = int(start * len(text))
        end = begun + int(length**3 * (len(text) - begun))  # mostly short
        before, cut, rest = text[:begun], text[begun:end], text[end:]
        text = {
            "delete": before + rest,
            "repeat": before + cut * 5 + rest,
            "insert": before + piece + cut + rest,
            "replace": before + piece + rest,
            "move": rest + before + cut,
            "truncate": before,
            "splice": before + piece[begun % max(1, len(piece)) :],
            "nest": before + "(" * 300 + cut + ")" * 300 + rest,
        }[kind][:MOST_CHARS]
    return text


def hostile(sound: Sequence[str]) -> st.SearchStrategy[str]:
    """Return what draws texts, most of them sound ones that were damaged."""
    kinds = ["delete", "repeat", "insert", "replace", "move", "truncate", "splice", "nest"]
    pieces = st.sampled_from([*BREAKERS, *sound])
    share = st.floats(0, 1)
    wounds = st.lists(
        st.tuples(st.sampled_from(kinds), share, share, pieces), min_size=1, max_size=4
    )
    damaged = st.builds(damage, st.sampled_from(sound), wounds)
    patched = st.lists(pieces | st.text(max_size=20), max_size=6).map(
        lambda parts: "".join(parts)[:MOST_CHARS]
    )
    return damaged | damaged | damaged | patched | st.text(max_size=200)


def samples(space: TaskSpace, tasks: Sequence[Task]) -> list[str]:
    """Return texts that an environment might read: prompts with references, tasks, answers."""
    shown = [turn.content for kind in space.kinds for turn in space.ask(kind, tasks[:3])]
    for payload in (task.payload for task in tasks):
        shown.append(json.dumps(dict(payload)))
        values = [str(value) for value in payload.values()]
        shown += [f"So \\boxed{{{v}}} <answer>{v}</answer> ```lean\n{v}\n```" for v in values]
        if "proof" in payload:
            statement, proof = payload["statement"], payload["proof"]
            shown.append(f"$p |- {statement} $= {proof} $.")
            shown.append(f"```lean\ntheorem t {statement} := {proof}\n```")
        if "problem" in payload:
            problem = f"<problem>{payload['problem']}</problem>"
            shown.append(f"{problem}\n<program>{payload['program']}</program>")
            shown.append(f"{problem}\n<expression>sqrt(12) + 7 / 3</expression>")
    return shown


def fuzz(space: TaskSpace, texts: int, number: int, seconds: float, hang: float) -> Tally:
    """Return what became of so many texts; `number` seeds them."""
    tasks = sources_of(space)["seed"].tasks(24, 0)  # type: ignore[arg-type]
    tally = Tally()

    @seed(number)
    @settings(
        max_examples=texts, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(hostile(samples(space, tasks)), st.sampled_from(space.kinds), st.sampled_from(tasks))
    def one(text: str, kind: str, task: Task) -> None:
        begun, wall = time.process_time(), time.monotonic()
        try:
            [made] = space.validate([Draft(kind, text, tuple(tasks[:1]), 0, 1)])
            [said] = space.verify([Attempt(task, text)])  # type: ignore[attr-defined]
        except Exception as error:
            tally.faults.append(f"raised {error!r}: {text!r}")
            return
        outcome = "task" if isinstance(made, Task) else made.reason
        took = time.process_time() - begun
        tally.texts += 1
        tally.outcomes[outcome] += 1
        tally.verdicts[said.verdict.value] += 1
        tally.slowest = max(tally.slowest, took)
        if took > seconds or time.monotonic() - wall > hang:
            tally.faults.append(f"{took:.2f} s, {time.monotonic() - wall:.0f} in all: {text!r}")
        if "infra_error" in (outcome, said.verdict.value):
            tally.faults.append(f"infra_error: {text!r}")

    one()
    return tally


class Believing:
    """Takes every theorem for proven."""

    def examine(self, inquiries: Sequence[Inquiry]) -> list[Finding | NoReply]:
        return [Finding(None) for _ in inquiries]


@contextmanager
def opened(name: str) -> Iterator[TaskSpace]:
    """An environment with its defaults."""
    if name == "lean":
        yield LeanEnvironment(Lean(), name, Believing())
        return
    with build.open_environments(build_config({"environments": {name: {}}})) as environments:
        environment = environments[name]
        if not isinstance(environment, TaskSpace):
            raise ConfigError("teachers propose nothing there")
        yield environment


def registered() -> list[str]:
    """The registered environments but the benchmarks."""
    return [
        name
        for name in registry.names("environment")
        if not issubclass(registry.load("environment", name), Benchmark)
    ]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--texts", type=int, default=100_000, help="over all environments")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--hang", type=float, default=120.0)
    parser.add_argument("--environments", nargs="+", default=None)
    args = parser.parse_args(argv)
    names = args.environments or registered()
    faults: list[str] = []
    print(HEAD, flush=True)
    for name in names:
        try:
            with opened(name) as space:
                tally = fuzz(space, args.texts // len(names), args.seed, args.seconds, args.hang)
        except (ConfigError, InfrastructureError, ValueError) as error:
            print(f"| {name} | none: {' '.join(str(error).split())[:100]} | | | | |", flush=True)
            continue
        print(tally.line(name), flush=True)
        faults += [f"{name}: {fault[:2000]}" for fault in tally.faults]
    print(*faults, sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
