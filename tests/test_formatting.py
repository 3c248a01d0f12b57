"""Amounts in words."""

from typing import Any

import pytest

from redqueen.formatting import BACKGROUND, duration, plural, points, span, step_seconds, visible


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


@pytest.mark.parametrize(
    ("value", "keys", "text"),
    [
        (0.1234, {}, "12.3"),
        (0.1234, {"signed": True}, "+12.3"),
        (-0.1234, {"signed": True}, "-12.3"),
        (-0.0, {}, "0.0"),
        (-0.0, {"signed": True}, "+0.0"),
        (-0.0004, {}, "0.0"),  # rounds to nothing
        (-0.0004, {"signed": True}, "+0.0"),
        (-0.0006, {}, "-0.1"),
        (1.5, {"scale": 1.0, "digits": 2}, "1.50"),
        (-0.004, {"scale": 1.0, "digits": 2, "signed": True}, "+0.00"),
    ],
)
def test_points(value: float, keys: dict[str, Any], text: str) -> None:
    assert points(value, **keys) == text


def test_span() -> None:
    assert span(0.012, 0.034) == "1.2 to 3.4"
    assert span(-0.0, 0.034, signed=True) == "+0.0 to +3.4"
    assert span(-0.0004, -0.0) == "0.0 to 0.0"
    assert span(-1.25, 2.0, scale=1.0, digits=2) == "-1.25 to 2.00"


def test_what_goes_on_beside_a_step_is_not_of_its_time() -> None:
    assert step_seconds({"propose": 2.0, "solve": 3.5, f"{BACKGROUND}validate": 9.0}) == 5.5


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07\x9b2J\r\n\t", "\\x1b]0;title\\x07\\x9b2J\\r\n\t"),
        ("a\u202eb\u2066c\u200fd\u2028e", "a\\u202eb\\u2066c\\u200fd\\u2028e"),
        ("\ud800 \u200b \U000e0041 \x00", "\\ud800 \\u200b \\U000e0041 \\x00"),
        ("na\u00efve \u4e2d\u3000\u6587 \U0001f469\u200d\U0001f680 \u00b1", None),
    ],
)
def test_visible(text: str, shown: str | None) -> None:
    assert visible(text) == (text if shown is None else shown)
