"""The process that runs reasoning-gym: `python -m redqueen.environments.gym.worker`.

Its generators and scorers may take any time and memory; see `redqueen.environments.workers`. Some
scorers give an answer to Python's `eval` or to SymPy's parser, which evaluates it: to these come
only answers of an alphabet in which nothing can be called but SymPy's elementary functions.
"""

import dataclasses
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import reasoning_gym  # noqa: F401  fills the table of generators
from reasoning_gym.factory import DATASETS, create_dataset

from redqueen.environments.workers import serve

MEMORY_BYTES = 4 << 30
LARGEST = 1_000_000
"""Of numbers among the parameters."""
LONGEST = 20
"""Of lists among the parameters."""
_LISTS = re.compile(r"[\w\s\[\],'\"-]*")
_TERMS = re.compile(
    r"(?:\d++(?:\.\d*+)?|\.\d++|[-+*/^()\s]|\b(?:sin|cos|tan|exp|log|ln|sqrt|sinh|cosh|tanh|asin|acos|"
    r"atan|pi|Abs)\b|\b[A-Za-z]\b)*"
)
EVALUATED: Mapping[str, re.Pattern[str]] = {
    "binary_matrix": _LISTS,
    "n_queens": _LISTS,
    "spiral_matrix": _LISTS,
    "string_insertion": _LISTS,
    "countdown": _TERMS,
    "intermediate_integration": _TERMS,
    "polynomial_multiplication": _TERMS,
    "puzzle24": _TERMS,
    "simple_integration": _TERMS,
}
"""Generators of reasoning-gym 0.1.25 whose scorers evaluate answers -> what they may consist of."""
_NOT_A_NUMBER = re.compile(r"(?<![a-z])nan(?![a-hk-z])", re.IGNORECASE)
"""In any spelling of a real or complex one: it is as far from the right number as from any other,
and a scorer that compares distances takes it."""
PROBES = ("", "0", "1", "x")
"""Answers that a scorer has to turn down, unless they are right."""


class ParameterError(Exception):
    """Parameters that a generator does not take."""


def defaults(name: str) -> dict[str, Any]:
    """Return the parameters of a generator that JSON can say, with their defaults."""
    config = DATASETS[name][1]()
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    plain = json.loads(json.dumps(values, default=lambda value: None))
    return {
        key: value
        for key, value in plain.items()
        if key not in ("seed", "size") and _is_plain(value)
    }


def _is_plain(value: Any) -> bool:
    return isinstance(value, (bool, int, float, str)) or (
        isinstance(value, list) and all(isinstance(item, (bool, int, float, str)) for item in value)
    )


def _checked(default: Any, value: Any) -> Any:
    """Return a parameter of the default's type; a text must be one of the default's own, since
    generators may evaluate it."""
    if isinstance(default, list):
        if not isinstance(value, list) or not 1 <= len(value) <= LONGEST:
            raise ParameterError("not a list of a sensible length")
        kinds = {type(item) for item in default}
        if str in kinds or not kinds:
            if not all(item in default for item in value):
                raise ParameterError("a list may only have items of the default")
            return value
        return [_checked(default[0], item) for item in value]
    if isinstance(default, str):
        if value != default:
            raise ParameterError("a text cannot be changed")
        return value
    types: tuple[type, ...] = (int, float)
    if isinstance(default, int):
        types = (type(default),)
    if type(value) not in types or not abs(value) <= LARGEST:
        raise ParameterError(f"{str(value)[:20]} is no such number")
    return value


@lru_cache(maxsize=256)
def _entry(name: str, parameters: str, seed: int) -> tuple[Any, dict[str, Any]]:
    """Return the data set of one task, and the task."""
    known, given = defaults(name), json.loads(parameters)
    if unknown := given.keys() - known.keys():
        raise ParameterError(f"no parameter {min(unknown)[:40]!r}")
    checked = {key: _checked(known[key], value) for key, value in given.items()}
    try:
        data = create_dataset(name, seed=seed, size=1, **checked)
    except (AssertionError, TypeError, ValueError) as error:
        raise ParameterError(str(error)) from error
    return data, data[0]


def make(name: str, parameters: dict[str, Any], seed: int) -> dict[str, Any]:
    """Return question and reference answer of a task, and whether the scorer accepts the answer
    and none of `PROBES`."""
    data, entry = _entry(name, json.dumps(parameters), seed)
    question, answer = entry["question"], entry["answer"]
    right = answer is not None and float(data.score_answer(answer, entry)) == 1.0
    others = [probe for probe in PROBES if not _same(probe, str(answer))]
    blind = any(_takes(name, parameters, seed, probe) for probe in others)
    return {"question": str(question), "answer": str(answer), "verifies": right and not blind}


def _takes(name: str, parameters: dict[str, Any], seed: int, answer: str) -> bool:
    try:
        return score(name, parameters, seed, answer) == 1.0
    except Exception:  # anybody's scorer; a student's answer would be wrong
        return False


def _same(left: str, right: str) -> bool:
    try:
        return float(left) == float(right)
    except ValueError:
        return left.casefold() == right.strip().casefold()


def score(name: str, parameters: dict[str, Any], seed: int, answer: str) -> float:
    """Return the score of an answer in [0, 1]; 0 where it might do more than be compared."""
    allowed = EVALUATED.get(name)
    if allowed is not None and not allowed.fullmatch(answer):
        return 0.0
    data, entry = _entry(name, json.dumps(parameters), seed)
    if _NOT_A_NUMBER.search(answer) and not _NOT_A_NUMBER.search(str(entry["answer"])):
        return 0.0
    return min(1.0, max(0.0, float(data.score_answer(answer, entry))))


def answer(question: Mapping[str, Any]) -> Any:
    """Return what the function `do` of a question says; `{"error": …}` if the package raises."""
    if question["do"] == "list":
        return {
            name: {"category": data.__module__.split(".")[1], "parameters": defaults(name)}
            for name, (data, _) in sorted(DATASETS.items())
            if name not in ("composite",)
        }
    arguments = {key: value for key, value in question.items() if key != "do"}
    try:
        return make(**arguments) if question["do"] == "make" else score(**arguments)
    except ParameterError as error:
        return {"error": str(error)[:200], "parameters": True}
    except Exception as error:  # anybody's generator
        return {"error": repr(error)[:200], "parameters": False}


if __name__ == "__main__":
    serve(answer, MEMORY_BYTES)
