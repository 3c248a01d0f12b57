"""Splits: everything once, within the limit, in the order of slots, evenly."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from redqueen.models.batching import (
    MIN_ROWS,
    MIN_TOKENS,
    even_parts,
    generation_batches,
    packed_batches,
    padded_batches,
)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(1, 6))
def test_even_parts_are_off_by_half_a_piece_at_either_end(costs: list[int], parts: int) -> None:
    found = even_parts(costs, parts)
    assert found == sorted(found)
    assert set(found) <= set(range(parts))
    for part in set(found):
        size = sum(cost for cost, own in zip(costs, found, strict=True) if own == part)
        assert size <= sum(costs) / parts + max(costs)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), min_size=1, max_size=120),
    st.integers(1, 40),
    st.integers(1, 4),
)
def test_generation_batches_hold_every_row_once_and_are_dealt_evenly(
    rows: list[tuple[int, int]], most: int, workers: int
) -> None:
    prompts = [tuple(range(length)) for _, length in rows]
    batches = generation_batches([slot for slot, _ in rows], prompts, most, workers)
    assert sorted(i for batch in batches for i in batch) == list(range(len(rows)))
    groups = Counter(rows)
    # A group stays whole, unless it is larger than a batch.
    largest = min(most, max(groups.values()))
    assert all(len(batch) <= most + 2 * largest for batch in batches)
    for batch in batches:
        keys = [(rows[i][0], prompts[i]) for i in batch]
        assert keys == sorted(keys)
    whole = [key for key, count in groups.items() if count <= most]
    for slot, length in whole:
        inside = [any(rows[i] == (slot, length) for i in batch) for batch in batches]
        assert sum(inside) == 1
    spread = max(1, min(workers, len(rows) // MIN_ROWS))
    if len(rows) <= most * spread:
        assert len(batches) <= spread
        assert max(map(len, batches)) <= len(rows) / spread + largest
        # Workers take neighbouring slots: only one at each cut is met twice.
        met = sum(len({rows[i][0] for i in batch}) for batch in batches)
        assert met <= len({slot for slot, _ in rows}) + spread - 1


_rows = st.tuples(st.none() | st.integers(0, 3), st.integers(0, 4), st.integers(1, 300))
"""A sequence's slot, the number of its prompt (which is as long, plus 1), its length."""


def _packed_size(rows: Sequence[tuple[int | None, int, int]]) -> int:
    """Tokens of sequences that share the prompts of their slot."""
    return sum(own for *_, own in rows) + sum(p + 1 for _, p in {(s, p) for s, p, _ in rows})


@given(st.lists(_rows, max_size=60), st.integers(1, 2000), st.integers(1, 4))
def test_packed_batches_hold_all_within_the_limit_in_the_order_of_slots(
    rows: list[tuple[int | None, int, int]], limit: int, workers: int
) -> None:
    slots, prompts = [s for s, *_ in rows], [[p] * (p + 1) for _, p, _ in rows]
    batches = packed_batches(slots, prompts, [[0] * own for *_, own in rows], limit, workers)
    flat = [i for batch in batches for i in batch]
    assert sorted(flat) == list(range(len(rows)))
    for batch in batches:
        assert batch
        assert _packed_size([rows[i] for i in batch]) <= limit or len(batch) == 1
    laid = [(rows[i][0] is None, rows[i][0] or 0) for i in flat]
    assert laid == sorted(laid)
    # A prompt's sequences lie side by side: it changes once less than there are prompts.
    groups = [rows[i][:2] for i in flat]
    assert sum(a != b for a, b in pairwise(groups)) == max(0, len(set(groups)) - 1)


@given(st.lists(_rows, min_size=20, max_size=60), st.integers(1, 4))
def test_packed_batches_give_all_workers_the_same(
    rows: list[tuple[int | None, int, int]], workers: int
) -> None:
    slots, prompts = [s for s, *_ in rows], [[p] * (p + 1) for _, p, _ in rows]
    tokens, whole = [[0] * own for *_, own in rows], _packed_size(rows)
    batches = packed_batches(slots, prompts, tokens, 10 * whole, workers)
    assert len(batches) == min(workers, max(1, whole // MIN_TOKENS))
    sizes = [_packed_size([rows[i] for i in batch]) for batch in batches]
    # Off by half a sequence at either end, and a prompt that is begun once more.
    assert max(sizes) <= whole / len(batches) + 300 + 2 * 5


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 1000))
def test_padded_batches_cover_all_within_the_limit(lengths: list[int], limit: int) -> None:
    batches = padded_batches(lengths, limit)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[i] for i in batch)
        assert padded <= limit or len(batch) == 1
    flat = [lengths[i] for batch in batches for i in batch]
    assert flat == sorted(flat)
    # Greedy: no batch could have taken the next one's first sequence.
    for batch, after in pairwise(batches):
        assert (len(batch) + 1) * lengths[after[0]] > limit
