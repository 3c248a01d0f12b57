"""Z3's word on small puzzles against all their assignments, tried one by one.

    python -m bench.logic [--puzzles 1000] [--seed 0]

Half of the puzzles have a hidden solution; the others have random numbers in their constraints, so
that many have none. For each, existence, uniqueness, triviality and whether a constraint says
nothing must be those of brute force, the solution must be one, and the environment's verdicts on
random assignments must agree.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, cast

import numpy as np

from redqueen.config import SandboxConfig
from redqueen.environments.base import Attempt, Draft, Services
from redqueen.environments.logic import Logic
from redqueen.environments.logic.language import Puzzle, PuzzleError, parse_puzzle
from redqueen.environments.logic.solver import Answer, PuzzleSolver
from redqueen.environments.logic.sources import assignments, random_puzzle, solutions
from redqueen.types import Rejection, Task, Verdict


def draw(count: int, rng: Random) -> Iterator[tuple[dict[str, Any], list[Any]]]:
    """Yield variables and constraints; every second one has been tampered with."""
    made = 0
    while made < count:
        drawn = random_puzzle("any", rng)
        if drawn is None:
            continue
        _, variables, constraints = drawn
        if made % 2:
            constraints = [_tampered(said, rng) for said in constraints]
        try:
            parse_puzzle(variables, constraints)
        except PuzzleError:
            continue
        made += 1
        yield variables, constraints


def _tampered(said: Any, rng: Random) -> Any:
    if isinstance(said, list):
        swapped = {"<": ">=", "or": "and", "+": "*"}
        head = swapped.get(said[0], said[0]) if rng.random() < 0.3 else said[0]
        return [head, *(_tampered(item, rng) for item in said[1:])]
    number = isinstance(said, int) and not isinstance(said, bool)
    return said + rng.randint(0, 2) if number and rng.random() < 0.5 else said


def problem(puzzle: Puzzle, answer: Answer) -> str | None:
    """Return what of Z3's answer differs from brute force."""
    right = solutions(puzzle)
    if (answer.solution is not None) != right.any():
        return "existence"
    if answer.solution is not None and not puzzle.satisfied(answer.solution):
        return "solution"
    if answer.unique != (right.sum() == 1):
        return "uniqueness"
    if right.any() and answer.idle != says_nothing(puzzle):
        return "idleness"
    return None if answer.always == right.all() else "triviality"


def says_nothing(puzzle: Puzzle) -> bool:
    """Return whether every assignment satisfies one of the constraints."""
    return any(solutions(Puzzle(puzzle.domains, (tree,))).all() for tree in puzzle.constraints)


def wrong_verdicts(task: Task, puzzle: Puzzle, verify: Any, rng: Random, tries: int) -> int:
    """Return how many verdicts on random assignments differ from brute force."""
    space, right = assignments(puzzle.domains), solutions(puzzle)
    places = [rng.randrange(len(right)) for _ in range(tries)] + [int(np.argmax(right))]
    texts = [
        json.dumps({n: d.plain(int(space[n][i])) for n, d in puzzle.domains.items()})
        for i in places
    ]
    verified = verify([Attempt(task, text) for text in texts])
    return sum(
        (said.verdict is Verdict.CORRECT) != bool(right[i])
        for said, i in zip(verified, places, strict=True)
    )


def compare(count: int, seed: int) -> tuple[Counter[str], int]:
    """Return what differs from brute force, by kind, and how many puzzles have a solution."""
    rng, differences, solvable = Random(f"bench/logic/{seed}"), Counter[str](), 0
    with PuzzleSolver(SandboxConfig(workers=1)) as solver:
        services = Services(_no_sandbox, "chat", shared=lambda start: cast(Any, solver))
        environment = Logic().build(services)
        drawn = list(draw(count, rng))
        puzzles = [parse_puzzle(*item) for item in drawn]
        for puzzle, answer in zip(puzzles, solver.solve(puzzles), strict=True):
            said = problem(puzzle, answer) if isinstance(answer, Answer) else "undecided"
            differences.update([said] if said else [])
        texts = [json.dumps({"variables": v, "constraints": c}) for v, c in drawn]
        made = environment.validate([Draft("any", text, (), None, 0) for text in texts])
        for puzzle, task in zip(puzzles, made, strict=True):
            solvable += bool(solutions(puzzle).any())
            if isinstance(task, Rejection):
                right = solutions(puzzle)
                idle = "idle_constraint" if says_nothing(puzzle) else None
                reason = {0: "no_solution", len(right): "trivial"}.get(int(right.sum()), idle)
                differences.update([] if task.reason == reason else [f"reason {task.reason}"])
            else:
                wrong = wrong_verdicts(task, puzzle, environment.verify, rng, 10)
                differences.update({"verdict": wrong} if wrong else {})
    return differences, solvable


def _no_sandbox() -> Any:
    raise AssertionError("puzzles need no sandbox")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--puzzles", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    differences, solvable = compare(args.puzzles, args.seed)
    print(
        f"{args.puzzles} puzzles, {solvable} with a solution: "
        f"different from brute force: {dict(differences) or 'none'}"
    )
    return 1 if differences else 0


if __name__ == "__main__":
    raise SystemExit(main())
