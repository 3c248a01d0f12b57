"""Derived seeds: fixed for ever, and different for different names."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from redqueen.rng import derive_seed, numpy_rng, torch_rng

PARTS = st.lists(
    st.one_of(
        st.integers(), st.text(st.characters(codec="utf-8", exclude_characters="\x1f"), max_size=5)
    ),
    max_size=4,
)


def test_seeds_never_change() -> None:
    assert derive_seed(0, "step", 3) == 3_682_731_969_824_832_128
    assert derive_seed() == 8_238_016_292_129_134_938


@given(PARTS, PARTS)
def test_different_names_different_seeds(left: list[int | str], right: list[int | str]) -> None:
    assert (derive_seed(*left) == derive_seed(*right)) == (left == right)
    assert 0 <= derive_seed(*left) < 2**63


def test_numbers_and_their_text_differ() -> None:
    assert derive_seed(1, 2) != derive_seed("1", "2") != derive_seed(12)
    assert derive_seed("ab", "c") != derive_seed("a", "bc")


def test_generators_repeat_and_stand_apart() -> None:
    assert np.array_equal(numpy_rng(1, "a").random(4), numpy_rng(1, "a").random(4))
    assert not np.array_equal(numpy_rng(1, "a").random(4), numpy_rng(1, "b").random(4))
    draws = [torch.rand(4, generator=torch_rng(1, name)) for name in ("a", "a", "b")]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    before = torch.get_rng_state()
    torch.rand(4, generator=torch_rng(1, "c"))
    assert torch.equal(before, torch.get_rng_state())
