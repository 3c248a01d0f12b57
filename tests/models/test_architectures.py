"""Bases of nine architectures: loaded, adapted, exported for PEFT, merged, and read back."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Olmo2Config,
    Olmo2ForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedModel,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from redqueen.config.policy import PolicyConfig
from redqueen.models.population_model import PopulationModel
from tests.small_models import EMBEDDINGS, in_peft, randomize, save_tokenizer, small_model

SIZES = {
    "vocab_size": EMBEDDINGS, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "max_position_embeddings": 96, "initializer_range": 0.3,
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
GROUPED = {**SIZES, "num_key_value_heads": 2}
IDS = torch.arange(3, 13)[None]
MAKE: dict[str, Callable[[], PreTrainedModel]] = {
    "llama": lambda: small_model("llama"),
    "qwen2": lambda: small_model("qwen2"),
    "gpt2": lambda: small_model("gpt2"),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**GROUPED, sliding_window=None)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**GROUPED, head_dim=16)),
    "gemma2": lambda: Gemma2ForCausalLM(Gemma2Config(**GROUPED, head_dim=16, sliding_window=64)),
    "phi3": lambda: Phi3ForCausalLM(Phi3Config(**GROUPED)),
    "gpt_neox": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**SIZES)),
    "olmo2": lambda: Olmo2ForCausalLM(Olmo2Config(**GROUPED)),
}


@pytest.fixture(params=MAKE)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    place = tmp_path / "base"
    MAKE[request.param]().eval().save_pretrained(place)
    save_tokenizer(place)
    return place


@torch.no_grad()
def test_adapters_go_out_and_come_back(folder: Path, tmp_path: Path) -> None:
    config = PolicyConfig(base=str(folder), dtype="float32", device="cpu", rank=3, alpha=7.0)
    model = PopulationModel.load(config, 3, seed=0)
    randomize(model)
    plain = model.base.model(IDS).logits
    with model.router.route([1]):
        routed = model.base.model(IDS).logits
    assert (routed - plain).abs().max() > 0.1

    factors, alpha = model.adapters.get(1), model.adapters.alpha
    model.export_factors(factors, alpha, tmp_path / "adapter")
    base = AutoModelForCausalLM.from_pretrained(folder)
    peft = in_peft(base, tmp_path / "adapter").eval()
    assert (peft(IDS).logits - routed).abs().max() <= 1e-4

    model.export_merged(factors, alpha, tmp_path / "merged")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert (merged(IDS).logits - routed).abs().max() <= 1e-4

    model.import_adapter(2, tmp_path / "adapter")
    with model.router.route([2]):
        assert (model.base.model(IDS).logits - routed).abs().max() <= 1e-5
