"""Forms of puzzles: one for all spellings, others for others, true to what constraints say."""

import time
from itertools import product
from random import Random
from typing import Any

import pytest

from redqueen.environments.logic.forms import normal_form
from redqueen.environments.logic.language import PuzzleError, parse_puzzle
from redqueen.environments.logic.sources import assignments, random_puzzle, solutions

VARIABLES = {"a": [1, 6], "b": [1, 6]}
SEVEN, TWELVE = ["=", ["+", "a", "b"], 7], ["=", ["*", "a", "b"], 12]
SPELLINGS: dict[str, list[Any]] = {
    "order": [TWELVE, SEVEN],
    "said again": [SEVEN, TWELVE, SEVEN],
    "denied twice": [["not", ["not", SEVEN]], TWELVE],
    "denied difference": [["not", ["!=", ["+", "a", "b"], 7]], TWELVE],
    "plus nothing": [["=", ["+", "a", "b", 0], 7], TWELVE],
    "plus and minus": [["=", ["-", ["+", "a", "b", 2], 2], 7], TWELVE],
    "times one": [["=", ["*", ["+", "a", "b"], 1], 7], TWELVE],
    "twice": [["=", ["+", "a", "a", ["*", 2, "b"]], 14], TWELVE],
    "other side": [["=", "a", ["-", 7, "b"]], TWELVE],
    "turned round": [["=", 7, ["+", "b", "a"]], ["=", 12, ["*", "b", "a"]]],
    "brackets": [["=", ["+", ["+", "a", 3], ["+", "b", 4]], 14], TWELVE],
    "joined": [["and", TWELVE, SEVEN]],
    "joined in joined": [["and", ["and", SEVEN, True], TWELVE]],
    "either again": [["or", SEVEN, SEVEN], TWELVE],
    "or false": [["or", SEVEN, False], TWELVE],
    "or never": [["or", SEVEN, ["<", 2, 1], [">", "a", 9]], TWELVE],
    "if always": [["=>", ["<", "b", 7], SEVEN], TWELVE],
    "is true": [["=", SEVEN, True], TWELVE],
    "is not false": [["!=", False, SEVEN], TWELVE],
    "counted": [["=", ["count", SEVEN], 1], TWELVE],
    "from both sides": [["<=", ["+", "a", "b"], 7], [">", ["+", "a", "b"], 6], TWELVE],
    "idle abs": [["=", ["abs", ["+", "a", "b"]], 7], TWELVE],
    "idle mod": [["=", ["+", ["mod", "a", 9], "b"], 7], TWELVE],
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_spellings_have_one_form(name: str) -> None:
    form, shape = normal_form(VARIABLES, [SEVEN, TWELVE])
    assert normal_form(VARIABLES, SPELLINGS[name]) == (form, shape)


OTHERS: list[list[Any]] = [
    [SEVEN], [SEVEN, ["=", ["*", "a", "b"], 10]], [["not", SEVEN], TWELVE],
    [["<=", ["+", "a", "b"], 7], TWELVE], [["=", ["-", "a", "b"], 7], TWELVE],
    [SEVEN, ["=", ["*", "a", "a"], 12]], [["or", SEVEN, TWELVE]],
]  # fmt: skip


def test_other_puzzles_have_other_forms() -> None:
    forms = [normal_form(VARIABLES, said)[0] for said in ([SEVEN, TWELVE], *OTHERS)]
    assert len({*forms}) == len(forms)
    wider = {**VARIABLES, "a": [0, 6]}
    assert normal_form(wider, [SEVEN, TWELVE])[0] != forms[0]
    shapes = {normal_form(VARIABLES, said)[1] for said in ([SEVEN, TWELVE], OTHERS[1])}
    assert len(shapes) == 1


def test_words_and_names_do_not_matter() -> None:
    hats = {"ann": ["red", "blue", "green"], "ben": ["red", "blue", "green"]}
    said = [["!=", "ann", "ben"], ["!=", "ann", "red"], ["=", "ben", "blue"]]
    tea = {"y": ["milk", "tea", "cola"], "x": ["milk", "tea", "cola"]}
    again = [["=", "y", "tea"], ["not", ["=", "x", "cola"]], ["distinct", "x", "y"]]
    assert normal_form(hats, said) == normal_form(tea, again)
    assert normal_form(hats, said)[0] != normal_form(hats, [*said[:2], ["=", "ben", "red"]])[0]


def renamed(rng: Random, variables: dict[str, Any], constraints: list[Any]) -> tuple[Any, Any]:
    """The same puzzle with other names, everything in another order."""
    new = rng.sample([f"z{n}" for n in range(20)], len(variables))
    names = dict(zip(variables, new, strict=True))

    def put(said: Any) -> Any:
        if isinstance(said, list):
            return [said[0], *map(put, said[1:])]
        return names.get(said, said) if isinstance(said, str) else said

    items = [(names[name], said) for name, said in variables.items()]
    return dict(rng.sample(items, len(items))), rng.sample(
        [*map(put, constraints)], len(constraints)
    )


def test_names_that_constraints_do_not_tell_apart() -> None:
    rng, names = Random(2), "abcdef"
    ring = [["!=", a, b] for a, b in zip(names, names[1:] + names[:1], strict=True)]
    chords = [["<", ["abs", ["-", a, b]], 2] for a, b in ("ad", "be", "cf")]
    variables: dict[str, Any] = {name: [0, 2] for name in names}
    forms = {normal_form(*renamed(rng, variables, [*ring, *chords])) for _ in range(20)}
    assert len(forms) == 1


def test_random_puzzles_keep_their_forms() -> None:
    rng = Random(3)
    drawn = [puzzle for _ in range(80) if (puzzle := random_puzzle("unique", rng))]
    assert len(drawn) > 20
    for _, variables, constraints in drawn:
        form = normal_form(variables, constraints)
        assert normal_form(*renamed(rng, variables, constraints)) == form


WIDE: dict[str, Any] = {"a": [-2, 2], "b": [0, 3], "p": "bool", "h": ["x", "y"], "k": ["x", "y"]}
TIES = [["=", name, name] for name in WIDE]


def drawn(rng: Random, depth: int, number: bool) -> Any:
    if depth == 0 or rng.random() < 0.2:
        truths = ["p", True, False, ["=", "h", "x"], ["!=", "k", "h"]]
        return rng.choice(["a", "b", rng.randint(-3, 5)] if number else truths)
    few = rng.randint(2, 3)
    if number:
        name = rng.choice(["+", "*", "-", "mod", "abs", "count"])
        if name == "mod":
            return [name, drawn(rng, depth - 1, True), rng.randint(1, 4)]
        count = {"-": 2, "abs": 1}.get(name, few)
        return [name, *(drawn(rng, depth - 1, name != "count") for _ in range(count))]
    name = rng.choice(["<", "<=", ">", ">=", "=", "!=", "distinct", "and", "or", "not", "=>"])
    count = {"not": 1, "and": few, "or": few, "distinct": few}.get(name, 2)
    of_numbers = name[0] in "<>" or (name in ("=", "!=", "distinct") and rng.random() < 0.5)
    return [name, *(drawn(rng, depth - 1, of_numbers) for _ in range(count))]


def test_puzzles_of_one_form_have_as_many_solutions() -> None:
    """All over the same variables, so that an assignment is one of each."""
    rng, counts = Random(4), dict[str, int]()
    compared = 0
    for _ in range(1500):
        said = [drawn(rng, 2, False) for _ in range(rng.randint(1, 2))]
        try:
            puzzle = parse_puzzle(WIDE, [*said, *TIES])
        except PuzzleError:
            continue
        form, count = normal_form(WIDE, said)[0], int(solutions(puzzle).sum())
        compared += form in counts
        assert counts.setdefault(form, count) == count, said
    assert compared > 300
    assert len(counts) > 300
    total = len(list(product(range(5), range(4), range(2), range(2), range(2))))
    assert len(next(iter(assignments(parse_puzzle(WIDE, TIES).domains).values()))) == total


@pytest.mark.parametrize(
    "said",
    [
        [["distinct", *(f"x{n}" for n in range(12))]],
        [["!=", f"x{n}", f"x{(n + k) % 12}"] for n in range(12) for k in (1, 3)],
    ],
)
def test_a_symmetric_puzzle_takes_little_time(said: list[Any]) -> None:
    begun = time.process_time()
    normal_form({f"x{n}": [0, 99] for n in range(12)}, said)
    assert time.process_time() - begun < 2
