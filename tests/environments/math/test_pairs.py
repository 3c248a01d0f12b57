"""Answers as students write them: over 300 pairs of a key and a text, written by hand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from redqueen.config import SandboxConfig
from redqueen.environments.base import Attempt, Services
from redqueen.environments.math import Math, MathEnvironment, MathGrader
from redqueen.types import Task, Verdict

LINES = (Path(__file__).parent / "pairs.txt").read_text(encoding="utf-8").splitlines()
PAIRS = [line.split(" | ") for line in LINES if not line.startswith("#")]


@pytest.fixture(scope="module")
def math() -> Iterator[MathEnvironment]:
    with MathGrader(SandboxConfig(workers=1)) as grader:
        yield Math().build(Services(pytest.fail, "chat", shared=lambda start: grader))  # type: ignore[arg-type,return-value]


def test_every_pair_is_graded_as_a_person_would(math: MathEnvironment) -> None:
    assert len({tuple(pair) for pair in PAIRS}) == len(PAIRS) >= 300
    attempts = [
        Attempt(Task("", "math", "math", {"answer": key}), text.replace("\\n\\n", "\n\n"))
        for key, text, _ in PAIRS
    ]
    said = [item.verdict is Verdict.CORRECT for item in math.verify(attempts)]
    assert [
        pair for pair, right in zip(PAIRS, said, strict=True) if right != (pair[2] == "+")
    ] == []
