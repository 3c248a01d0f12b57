"""Shared prompts: packed rows against every sequence on its own, values and gradients."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from redqueen.models.attention import dense_attention
from redqueen.models.packing import Packing, Text
from redqueen.models.population_model import PopulationModel
from redqueen.models.routing import Route
from tests.loop_attention import loop_attention
from tests.small_models import ARCHITECTURES

LONG = tuple(range(3, 43))
SLOTS: list[int | None] = [1, 0, 1, None, 1, 0, 2, 1, 0, None]
PROMPTS = [(5, 9), LONG, (5, 9), (5, 9), (40,), LONG, (40,), (5, 9), (7, 7, 7), (5, 9)]
TOKENS = [(8, 2), (20, 21, 22), tuple(range(50, 90)), (9,), (30, 31), (2,), (), (8, 2), (4, 5), ()]


def gradients(model: PopulationModel, weight_BT: Tensor) -> tuple[Tensor, list[Tensor]]:
    logprobs_BT, mask_BT = model.score(SLOTS, PROMPTS, TOKENS, temperature=0.7)
    loss = (logprobs_BT * weight_BT)[mask_BT].sum()
    return logprobs_BT, list(torch.autograd.grad(loss, [*model.adapters.parameters().values()]))


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_shared_prompts_give_the_unpacked_values_and_gradients(make_model, kind: str) -> None:
    model = make_model(kind)
    assert model.base.packed is not None
    weight_BT = torch.randn(10, 40, generator=torch.Generator().manual_seed(1))
    packed_BT, packed = gradients(model, weight_BT)
    shared = model.base
    model.base = replace(shared, packed=None)
    alone_BT, alone = gradients(model, weight_BT)
    torch.testing.assert_close(packed_BT, alone_BT, rtol=1e-5, atol=1e-5)
    largest = max(float(grad.abs().max()) for grad in alone)
    for one, other in zip(packed, alone, strict=True):
        assert float((one - other).abs().max()) <= 1e-5 * largest


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_a_prompt_is_computed_once(make_model, monkeypatch, kind: str) -> None:
    model = make_model(kind)
    packed, seen = type(model.base.packed), []
    states = packed.states

    def counted(self: object, ids_N: Tensor, *rest: object) -> Tensor:
        seen.append(len(ids_N))
        return states(self, ids_N, *rest)

    monkeypatch.setattr(packed, "states", counted)
    model.score([0] * 8, [LONG] * 8, [(4, 5, 6)] * 8)
    assert seen == [40 + 8 * 2]


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(1, 30), st.integers(0, 40)),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([(2, 2), (4, 2), (4, 1)]),
)
def test_attention_of_any_layout_equals_a_loop(
    shapes: list[tuple[int, int, int]], heads: tuple[int, int]
) -> None:
    texts = [Text(slot, range(size), range(more)) for slot, size, more in sorted(shapes)]
    packing = Packing(texts, torch.device("cpu"))
    tokens = len(packing.ids_N)
    assert len(packing.slots) == tokens
    for number, text in enumerate(texts):
        start, stop = packing.prompts[packing.group_of[number]]
        assert packing.position_N[start:stop].tolist() == list(range(len(text.prompt)))
        first, size = packing.starts[number], len(text.tokens)
        assert packing.position_N[first : first + size].tolist() == list(
            range(len(text.prompt), len(text.prompt) + size)
        )
        assert set(packing.slots[start:stop]) == {text.slot}
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(tokens, heads[0], 4, generator=generator)
    k = torch.randn(tokens, heads[1], 4, generator=generator)
    v = torch.randn(tokens, heads[1], 4, generator=generator)
    expected = loop_attention(q, k, v, texts, packing)
    assert torch.allclose(packing.attend(dense_attention, q, k, v, 0.3), expected, atol=1e-5)


def test_packed_routing_equals_rows(make_model) -> None:
    stack, layer = make_model().adapters, "model.layers.0.mlp.up_proj"
    slots = [0, 0, 2, 2, 2, None]
    x = torch.randn(6, 1, 32, generator=torch.Generator().manual_seed(0))
    out = torch.randn(6, 1, 48, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = Route(stack, slots, "padded").apply(layer, x, out.clone())
        route = Route(stack, slots, "segments", packed=True)
        found = route.apply(layer, x.transpose(0, 1), out.clone().transpose(0, 1))
        assert torch.allclose(found[0], expected[:, 0], atol=1e-5)
        with pytest.raises(ValueError, match="cannot be told apart"):
            route.apply(layer, x, out)
