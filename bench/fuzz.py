"""Hostile and malformed texts for every registered environment: no exception, no hang, limits held.

    python -m bench.fuzz [--pairs 100000] [--seed 0] [--environments logic math gym proof code lean]

Texts are Hypothesis's: sound proposals and answers of a task, most of them damaged (cut, spliced
with another, nested, parts repeated or replaced by what breaks parsers), pieces of such, and
characters at random. They come in pairs: one is validated as a proposal, one verified as an answer.
One line for each environment; the status is 1 if anything raised, a text brought about a failure of
ours (`infra_error`), or a pair took more than `--seconds` of this process's time or more than
`--hang` in all.
What workers may take is limited by themselves. Lean is not asked: every theorem passes there.
"""

import argparse
import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from redqueen import build, registry
from redqueen.benchmarks import Benchmark
from redqueen.config import build_config
from redqueen.environments.base import (
    Attempt,
    Draft,
    Environment,
    TaskSpace,
    Verification,
    sources_of,
)
from redqueen.environments.lean import Lean, LeanEnvironment
from redqueen.environments.lean.checker import Finding, Inquiry
from redqueen.environments.logic.language import parse_puzzle
from redqueen.environments.logic.sources import assignments, solutions
from redqueen.environments.workers import NoReply
from redqueen.errors import ConfigError, InfrastructureError
from redqueen.types import Rejection, Task

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
SLIPS = (
    "0", "-1", "1e9", "''", "None", "[]", "(", ")", "a", "f", ", ", "\n", "    ", "=", "<", " if ",
)  # fmt: skip
KINDS = ("delete", "repeat", "insert", "replace", "move", "truncate", "splice", "nest")
WAYS: Mapping[str, tuple[Mapping[str, str], ...]] = {
    "code": ({"style": "compact"}, {"style": "traced"}, {"style": "instruct"})
}
"""Keys under which an environment reads other texts; each is a row."""


@dataclass
class Tally:
    """What became of an environment's pairs of texts."""

    pairs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0
    """Seconds of this process's time for a pair."""

    def line(self, name: str) -> str:
        """Return the row of a table."""
        said = [
            ", ".join(f"{key} {count:,}" for key, count in counts.most_common())
            for counts in (self.outcomes, self.verdicts)
        ]
        cells = [name, f"{self.pairs:,}", *said, str(len(self.faults)), f"{self.slowest:.3f} s"]
        return f"| {' | '.join(cells)} |"


HEAD = "| environment | pairs | proposals | answers | faults | slowest |\n|---|---|---|---|---|---|"
Damage = tuple[str, float, float, str]


@runtime_checkable
class Taught(Environment, TaskSpace, Protocol):
    """An environment that teachers propose tasks of."""


def damage(text: str, wounds: Sequence[Damage]) -> str:
    """Return a text after accidents: a kind, where (shares of the text), and what is put in."""
    for kind, start, length, piece in wounds:
        begun = int(start * len(text))
        end = begun + int(length * (len(text) - begun))
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
    """Return what draws texts: sound ones, slightly and badly damaged ones, and pieces of such."""
    slips, pieces = st.sampled_from(SLIPS), st.sampled_from([*BREAKERS, *sound])
    start = st.integers(0, 999).map(lambda n: n / 1000)
    slight = st.tuples(
        st.sampled_from(("delete", "insert", "replace")), start, st.just(0.01), slips
    )
    bad = st.tuples(st.sampled_from(KINDS), start, st.sampled_from((0, 0.05, 0.3, 1)), pieces)
    whole = st.sampled_from(sound)
    slipped = st.builds(damage, whole, st.lists(slight, max_size=3))
    damaged = st.builds(damage, whole, st.lists(slight | bad, min_size=1, max_size=3))
    patched = st.lists(pieces | st.text(max_size=20), max_size=6).map(
        lambda parts: "".join(parts)[:MOST_CHARS]
    )
    return slipped | slipped | slipped | damaged | damaged | patched | st.text(max_size=200)


def proposals(payload: Mapping[str, Any]) -> list[str]:
    """Return a task as a teacher might have written it, in every form that an environment reads."""
    match payload:
        case {"statement": statement, "proof": proof}:
            lean = f"```lean\ntheorem t {statement} := {proof}\n```"
            return [f"$p |- {statement} $= {proof} $.", lean]
        case {"problem": problem, "program": program}:
            told = f"<problem>{problem}</problem>"
            expression = f"{told}\n<expression>sqrt(12) + 7 / 3</expression>"
            return [f"{told}\n<program>{program}</program>", expression]
        case {"message": message, "examples": examples, "hidden": hidden}:
            inputs = [args for args, _ in (*examples, *hidden)]
            lines, calls = "\n".join(inputs), "\n".join(f"f({args})" for args in inputs)
            tagged = f"\n<input>\n{lines}"
            fenced = f"Message: {message}\n```python\n{calls}\n```"
            return [f"<message>\n{message}{tagged}", f"{message}{tagged}", fenced]
        case {"program": program, "input": given}:
            fenced = f"```python\n{program}\n\nf({given})\n```"
            return [f"{program}\n<input>\n{given}", fenced]
        case {"generator": generator, "parameters": parameters}:
            return [json.dumps({"generator": generator, "parameters": dict(parameters)})]
    return [json.dumps(dict(payload))]


def answers(payload: Mapping[str, Any]) -> list[str]:
    """Return texts that a student might have written, in every form that an environment reads."""
    if "variables" in payload:
        puzzle = parse_puzzle(payload["variables"], payload["constraints"])
        space, right = assignments(puzzle.domains), int(solutions(puzzle).argmax())
        return [
            json.dumps({name: d.plain(space[name][place]) for name, d in puzzle.domains.items()})
            for place in (right, 0)
        ]
    return [
        f"So \\boxed{{{value}}} <answer>{value}</answer> ```lean\n{value}\n```\n<answer>\n{value}"
        for value in payload.values()
    ]


@dataclass(frozen=True)
class Case:
    """What is given to an environment: a proposal of a kind, and an answer to a task."""

    kind: str
    proposal: str
    task: Task
    answer: str


def cases(space: Taught, tasks: Sequence[Task]) -> st.SearchStrategy[Case]:
    """Return what draws hostile texts, most of them near to a task's own proposal or answers."""
    prompts = [turn.content for kind in space.kinds for turn in space.ask(kind, tasks[:3])]

    def of(task: Task) -> st.SearchStrategy[Case]:
        proposed, answered = hostile(proposals(task.payload)), hostile(answers(task.payload))
        strange = hostile([json.dumps(dict(task.payload)), *prompts])
        return st.builds(
            Case,
            st.just(task.kind) | st.sampled_from(space.kinds),
            proposed | proposed | proposed | answered | strange,
            st.just(task),
            answered | answered | answered | proposed | strange,
        )

    return st.sampled_from(tasks).flatmap(of)


def judged(
    space: Taught, case: Case, reference: Task
) -> tuple[Task | Rejection, Verification, float, float]:
    """Return what became of the proposal and of the answer, this process's seconds, and all."""
    begun, wall = time.process_time(), time.monotonic()
    [made] = space.validate([Draft(case.kind, case.proposal, (reference,), 0, 1)])
    [said] = space.verify([Attempt(case.task, case.answer)])
    return made, said, time.process_time() - begun, time.monotonic() - wall


def fuzz(space: Taught, pairs: int, number: int, seconds: float, hang: float) -> Tally:
    """Return what became of so many pairs of texts; `number` seeds them."""
    tasks = sources_of(space)["seed"].tasks(24, 0)
    tally = Tally()

    @seed(number)
    @settings(
        max_examples=pairs, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(cases(space, tasks))
    def one(case: Case) -> None:
        try:
            made, said, took, wall = judged(space, case, tasks[0])
            if took > seconds:  # this process may have tidied its memory meanwhile
                made, said, took, wall = judged(space, case, tasks[0])
        except Exception as error:
            tally.faults.append(f"raised {error!r}: {case}")
            return
        outcome = "task" if isinstance(made, Task) else made.reason
        tally.pairs += 1
        tally.outcomes[outcome] += 1
        tally.verdicts[said.verdict.value] += 1
        tally.slowest = max(tally.slowest, took)
        if took > seconds or wall > hang:
            tally.faults.append(f"{took:.2f} s, {wall:.0f} in all: {case}")
        if "infra_error" in (outcome, said.verdict.value):
            tally.faults.append(f"infra_error: {case}")

    one()
    return tally


class Believing:
    """Takes every theorem for proven."""

    def examine(self, inquiries: Sequence[Inquiry]) -> list[Finding | NoReply]:
        return [Finding(None) for _ in inquiries]


@contextmanager
def opened(name: str, backend: str = "monty", **keys: str) -> Iterator[Taught]:
    """An environment with its defaults but for some keys, and a sandbox's backend."""
    if name == "lean":
        yield LeanEnvironment(Lean(), name, Believing())
        return
    config = build_config({"environments": {name: keys}, "sandbox": {"backend": backend}})
    with build.open_environments(config) as environments:
        environment = environments[name]
        if not isinstance(environment, Taught):
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
    parser.add_argument("--pairs", type=int, default=100_000, help="over all environments")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--hang", type=float, default=120.0)
    parser.add_argument("--backend", default="auto" if shutil.which("bwrap") else "monty",
                        help="of the sandbox; monty lacks some letters")  # fmt: skip
    parser.add_argument("--environments", nargs="+", default=None)
    args = parser.parse_args(argv)
    names = args.environments or registered()
    faults: list[str] = []
    print(HEAD, flush=True)
    rows = [(name, keys) for name in names for keys in WAYS.get(name, ({},))]
    for name, keys in rows:
        label = " ".join((name, *keys.values()))
        try:
            with opened(name, args.backend, **keys) as space:
                tally = fuzz(space, args.pairs // len(rows), args.seed, args.seconds, args.hang)
        except (ConfigError, InfrastructureError, ValueError) as error:
            print(f"| {label} | none: {' '.join(str(error).split())[:100]} | | | | |", flush=True)
            continue
        print(tally.line(label), flush=True)
        faults += [f"{label}: {fault[:2000]}" for fault in tally.faults]
    print(*faults, sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
