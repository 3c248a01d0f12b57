"""Rows with shared prompts against rows with padded caches of their own."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from redqueen.policy.decoding import PaddedBatch, SharedBatch
from redqueen.policy.generation import FILL_ROWS, _arrange
from redqueen.policy.loading import Base
from redqueen.policy.routing import round_size
from redqueen.types import Request

from .conftest import ARCHITECTURES

PROMPTS = [(5, 6, 7)] * 6 + [tuple(range(3, 30))] * 5 + [(9,)] + [(5, 6, 7)] * 4 + [(8, 8)]
SLOTS: list[int | None] = [0] * 11 + [1] * 5 + [None]
KEEPS = [list(range(17)), [0, 1, 2, 4, 6, 7, 8, 12, 13, 16], [0, 1, 3, 4, 5, 7, 8], [0, 3, 5]]


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_shared_rows_equal_padded_ones_while_rows_leave(make_policy, kind: str) -> None:
    policy = make_policy(kind)
    base: Base = policy.base
    assert base.packed is not None
    shared = SharedBatch(base, base.packed, SLOTS, PROMPTS)
    padded = PaddedBatch(replace(base, packed=None), SLOTS, PROMPTS, 12)
    generator = torch.Generator().manual_seed(0)
    plans = []
    with torch.inference_mode():
        found, expected = shared.prefill(policy.router), padded.prefill(policy.router)
        assert torch.allclose(found, expected, atol=1e-4)
        for keep in KEEPS:
            for batch in (shared, padded):
                batch.keep(torch.tensor(keep))
            plans.append(type(shared._plan).__name__)
            assert shared.slots == padded.slots
            for _ in range(3):
                token_R = torch.randint(3, 112, (len(keep),), generator=generator)
                logits = []
                for batch in (shared, padded):
                    with batch.route(policy.router) as route:
                        logits.append(batch.decode(token_R, route))
                assert torch.allclose(logits[0], logits[1], atol=1e-4)
    # Both ways to keep prompts have been walked through.
    assert plans == ["_Prompts", "_Prompts", "_Prompts", "_Rows"]


def test_a_prompt_is_kept_once_for_its_rows(make_policy) -> None:
    policy = make_policy()
    base = policy.base
    batch = SharedBatch(base, base.packed, [0] * 8, [tuple(range(3, 40))] * 8)
    with torch.inference_mode():
        batch.prefill(policy.router)
        with batch.route(policy.router) as route:
            batch.decode(torch.full((8,), 5), route)
    assert [key.shape[0] for key in batch._plan.keys] == [1, 1]
    assert [layer.keys.shape[2] for layer in batch._plan.own] == [1, 1]


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_generation_is_the_same_both_ways(make_policy, kind: str) -> None:
    policy = make_policy(kind)
    rows = [Request(i % 3, "f(1)" if i % 2 else "x = 12", i) for i in range(48)]
    shared = policy.generate(rows, max_new_tokens=40, temperature=1.0)
    policy.base = replace(policy.base, packed=None)
    padded = policy.generate(rows, max_new_tokens=40, temperature=1.0)
    assert [c.token_ids for c in shared] == [c.token_ids for c in padded]


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=200))
def test_rows_that_go_on(rows: list[tuple[int, bool]]) -> None:
    rows.sort(key=lambda row: row[0])
    slots, alive = [slot for slot, _ in rows], [lives for _, lives in rows]
    if not any(alive):
        alive[0] = True
    arranged = _arrange(slots, alive)
    living = [row for row, lives in enumerate(alive) if lives]
    assert arranged == sorted(arranged)
    assert [row for row, lives in arranged if lives] == living
    assert {slots[row] for row, _ in arranged} == {slots[row] for row in living}
    counts = Counter(slots[row] for row, _ in arranged)
    sizes = set(counts.values())
    if len(sizes) == 1:
        assert sizes == {round_size(size) for size in sizes}
        assert len(arranged) - len(living) <= FILL_ROWS or len(counts) == 1
    else:
        assert len(arranged) == round_size(len(living))


@given(st.integers(1, 10_000))
def test_sizes_are_few_and_waste_little(size: int) -> None:
    rounded = round_size(size)
    assert size <= rounded <= max(size, 1.5 * size)
    assert round_size(rounded) == rounded
    assert bin(rounded).count("1") <= 2
