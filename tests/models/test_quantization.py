"""Bases in 8 and 4 bits, against plain models with the weights that the bits stand for.

bitsandbytes takes seconds to import (it imports a compiler), so what needs it does that.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM

from redqueen.config.policy import PolicyConfig
from redqueen.engines.auto import Auto
from redqueen.engines.cpu import Cpu
from redqueen.engines.torch import TorchEngine
from redqueen.errors import ConfigError
from redqueen.models.population_model import PopulationModel
from redqueen.plan import base_bytes, shapes_of
from tests.small_models import save_tokenizer, small_model

IDS = torch.arange(3, 13)[None]
BITS = ("8bit", "4bit")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model whose rows are whole blocks of 64 weights."""
    place = tmp_path_factory.mktemp("llama")
    small_model("llama", hidden_size=64, intermediate_size=128).save_pretrained(place)
    save_tokenizer(place)
    return place


def quantised_layers(model: nn.Module) -> dict[str, Any]:
    """The layers in few bits, by name."""
    from bitsandbytes.nn import Linear4bit, Linear8bitLt

    kinds = (Linear4bit, Linear8bitLt)
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, kinds)}


def scale(layer: Any) -> torch.Tensor:
    """The scales of the rows of a layer in 8 bits, which move with the first use."""
    moved: torch.Tensor = layer.state.SCB
    return layer.weight.SCB if moved is None else moved


def whole_weight(layer: Any) -> torch.Tensor:
    """What a quantised layer's bits stand for."""
    import bitsandbytes as bnb

    if isinstance(layer, bnb.nn.Linear4bit):
        return bnb.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state).float()
    assert isinstance(layer, bnb.nn.Linear8bitLt)
    return layer.weight.data.float() * scale(layer)[:, None] / 127


@pytest.fixture(params=BITS)
def quantised(request: pytest.FixtureRequest, folder: Path) -> PopulationModel:
    config = PolicyConfig(
        base=str(folder), dtype="float32", device="cpu", rank=2,
        quantization=request.param,
    )  # fmt: skip
    model = PopulationModel.load(config, 3, seed=0)
    generator = torch.Generator().manual_seed(1)
    for stack in model.adapters.B.values():
        stack.data.normal_(0.0, 0.5, generator=generator)
    return model


@pytest.fixture
def reference(quantised: PopulationModel, folder: Path) -> nn.Module:
    """The plain model with those weights."""
    plain = AutoModelForCausalLM.from_pretrained(folder)
    # Of a model that has not computed yet: its bits may be ordered anew for some kernels.
    bits = quantised.base.model.config.quantization_config
    fresh = AutoModelForCausalLM.from_pretrained(
        folder, quantization_config=bits, device_map={"": "cpu"}
    )
    for name, layer in quantised_layers(fresh).items():
        plain.get_submodule(name).weight.data = whole_weight(layer)
    return plain


@torch.no_grad()
def test_logits_are_those_of_what_the_bits_stand_for(
    quantised: PopulationModel, reference: nn.Module, folder: Path
) -> None:
    found, expected = quantised.base.model(IDS).logits, reference(IDS).logits
    whole = AutoModelForCausalLM.from_pretrained(folder)(IDS).logits
    # In 8 bits the activations are rounded too.
    limit = 0.05 if quantised.config.quantization == "8bit" else 1e-4
    assert (found - expected).abs().mean() <= limit * expected.std()
    assert (found - expected).abs().mean() < (found - whole).abs().mean() <= 0.5 * whole.std()
    assert quantised.num_parameters == sum(p.numel() for p in reference.parameters())


def test_adapters_learn_on_it_as_on_those_weights(
    quantised: PopulationModel, reference: nn.Module
) -> None:
    loss = -quantised.score([1], [(3, 4, 5)], [(6, 7, 8)], temperature=1.0).logprobs_BT.sum()
    loss.backward()
    grads = {name: stack.grad[1] for name, stack in quantised.adapters.A.items()}
    for name, (a, b) in quantised.adapters.get(1).items():
        layer = reference.get_submodule(name)
        a, b = (t.clone().requires_grad_() for t in (a, b))
        layer.register_forward_hook(
            lambda _, args, out, a=a, b=b: (
                out + (quantised.adapters.alpha / len(a)) * args[0] @ a.T @ b.T
            )
        )
        layer.factor = a
    logits = reference(torch.tensor([[3, 4, 5, 6, 7, 8]])).logits[0, 2:5]
    (-logits.log_softmax(-1)[[0, 1, 2], [6, 7, 8]].sum()).backward()
    tolerance = 0.2 if quantised.config.quantization == "8bit" else 1e-3
    for name, grad in grads.items():
        expected = reference.get_submodule(name).factor.grad
        assert (grad - expected).norm() <= tolerance * expected.norm() + 1e-6, name


@torch.no_grad()
def test_a_merged_export_has_whole_weights(
    quantised: PopulationModel, folder: Path, tmp_path: Path
) -> None:
    adapters = quantised.adapters
    quantised.export_merged(adapters.get(1), adapters.alpha, tmp_path)
    whole = PopulationModel.load(
        quantised.config.model_copy(update={"quantization": "none"}), 3, seed=0
    )
    whole.adapters.set(1, adapters.get(1))
    with whole.router.route([1]):
        expected = whole.base.model(IDS).logits
    merged = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert (merged(IDS).logits - expected).abs().max() <= 1e-4


def test_the_engine_of_whole_weights_stays_away(quantised: PopulationModel) -> None:
    with pytest.raises(ConfigError, match=r"policy\.quantization"):
        Cpu().build(quantised)
    engine = Auto().build(quantised)
    assert isinstance(engine, TorchEngine)
    engine.close()


@pytest.mark.parametrize("bits", BITS)
def test_plan_counts_the_bytes(bits: str, folder: Path) -> None:
    config = PolicyConfig(base=str(folder), dtype="float32", device="cpu", quantization=bits)
    model = PopulationModel.load(config, 1, seed=0).base.model
    shapes = shapes_of(model.config.to_dict(), "all-linear")
    held = sum(p.numel() * p.element_size() for p in model.parameters())
    for layer in quantised_layers(model).values():
        held += scale(layer).numel() * 4 if bits == "8bit" else 0
    # Block scales of so small layers weigh more than in a real model.
    assert held == pytest.approx(base_bytes(shapes, bits, 4), rel=0.05)
