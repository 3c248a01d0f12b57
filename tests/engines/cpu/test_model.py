"""The compiled forms of the forward pass against the library's and against whole texts."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from redqueen.engines.cpu.model import CompiledModel, RowFactors, accelerated
from redqueen.engines.cpu.rows import RowStates
from redqueen.models.adapters import AdapterStack
from redqueen.models.attention import PackedAttention
from redqueen.models.fused import fuse
from redqueen.models.packing import Packing, Text
from redqueen.models.routing import Route
from redqueen.models.targets import find_targets, layer_shape
from tests.models.test_fused import FAMILIES, TEXTS
from tests.small_models import ARCHITECTURES


@pytest.mark.parametrize("family", FAMILIES)
def test_decoding_gives_the_logits_of_whole_texts(family: str) -> None:
    """Token by token through the compiled kernels, against each text in one pass."""
    model = FAMILIES[family]()
    shapes = {n: layer_shape(m) for n, m in find_targets(model, "all-linear").items()}
    adapters = AdapterStack({n: s for n, s in shapes.items() if s is not None}, 3, 4, 8.0)
    adapters.initialize(0, init_noise=0.3)
    fused = fuse(model)
    assert fused is not None
    compiled = CompiledModel(fused.weights)
    texts = [text for text in TEXTS if len(text.tokens) > 1]
    whole, prompts = (
        Packing(some, torch.device("cpu"))
        for some in (texts, [Text(text.slot, text.prompt) for text in texts])
    )
    states: list[tuple[Tensor, Tensor]] = []

    def logits(packing: Packing, attention: PackedAttention) -> Tensor:
        route = Route(adapters, packing.slots, "segments", packed=True)
        return compiled.logits(packing.ids_N, packing.position_N, route, attention)

    with torch.no_grad():
        expected_NV = logits(whole, PackedAttention(whole))
        logits(prompts, PackedAttention(prompts, states=states))
        rows = RowStates(states, prompts.prompts, prompts.group_of, 1)
        factors = RowFactors(adapters, [text.slot for text in texts], torch.float32)
        for step in range(2):
            rows.next()
            token_R = torch.tensor([text.tokens[step] for text in texts])
            position_R = torch.tensor([len(text.prompt) + step for text in texts])
            logits_RV = compiled.decode(token_R, position_R, factors, rows)
            there_RV = expected_NV[torch.tensor(whole.starts) + step]
            assert torch.allclose(logits_RV, there_RV, atol=1e-4, rtol=1e-4)


SLOTS: list[int | None] = [1, 0, 1, None, 1, 0]
PROMPTS = [(5, 9), (7,) * 12, (5, 9), (5, 9), (40,), (7,) * 12]
TOKENS = [(8, 2), (20, 21, 22), tuple(range(50, 70)), (9,), (), (2, 3)]


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_scores_and_gradients_are_those_of_plain_torch(make_model, kind: str) -> None:
    model = make_model(kind)
    plain = model.base
    parameters = list(model.adapters.parameters().values())
    weight_BT = torch.randn(6, 20, generator=torch.Generator().manual_seed(1))

    def gradients() -> tuple[Tensor, list[Tensor]]:
        logprobs_BT, _ = model.score(SLOTS, PROMPTS, TOKENS)
        return logprobs_BT, list(torch.autograd.grad((logprobs_BT * weight_BT).sum(), parameters))

    expected_BT, expected = gradients()
    model.base = accelerated(plain)
    assert model.base.kernel is not plain.kernel
    logprobs_BT, slopes = gradients()
    assert torch.allclose(logprobs_BT, expected_BT, atol=1e-4)
    largest = max(float(slope.abs().max()) for slope in expected)
    for one, other in zip(slopes, expected, strict=True):
        assert float((one - other).abs().max()) <= 1e-4 * largest


def test_a_base_that_reads_no_packed_texts_stays_as_it_is(make_model) -> None:
    base = replace(make_model().base, packed=None)
    assert accelerated(base) is base
