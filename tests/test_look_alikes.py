"""Texts as readers see them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redqueen.look_alikes import folded, visible


@pytest.mark.parametrize(
    "text",
    ["caf\xe9 Op\u0435ra",
     "CAFE\u0301 opera", "ca\u200bfe o\u00adp\u0435ra", "\uff43\u03b1fe opera",
     "\ufeffcafe op\u202eera"],
)  # fmt: skip
def test_one_form_for_what_looks_alike(text: str) -> None:
    assert folded(text) == "cafe opera"


def test_what_does_not_show() -> None:
    assert visible("2\u200b0 \u202e1\u00ad2") == "20 12"
    assert visible("na\xefve") == "na\xefve"


@given(st.text())
def test_any_text_has_a_form(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    assert visible(visible(text)) == visible(text)
