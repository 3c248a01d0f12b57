"""The fused forward pass against the library's, with and without adapters."""

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from redqueen.models.adapters import AdapterStack
from redqueen.models.attention import LibraryModel, PackedAttention, PackedModel, fit
from redqueen.models.fused import fuse
from redqueen.models.head import HeadSelector
from redqueen.models.packing import Packing, Text
from redqueen.models.routing import Router
from redqueen.models.targets import find_targets, layer_shape
from tests.models.test_attention import SIZES
from tests.small_models import small_model

TEXTS = [
    Text(0, (3, 4, 5, 6), (7, 8, 9)),
    Text(0, (3, 4, 5, 6), (10,)),
    Text(2, (11, 12), (13, 14, 15, 16)),
    Text(2, (5,) * 9, (6, 7)),
    Text(None, (20, 21), (22, 23)),
]


def spread(model: PreTrainedModel) -> PreTrainedModel:
    """Weights wide enough that logits differ, norms that are not all one."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model.eval().requires_grad_(False)


FAMILIES = {
    "llama": lambda: small_model("llama").requires_grad_(False),
    "llama with biases": lambda: spread(
        LlamaForCausalLM(LlamaConfig(**SIZES, attention_bias=True, mlp_bias=True))
    ),
    "llama 3 positions": lambda: spread(
        LlamaForCausalLM(
            LlamaConfig(
                **SIZES,
                max_position_embeddings=128,
                rope_parameters={
                    "rope_type": "llama3",
                    "rope_theta": 10000.0,
                    "factor": 8.0,
                    "low_freq_factor": 1.0,
                    "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 16,
                },
            )
        )
    ),
    "mistral": lambda: spread(MistralForCausalLM(MistralConfig(**SIZES, sliding_window=None))),
    "qwen2": lambda: small_model("qwen2").requires_grad_(False),
    "qwen3": lambda: spread(Qwen3ForCausalLM(Qwen3Config(**SIZES, head_dim=16))),
}
TARGETS: dict[str, str | tuple[str, ...]] = {
    "all": "all-linear",
    "some": ("k_proj", "up_proj", "down_proj"),
    "one": ("v_proj",),
}


def library_of(model: nn.Module) -> LibraryModel:
    library = fit(model, HeadSelector(model))
    assert library is not None
    return library


def run(
    model: PackedModel, stack: AdapterStack, router: Router, strategy: str, probe: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Logits of `TEXTS`, and the gradients of a weighted sum of them."""
    packing = Packing(TEXTS, torch.device("cpu"))
    with router.route(packing.slots, strategy, packed=True) as route:
        logits = model.logits(packing.ids_N, packing.position_N, route, PackedAttention(packing))
    parameters = list(stack.parameters().values())
    return logits.detach(), list(torch.autograd.grad((logits * probe).sum(), parameters))


@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_and_gradients_are_the_library_s(family: str, targets: str) -> None:
    model = FAMILIES[family]()
    library, fused = library_of(model), fuse(model)
    assert fused is not None
    modules = find_targets(model, TARGETS[targets])
    shapes = {name: layer_shape(module) for name, module in modules.items()}
    stack = AdapterStack({n: s for n, s in shapes.items() if s is not None}, 3, 4, 6.0)
    stack.initialize(0, init_noise=0.2)
    router = Router(modules, stack)
    tokens = len(Packing(TEXTS, torch.device("cpu")).ids_N)
    probe = torch.randn(tokens, 112, generator=torch.Generator().manual_seed(1)) / tokens
    expected, slopes = run(library, stack, router, "segments", probe)
    plain = library_logits_without_adapters(library)
    assert not torch.allclose(expected, plain, atol=0.05)
    for strategy in ("segments", "padded"):
        found, gradients = run(fused, stack, router, strategy, probe)
        assert torch.allclose(found, expected, atol=2e-5)
        for gradient, slope in zip(gradients, slopes, strict=True):
            assert torch.allclose(gradient, slope, atol=1e-5)
    packing = Packing(TEXTS, torch.device("cpu"))
    with torch.no_grad(), router.route(packing.slots, "segments", packed=True) as route:
        found = fused.logits(packing.ids_N, packing.position_N, route, PackedAttention(packing))
    assert torch.allclose(found, expected, atol=2e-5)


def library_logits_without_adapters(library: LibraryModel) -> Tensor:
    packing = Packing(TEXTS, torch.device("cpu"))
    with torch.no_grad():
        return library.logits(packing.ids_N, packing.position_N, None, PackedAttention(packing))


@pytest.mark.parametrize("family", FAMILIES)
def test_joined_weights_are_kept_once_and_the_model_keeps_its_bits(family: str) -> None:
    model = FAMILIES[family]()
    ids = torch.arange(3, 15).view(2, 6)
    before = model(ids).logits
    size = sum(p.numel() for p in model.parameters())
    assert fuse(model) is not None
    assert torch.equal(model(ids).logits, before)
    assert sum(p.numel() for p in model.parameters()) == size
    for layer in model.model.layers:
        attention = layer.self_attn
        joined = [attention.q_proj, attention.k_proj, attention.v_proj]
        assert len({module.weight.untyped_storage().data_ptr() for module in joined}) == 1


def test_logits_of_chosen_tokens_alone() -> None:
    fused = fuse(small_model("llama").requires_grad_(False))
    assert fused is not None
    packing = Packing([Text(None, (3, 4), (5, 6)), Text(None, (8,))], torch.device("cpu"))
    inputs = (packing.ids_N, packing.position_N, None, PackedAttention(packing))
    every, some = fused.logits(*inputs), fused.logits(*inputs, torch.tensor([4, 0, 0]))
    assert torch.allclose(some, every[[4, 0, 0]], atol=1e-5)


class Scaled(nn.Linear):
    """A layer that is more than its weight, as quantised ones are."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def with_scaled_layer() -> PreTrainedModel:
    model = small_model("llama").requires_grad_(False)
    model.model.layers[0].mlp.up_proj = Scaled(32, 48, bias=False)
    return model


def with_shifted_norm(monkeypatch: pytest.MonkeyPatch) -> PreTrainedModel:
    """A norm that looks like Llama's and computes something else."""
    model = small_model("llama").requires_grad_(False)
    norm = model.model.norm
    forward = norm.forward
    monkeypatch.setattr(norm, "forward", lambda x: forward(x) + x)
    return model


def test_models_of_other_parts_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    dynamic = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}
    others = [
        small_model("gpt2"),
        LlamaForCausalLM(LlamaConfig(**SIZES, hidden_act="gelu")),
        LlamaForCausalLM(LlamaConfig(**SIZES, rope_parameters=dynamic)),
        with_scaled_layer(),
        with_shifted_norm(monkeypatch),
    ]
    assert [fuse(model.eval()) for model in others] == [None] * len(others)
