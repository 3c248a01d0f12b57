"""Word problems that need no teacher: templates with random numbers."""

import math
from collections.abc import Callable
from fractions import Fraction
from random import Random

from redqueen.environments.math.problems import FUNCTION, key_text, stands_in
from redqueen.types import Task

Numbers = dict[str, int]
Template = tuple[str, str, Callable[[Numbers], Fraction | int]]
"""A text and an expression, in which a letter in braces stands for a number, and what it is."""
TEMPLATES: tuple[Template, ...] = (
    (
        "A shop has {a} boxes with {b} pencils each and sells {c} pencils. How many are left?",
        "{a} * {b} - {c}",
        lambda n: n["a"] * n["b"] - n["c"],
    ),
    (
        "A train drives {a} kilometres an hour for {b} hours, then {c} kilometres an hour for {d} "
        "hours. How many kilometres is that in all?",
        "{a} * {b} + {c} * {d}",
        lambda n: n["a"] * n["b"] + n["c"] * n["d"],
    ),
    (
        "A rectangle is {a} metres long and {b} metres wide. A square with sides of {c} metres is "
        "cut out of it. What area is left, in square metres?",
        "{a} * {b} - {c} * {c}",
        lambda n: n["a"] * n["b"] - n["c"] ** 2,
    ),
    (
        "Eva reads {a} pages on the first day and on every further day {b} pages more than on the "
        "day before. How many pages has she read after {c} days?",
        "sum({a} + {b} * day for day in range({c}))",
        lambda n: sum(n["a"] + n["b"] * day for day in range(n["c"])),
    ),
    (
        "How many whole numbers from 1 to {a} can be divided by {b} but not by {c}?",
        "sum(1 for n in range(1, {a} + 1) if n % {b} == 0 and n % {c} != 0)",
        lambda n: sum(m % n["b"] == 0 and m % n["c"] != 0 for m in range(1, n["a"] + 1)),
    ),
    (
        "A bag holds {a} red and {b} blue balls. One ball is drawn, put back, and another one is "
        "drawn. What is the chance that both are red, as a fraction?",
        "str({a} ** 2) + '/' + str(({a} + {b}) ** 2)",
        lambda n: Fraction(n["a"], n["a"] + n["b"]) ** 2,
    ),
    (
        "What is the remainder when {a} to the power of {b} is divided by {c}?",
        "pow({a}, {b}, {c})",
        lambda n: pow(n["a"], n["b"], n["c"]),
    ),
    (
        "A jacket costs {a} crowns. Its price rises by {b} crowns, and then falls by {c} percent. "
        "What does it cost now, in crowns, as a fraction or a decimal?",
        "str(({a} + {b}) * (100 - {c})) + '/100'",
        lambda n: Fraction((n["a"] + n["b"]) * (100 - n["c"]), 100),
    ),
    (
        "Two lamps flash together now. One flashes every {a} seconds, the other every {b} seconds. "
        "In how many seconds will they flash together again?",
        "min([t for t in range(1, {a} * {b} + 1) if t % {a} == 0 and t % {b} == 0])",
        lambda n: math.lcm(n["a"], n["b"]),
    ),
)
TRIES = 200
"""Draws in a row without a new problem after which a source ends."""
Make = Callable[[str, str, str], Task]
"""Makes a task of a text, a program and a key."""


class Templates:
    """Problems from the templates, in turn."""

    def __init__(self, label: str, make: Make, most: int | None = None) -> None:
        """`label` seeds its draws, beside `seed`; there are `most` tasks (None: no limit)."""
        self._label, self._make, self._most = label, make, most

    def tasks(self, count: int, seed: int) -> list[Task]:
        """Return up to `count` distinct tasks; see `TaskSource`."""
        most = count if self._most is None else min(count, self._most)
        rng, tasks, vain = Random(f"{self._label}/{seed}"), dict[str, Task](), 0
        while len(tasks) < most and vain < TRIES:
            text, program, key = _filled(TEMPLATES[len(tasks) % len(TEMPLATES)], rng)
            vain += 1
            if stands_in(key, text):
                continue
            task = self._make(text, program, key)
            if task.id not in tasks:
                tasks[task.id], vain = task, 0
        return list(tasks.values())


def _filled(template: Template, rng: Random) -> tuple[str, str, str]:
    """Return text, program and key of a template with random numbers; c is less than b."""
    text, expression, value = template
    numbers = {"a": rng.randint(12, 99), "b": rng.randint(4, 12), "d": rng.randint(2, 9)}
    numbers["c"] = rng.randint(2, numbers["b"] - 1)
    program = f"def {FUNCTION}():\n    return {expression.format(**numbers)}"
    return text.format(**numbers), program, key_text(Fraction(value(numbers)))
