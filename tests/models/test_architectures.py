"""Bases of many architectures: loaded, adapted, exported for PEFT, merged, and read back."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoConfig,
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
EXPERTS = {"moe_intermediate_size": 16, "num_experts": 4, "num_experts_per_tok": 2}
ROUTED = {
    "moe_intermediate_size": 16, "n_routed_experts": 4, "num_experts_per_tok": 2,
    "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1, "head_dim": 8,
}  # fmt: skip
WINDOWS = {"sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"]}


def made(kind: str, sizes: dict[str, object]) -> PreTrainedModel:
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes))


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
    # Feed-forward layers that get all tokens of all rows in one row.
    "opt": lambda: made("opt", {**SIZES, "ffn_dim": 48, "word_embed_proj_dim": 32}),
    "qwen2_moe": lambda: made(
        "qwen2_moe", {**GROUPED, **EXPERTS, "shared_expert_intermediate_size": 16}
    ),
    # Layers beside the experts whose names PEFT takes for those of the experts.
    "glm4_moe": lambda: made("glm4_moe", {**GROUPED, **ROUTED}),
    # A router that is a linear layer and returns two tensors.
    "llama4": lambda: made(
        "llama4_text",
        {**GROUPED, "head_dim": 8, "intermediate_size_mlp": 48, "num_local_experts": 2,
         "num_experts_per_tok": 1},
    ),
    # Layers that PEFT refuses to adapt.
    "falcon_h1": lambda: made(
        "falcon_h1",
        {**GROUPED, "head_dim": 8, "mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8,
         "mamba_d_state": 4},
    ),
    # Layers that are called 0 and 2, as blocks are.
    "ctrl": lambda: made(
        "ctrl",
        {"vocab_size": EMBEDDINGS, "n_embd": 32, "dff": 48, "n_layer": 2, "n_head": 4,
         "n_positions": 96, "initializer_range": 0.3},
    ),
    "mixtral": lambda: made(
        "mixtral", {**GROUPED, "num_local_experts": 4, "num_experts_per_tok": 2}
    ),
    "gemma3": lambda: made("gemma3_text", {**GROUPED, "head_dim": 16, **WINDOWS}),
    "smollm3": lambda: made("smollm3", {**GROUPED, "no_rope_layers": [1, 0]}),
    "falcon": lambda: made("falcon", {**SIZES, "alibi": True, "bias": True}),
}  # fmt: skip


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
