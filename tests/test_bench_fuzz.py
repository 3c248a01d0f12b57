"""Hostile texts for each environment, a few of them; and faults that must be found."""

from collections.abc import Mapping, Sequence

import pytest

from bench.fuzz import WAYS, damage, fuzz, main, opened, registered
from redqueen.environments.base import Attempt, Verification
from tests.toy_environments import TaughtSums


@pytest.mark.parametrize("name", ["lean", "proof", "logic", "math", "code"])
def test_no_text_does_harm(name: str) -> None:
    with opened(name) as space:
        tally = fuzz(space, 25, 1, seconds=30.0, hang=600.0)
    assert tally.faults == []
    assert tally.pairs == tally.outcomes.total() == tally.verdicts.total() == 25


@pytest.mark.parametrize(
    ("name", "keys"),
    [(name, keys) for name in ("code", "logic", "math", "proof") for keys in WAYS.get(name, ({},))],
)
def test_texts_come_near_to_sound_ones(name: str, keys: Mapping[str, str]) -> None:
    with opened(name, **keys) as space:
        tally = fuzz(space, 200, 1, seconds=30.0, hang=600.0)
    # Hypothesis draws other texts whenever a constant of the package changes: the bars are low.
    assert tally.pairs - tally.outcomes["unparsable"] >= 5
    assert tally.outcomes["task"] + tally.outcomes["known"] >= 1
    assert tally.verdicts["correct"] >= 1


def test_every_registered_environment_is_among_them() -> None:
    assert {"code", "gym", "lean", "logic", "math", "proof"} <= {*registered()}
    assert "gsm8k" not in registered()


class Fragile(TaughtSums):
    """Breaks on a text with a bracket."""

    def verify(self, attempts: Sequence[Attempt]) -> list[Verification]:
        if "(" in attempts[0].text:
            raise ZeroDivisionError(attempts[0].text)
        return super().verify(attempts)


def test_what_raises_is_found() -> None:
    tally = fuzz(Fragile(), 100, 1, seconds=30.0, hang=600.0)
    assert any("raised ZeroDivisionError" in fault for fault in tally.faults)
    assert tally.pairs + len(tally.faults) == 100


def test_a_text_over_the_limit_is_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--pairs", "5", "--environments", "proof", "--seconds", "0"]) == 1
    assert main(["--pairs", "5", "--environments", "proof", "--seconds", "30"]) == 0
    assert "| proof | 5 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        ("delete", "abghij"), ("repeat", "abcdefcdefcdefcdefcdefghij"), ("insert", "abXYcdefghij"),
        ("replace", "abXYghij"), ("move", "ghijabcdef"), ("truncate", "ab"), ("splice", "abXY"),
        ("nest", f"ab{'(' * 300}cdef{')' * 300}ghij"),
    ],
)  # fmt: skip
def test_accidents(kind: str, made: str) -> None:
    assert damage("abcdefghij", [(kind, 0.2, 0.5, "XY")]) == made
