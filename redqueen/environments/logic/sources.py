"""Puzzles that need no teacher: random constraints that hold for a hidden assignment.

Their spaces are small, so that every assignment can be tried: which ones are left is known after
each constraint.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice, product
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redqueen.environments.logic.language import (
    BOOL,
    MOST_CONSTRAINTS,
    OPERATORS,
    Domain,
    Puzzle,
    evaluate,
    parse_puzzle,
)
from redqueen.types import Task

UNIQUE, ANY = "unique", "any"
"""Kinds of puzzles: with exactly one solution, with at least one."""
MOST_ASSIGNMENTS = 20_000
TRIES = 60
"""Constraints that are tried for a puzzle."""
ROUNDS = 400
"""Puzzles in a row without a new one after which a source ends."""
WORDS = (
    ["red", "green", "blue", "white"], ["cat", "dog", "bird"], ["tea", "milk", "juice", "water"],
    ["north", "east", "south", "west"], ["rain", "sun", "snow"],
)  # fmt: skip
NAMES = ("ann", "ben", "cleo", "dan", "eva", "finn")
Make = Callable[[str, str, dict[str, Any], list[Any]], Task]
"""Makes a task of a kind, a text, variables and constraints."""


class Generated:
    """Random puzzles, the kinds in turn."""

    def __init__(
        self, label: str, kinds: Sequence[str], make: Make, most: int | None = None
    ) -> None:
        """`label` seeds its draws, beside `seed`; there are `most` tasks (None: no limit)."""
        self._label, self._kinds, self._make, self._most = label, kinds, make, most

    def tasks(self, count: int, seed: int) -> list[Task]:
        """Return up to `count` distinct tasks; see `TaskSource`."""
        most = count if self._most is None else min(count, self._most)
        return list(islice(self._draw(Random(f"{self._label}/{seed}")), most))

    def _draw(self, rng: Random) -> Iterator[Task]:
        seen, vain = set[str](), 0
        while vain < ROUNDS:
            kind = self._kinds[len(seen) % len(self._kinds)]
            puzzle = random_puzzle(kind, rng)
            task = puzzle and self._make(kind, *puzzle)
            if not task or task.id in seen:
                vain += 1
                continue
            vain = 0
            seen.add(task.id)
            yield task


def random_puzzle(kind: str, rng: Random) -> tuple[str, dict[str, Any], list[Any]] | None:
    """Return text, variables and constraints of a puzzle with one solution (`unique`) or a few,
    in which no constraint follows from the others; None if these draws lead to none."""
    variables = _variables(rng)
    domains = _domains(variables)
    space = assignments(domains)
    left = np.ones(len(next(iter(space.values()))), bool)
    hidden = rng.randrange(len(left))
    values = {name: int(column[hidden]) for name, column in space.items()}
    most = 1 if kind == UNIQUE else rng.choice((2, 3, 5))
    facts: list[tuple[Any, NDArray[np.bool_]]] = []
    for _ in range(TRIES):
        if left.sum() <= most:
            break
        said = _constraint(domains, values, rng)
        holds = _holds(variables, said, space)
        if holds[hidden] and (left & ~holds).any():
            facts, left = [*facts, (said, holds)], left & holds
    for fact in list(facts):
        others = [other for other in facts if other is not fact]
        if others and np.array_equal(np.all([holds for _, holds in others], axis=0), left):
            facts = others
    constraints = [said for said, _ in facts]
    used = {name for said in constraints for name in _names(said)}
    if left.sum() > most or len(facts) > MOST_CONSTRAINTS or not used.issuperset(variables):
        return None
    return (
        f"{len(variables)} unknowns, and {len(facts)} facts about them.",
        variables,
        constraints,
    )


def assignments(domains: Mapping[str, Domain]) -> dict[str, NDArray[np.int64]]:
    """Return all assignments: for each variable an array with its value in each."""
    grid = np.array(list(product(*(range(d.low, d.high + 1) for d in domains.values()))))
    return {name: grid[:, place] for place, name in enumerate(domains)}


def solutions(puzzle: Puzzle) -> NDArray[np.bool_]:
    """Return which of `assignments` satisfy a puzzle."""
    space = assignments(puzzle.domains)
    return _everywhere(puzzle.satisfied(space), space)


def _everywhere(said: Any, space: Mapping[str, NDArray[np.int64]]) -> NDArray[np.bool_]:
    """Return truth values of all assignments, of one value if it depends on none."""
    shape = next(iter(space.values())).shape
    return np.broadcast_to(np.asarray(said, bool), shape)


def _variables(rng: Random) -> dict[str, Any]:
    while True:
        names = rng.sample(NAMES, rng.randint(2, 5))
        variables: dict[str, Any] = {}
        low = rng.randint(0, 3)
        numbers, words = [low, low + rng.randint(2, 8)], rng.choice(WORDS)
        for name in names:
            variables[name] = rng.choice([numbers, numbers, words, "bool"])
        size = np.prod([domain.size for domain in _domains(variables).values()])
        if size <= MOST_ASSIGNMENTS:
            return variables


def _domains(variables: Mapping[str, Any]) -> dict[str, Domain]:
    facts = [["=", name, name] for name in variables]
    return dict(parse_puzzle(dict(variables), facts).domains)


def _names(said: Any) -> set[str]:
    if isinstance(said, list):
        return {name for item in said[1:] for name in _names(item)}
    return {said} if isinstance(said, str) else set()


def _holds(
    variables: dict[str, Any], said: Any, space: Mapping[str, NDArray[np.int64]]
) -> NDArray[np.bool_]:
    spare = [["=", name, name] for name in variables]
    tree = parse_puzzle(variables, [said, *spare]).constraints[0]
    return _everywhere(evaluate(tree, space), space)


def _constraint(domains: Mapping[str, Domain], values: Mapping[str, int], rng: Random) -> Any:
    """Return a random constraint, sometimes of two others; most hold for `values`."""
    if rng.random() < 0.25:
        left, right = _fact(domains, values, rng), _fact(domains, values, rng)
        return rng.choice([["=>", left, right], ["or", left, ["not", right]]])
    return _fact(domains, values, rng)


def _fact(domains: Mapping[str, Domain], values: Mapping[str, int], rng: Random) -> Any:
    name = rng.choice(list(domains))
    domain = domains[name]
    alike = [other for other in domains if domains[other].type == domain.type]
    if isinstance(domain.type, tuple):
        if len(alike) > 1 and rng.random() < 0.6:
            return ["distinct", *alike] if len(alike) > 2 else [rng.choice(["=", "!="]), *alike]
        return ["!=", name, rng.choice(domain.type)]
    if domain.type == BOOL:
        return ["=", ["count", *alike], sum(values[other] for other in alike)]
    other = rng.choice(alike)
    if other != name and rng.random() < 0.4:
        return [rng.choice(["<", ">", "!="]), name, other]
    second = rng.randint(2, 3) if other == name else other
    said = rng.choice([["+", name, second], ["-", name, second], ["*", name, second]])
    if rng.random() < 0.2:
        said = ["mod", name, rng.randint(2, 3)]
    second_value = second if isinstance(second, int) else values[second]
    apply = OPERATORS[str(said[0])].apply
    value = int(apply(values[name], said[2] if said[0] == "mod" else second_value))
    return rng.choice([["=", said, value], ["<", said, value + 2], [">=", said, value - 1]])
