"""Items of several environments, against one call for each item."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redqueen.environments.dispatch import dispatch


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers())))
def test_results_are_in_the_order_of_the_items(pairs: list[tuple[str, int]]) -> None:
    names, items = [name for name, _ in pairs], [item for _, item in pairs]
    calls: list[tuple[str, list[int]]] = []

    def call(name: str, some: list[int]) -> list[str]:
        calls.append((name, some))
        return [f"{name}{item}" for item in some]

    assert dispatch(names, items, call) == [f"{name}{item}" for name, item in pairs]
    # Each environment is asked once, for all that is its own, in order.
    assert [name for name, _ in calls] == list(dict.fromkeys(names))
    assert all(some == [item for name, item in pairs if name == its] for its, some in calls)


def test_an_environment_that_answers_for_too_few_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        dispatch(["a", "a"], [1, 2], lambda name, some: some[:1])
