"""Rows with shared prompts against rows with padded caches of their own."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from redqueen.engines.base import Sampling
from redqueen.engines.cpu.model import accelerated
from redqueen.engines.cpu.rows import CompiledRows
from redqueen.engines.decoding import PaddedRows, Rows, SharedRows
from redqueen.models.loading import Base
from redqueen.models.routing import round_size
from redqueen.types import Request, user
from tests.small_models import ARCHITECTURES

PROMPTS = [(5, 6, 7)] * 6 + [tuple(range(3, 30))] * 5 + [(9,)] + [(5, 6, 7)] * 4 + [(8, 8)]
SLOTS: list[int | None] = [0] * 11 + [1] * 5 + [None]
KEEPS = [list(range(17)), [0, 1, 2, 4, 6, 7, 8, 12, 13, 16], [0, 1, 3, 4, 5, 7, 8], [0, 3, 5]]


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_shared_rows_equal_padded_ones_while_rows_leave(
    make_model, kind: str, compiled: bool
) -> None:
    model = make_model(kind)
    base: Base = accelerated(model.base) if compiled else model.base
    assert base.packed is not None
    shared: Rows
    if compiled:
        shared = CompiledRows(base, base.packed, SLOTS, PROMPTS, 12)
    else:
        shared = SharedRows(base, base.packed, SLOTS, PROMPTS)
    padded = PaddedRows(replace(base, packed=None), SLOTS, PROMPTS, 12)
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        found, expected = shared.prefill(model.router), padded.prefill(model.router)
        assert torch.allclose(found, expected, atol=1e-4)
        for keep in KEEPS:
            for batch in (shared, padded):
                batch.keep(torch.tensor(keep))
            assert shared.slots == padded.slots
            for _ in range(3):
                token_R = torch.randint(3, 112, (len(keep),), generator=generator)
                logits = []
                for batch in (shared, padded):
                    with batch.route(model.router) as route:
                        logits.append(batch.decode(token_R, route))
                assert torch.allclose(logits[0], logits[1], atol=1e-4)


@pytest.mark.parametrize("prefill_tokens", [1, 28, 31])
def test_prompts_read_in_pieces_give_what_all_together_give(make_model, prefill_tokens) -> None:
    model = make_model()
    base: Base = model.base
    assert base.packed is not None
    whole = SharedRows(base, base.packed, SLOTS, PROMPTS)
    pieces = SharedRows(base, base.packed, SLOTS, PROMPTS, prefill_tokens)
    token_R = torch.arange(3, 3 + len(SLOTS))
    with torch.inference_mode():
        assert torch.allclose(whole.prefill(model.router), pieces.prefill(model.router), atol=1e-5)
        logits = []
        for rows in (whole, pieces):
            with rows.route(model.router) as route:
                logits.append(rows.decode(token_R, route))
    assert torch.allclose(*logits, atol=1e-5)


def test_no_pass_over_prompts_is_longer_than_said(make_model) -> None:
    model = make_model()
    base: Base = model.base
    assert base.packed is not None
    seen: list[int] = []

    class Counting:
        """Notes how many tokens each pass has."""

        def logits(self, ids_N, *rest):
            seen.append(len(ids_N))
            return base.packed.logits(ids_N, *rest)

    with torch.inference_mode():
        SharedRows(base, Counting(), SLOTS, PROMPTS, 31).prefill(model.router)  # type: ignore[arg-type]
    assert sum(seen) == 3 + 27 + 1 + 3 + 2  # a prompt counts once for each slot
    assert len(seen) > 1
    assert max(seen) <= 31


@pytest.mark.parametrize("slots", [[0] * 8, [None] * 8])
def test_rows_that_leave_move_nothing_until_there_is_no_room(make_model, slots) -> None:
    model = make_model()
    base = accelerated(model.base)
    rows = CompiledRows(base, base.packed, slots, [tuple(range(3, 40))] * 8, 32)
    alone = CompiledRows(base, base.packed, slots[:3], [tuple(range(3, 40))] * 3, 40)
    with torch.inference_mode():
        rows.prefill(model.router)
        alone.prefill(model.router)
        assert [len(key) for key, _ in rows.states.prompts] == [37, 37]
        places = []
        for step in range(34):
            if step == 2:
                rows.keep(torch.tensor([1, 4, 6]))
            token_R = torch.tensor([5, 6, 7] if step > 1 else [0, 5, 0, 0, 6, 0, 7, 0])
            with rows.route(model.router) as route:
                logits = rows.decode(token_R, route)
            with alone.route(model.router) as route:
                expected = alone.decode(torch.tensor([5, 6, 7]), route)
            places.append(rows.states.row_R.tolist())
        assert torch.allclose(logits, expected, atol=1e-4)
    assert places[1] == list(range(8))
    assert places[2] == places[31] == [1, 4, 6]
    assert places[32] == [0, 1, 2]


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_generation_is_the_same_both_ways(make_engine, kind: str) -> None:
    engine = make_engine(kind)
    requests = [Request(i % 3, user("f(1)" if i % 2 else "x = 12"), i) for i in range(48)]
    shared = engine.generate(requests, Sampling(40, 1.0))
    engine.model.base = replace(engine.model.base, packed=None)
    padded = engine.generate(requests, Sampling(40, 1.0))
    same = 0
    for one, other in zip(shared, padded, strict=True):
        pairs = zip(one.token_ids, other.token_ids, strict=False)
        first = next((place for place, (a, b) in enumerate(pairs) if a != b), None)
        assert np.allclose(one.logprobs[:first], other.logprobs[:first], atol=1e-4)
        same += first is None and len(one.token_ids) == len(other.token_ids)
    # A draw beside a limit may fall on the other side of it, as sums are rounded otherwise.
    assert same >= len(shared) - 2


@given(st.integers(1, 10_000))
def test_sizes_are_few_and_waste_little(size: int) -> None:
    rounded = round_size(size)
    assert size <= rounded <= max(size, 1.5 * size)
    assert round_size(rounded) == rounded
    assert bin(rounded).count("1") <= 2
