"""The guard `constant` for code_o and code_i: does the output depend on the input at all?

The program runs on inputs near the proposed one, made from it by seeded changes that keep types.
If none of them moves the output it runs on a second, wider round; if none of these does either, it
is constant. Both rounds are batches of sandbox calls over all proposals of a step.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from redqueen.environments.code.answers import calls_of
from redqueen.rng import derive_seed
from redqueen.sandbox import (
    Outcome,
    OutcomeKind,
    Sandbox,
    literals_equal,
    parse_literal,
    render_literal,
)

NEAR, FAR, ENOUGH = 4, 12, 4
"""Neighbours of the first and of the second round, and how many must return for a verdict."""
_ALPHABET = "abcdxyz"


@dataclass(frozen=True, slots=True)
class Probe:
    """A program with one input and the literal that it returns for it."""

    source: str
    args: tuple[Any, ...]
    output: str


@dataclass(slots=True)
class _Response:
    """What the neighbours of one program's input returned so far."""

    returned: int = 0
    moved: bool = False
    failure: Outcome | None = None


def find_constant(sandbox: Sandbox, probes: Sequence[Probe]) -> list[bool | Outcome]:
    """Return for each program whether its output stays the same, or how the sandbox failed.

    Constant means that at least `ENOUGH` neighbours returned a value and all were equal to the
    proposed output. A neighbour that runs out of time counts as one that moves the output.
    """
    responses = [_Response() for _ in probes]
    for far, count in ((False, NEAR), (True, FAR)):
        open_ones = [
            (probe, response)
            for probe, response in zip(probes, responses, strict=True)
            if not response.moved and response.failure is None
        ]
        inputs = [_inputs(probe, count, far) for probe, _ in open_ones]
        calls = [
            call
            for (probe, _), several in zip(open_ones, inputs, strict=True)
            for call in calls_of(probe.source, several)
        ]
        outcomes = iter(sandbox.run(calls))
        for (probe, response), several in zip(open_ones, inputs, strict=True):
            for _ in several:
                _take(response, probe.output, next(outcomes))
    return [item.failure or (not item.moved and item.returned >= ENOUGH) for item in responses]


def _inputs(probe: Probe, count: int, far: bool) -> list[tuple[Any, ...]]:
    rng = Random(derive_seed("neighbours", probe.source, repr_of(probe.args), int(far)))
    return neighbours(probe.args, count, rng, far)


def _take(response: _Response, output: str, outcome: Outcome) -> None:
    if outcome.kind is OutcomeKind.INFRA_ERROR:
        response.failure = outcome
    elif outcome.kind is OutcomeKind.TIMEOUT:
        response.moved = True
    elif outcome.kind is OutcomeKind.VALUE:
        response.returned += 1
        same = literals_equal(parse_literal(output)[1], parse_literal(outcome.text)[1])
        response.moved = response.moved or not same


def repr_of(args: tuple[Any, ...]) -> str:
    """Canonical text of an input: the same in every process, also for sets."""
    return render_literal(args) or ""


def neighbours(
    args: tuple[Any, ...], count: int, rng: Random, far: bool = False
) -> list[tuple[Any, ...]]:
    """Up to `count` distinct inputs near `args`, of the same types; `far` changes all of it.

    Near: one argument at a time, in turn, changed in one place (an int by 1 to 3, an item or a
    character dropped, doubled or changed). None of them equals `args`.
    """
    inputs: list[tuple[Any, ...]] = []
    seen = {repr_of(args)}
    for index in range(4 * count):
        if far:
            changed = tuple(_elsewhere(item, rng) for item in args)
        else:
            place = index % len(args)
            changed = (*args[:place], _nearby(args[place], rng), *args[place + 1 :])
        if repr_of(changed) not in seen:
            seen.add(repr_of(changed))
            inputs.append(changed)
        if len(inputs) == count:
            break
    return inputs


_Other = Callable[[Any, Random], Any]


def _nearby(value: Any, rng: Random) -> Any:
    """A value of the same type that differs in one place; None has no other."""
    match value:
        case bool():
            return not value
        case int() | float() | complex():
            return value + rng.choice((-3, -2, -1, 1, 2, 3))
        case str():
            return "".join(_edit(list(value), rng, _letter))
        case bytes():
            return bytes(_edit(list(value), rng, _byte))
        case list():
            return _edit(value, rng, _nearby) if value else [rng.randint(0, 9)]
        case set():
            items = sorted(value, key=repr)
            return set(_edit(items, rng, _nearby)) if value else {rng.randint(0, 9)}
        case tuple() if value:
            place = rng.randrange(len(value))
            return (*value[:place], _nearby(value[place], rng), *value[place + 1 :])
        case dict() if value:
            key = rng.choice(list(value))
            return {**value, key: _nearby(value[key], rng)}
    return value


def _letter(old: Any, rng: Random) -> str:
    return rng.choice(_ALPHABET)


def _byte(old: Any, rng: Random) -> int:
    return rng.randrange(256)


def _edit(items: list[Any], rng: Random, other: _Other) -> list[Any]:
    """Drop, double or change one item; a text without any gets one."""
    if not items:
        return [other(None, rng)]
    place = rng.randrange(len(items))
    change = rng.choice(("drop", "double", "change", "change"))
    if change == "drop" and len(items) > 1:
        return [*items[:place], *items[place + 1 :]]
    if change == "double":
        return [*items[:place], items[place], *items[place:]]
    return [*items[:place], other(items[place], rng), *items[place + 1 :]]


def _elsewhere(value: Any, rng: Random) -> Any:
    """A value of the same type and about the same size, all of it drawn anew."""
    match value:
        case bool():
            return rng.random() < 0.5
        case int():
            # Half of them small: that is where most thresholds lie.
            reach = 2 * abs(value) + 12 if rng.random() < 0.5 else 9
            return rng.randint(-reach // 3, reach)
        case float() | complex():
            return type(value)(rng.choice((-1, 1, 1)) * round(rng.uniform(0.0, 20.0), 1))
        case str():
            letters = sorted({*value, *_ALPHABET})
            return "".join(rng.choice(letters) for _ in range(rng.randint(0, len(value) + 3)))
        case bytes():
            return bytes(rng.randrange(256) for _ in range(rng.randint(0, len(value) + 3)))
        case list():
            pool = value or [0]
            size = rng.randint(0, len(value) + 3)
            return [_elsewhere(rng.choice(pool), rng) for _ in range(size)]
        case set():
            pool = sorted(value, key=repr) or [0]
            size = rng.randint(0, len(value) + 3)
            return {_elsewhere(rng.choice(pool), rng) for _ in range(size)}
        case tuple():
            return tuple(_elsewhere(item, rng) for item in value)
        case dict():
            kept = {key: _elsewhere(item, rng) for key, item in value.items()}
            if kept and rng.random() < 0.3:
                del kept[rng.choice(list(kept))]
            return kept
    return value
