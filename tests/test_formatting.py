"""Amounts in words."""

import pytest

from redqueen.formatting import duration, plural


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s"),
        (9.44, "9.4 s"),
        (9.6, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 0 min"),
        (3900, "1 h 5 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_plural() -> None:
    assert [plural(n, "step") for n in (0, 1, 2, 2000)] == [
        "0 steps",
        "1 step",
        "2 steps",
        "2,000 steps",
    ]
