"""Random values and names of the language.

Types are named by one word: `int`, `bool`, `str`, `ints` (list of int), `strs` (list of str),
`pair` (tuple of two ints) and `table` (dict from str to int).
"""

import builtins
import keyword
from random import Random
from typing import Any

TYPES = ("int", "bool", "str", "ints", "strs", "pair", "table")
MUTABLE = frozenset({"ints", "strs", "table"})
KEYS = ("a", "b", "c", "k", "x", "id", "no")
"""Keys of tables: few, so that a program's key is often in its input."""

_CONSONANTS, _VOWELS = "bcdfghjklmnpqrstvwxz", "aeiouy"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_RESERVED = frozenset({*keyword.kwlist, *keyword.softkwlist, *dir(builtins), "f"})
_NAME_LENGTHS = {1: 38, 2: 26, 3: 16, 4: 10, 5: 5, 6: 3, 7: 2}


def random_int(rng: Random) -> int:
    """Mostly one digit, sometimes two or three, a fifth negative."""
    size = rng.random()
    if size < 0.62:
        value = rng.randint(0, 9)
    elif size < 0.95:
        value = rng.randint(10, 60 if size < 0.85 else 99)
    else:
        value = rng.randint(100, 999)
    return -value if rng.random() < 0.18 else value


def random_word(rng: Random, low: int = 1, high: int = 6) -> str:
    """Letters, with repeats likely; seldom capitals, digits or a space."""
    alphabet = rng.choice(("abc", "abcde", "aeiou" + _LETTERS, _LETTERS, "abAB", "ab12", "xy z"))
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(low, high)))


def random_value(kind: str, rng: Random) -> Any:
    """A value of the named type.

    Raises:
        ValueError: `kind` is none of `TYPES`.
    """
    match kind:
        case "int":
            return random_int(rng)
        case "bool":
            return rng.random() < 0.5
        case "str":
            return random_word(rng, 1 if rng.random() < 0.95 else 0, 7)
        case "ints":
            count = rng.choice((0, 1, 2, 2, 3, 3, 3, 4, 4, 5, 6))
            if rng.random() < 0.4:  # items that repeat
                few = [random_int(rng) for _ in range(3)]
                return [rng.choice(few) for _ in range(count)]
            return [random_int(rng) for _ in range(count)]
        case "strs":
            return [random_word(rng, 1, 4) for _ in range(rng.choice((1, 2, 2, 3, 3, 4)))]
        case "pair":
            return (random_int(rng), random_int(rng))
        case "table":
            keys = rng.sample(KEYS, rng.choice((1, 2, 2, 3)))
            return {key: random_int(rng) for key in keys}
    raise ValueError(f"unknown type {kind!r}")


def random_name(rng: Random, taken: frozenset[str]) -> str:
    """An identifier of one to seven letters that is not in `taken`: half of them can be spoken."""
    while True:
        length = rng.choices(list(_NAME_LENGTHS), list(_NAME_LENGTHS.values()))[0]
        if rng.random() < 0.5:
            start = rng.randrange(2)
            pools = (_CONSONANTS, _VOWELS)
            name = "".join(rng.choice(pools[(start + i) % 2]) for i in range(length))
        else:
            name = "".join(rng.choice(_LETTERS) for _ in range(length))
        if rng.random() < 0.04:
            name += rng.choice(("_", "")) + rng.choice("12" if len(name) < 4 else _LETTERS)
        if name not in _RESERVED and name not in taken:
            return name
