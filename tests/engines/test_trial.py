"""The trial at load: what passes, and the sentence for what does not."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from transformers import PreTrainedModel

from redqueen.config.policy import PolicyConfig
from redqueen.engines.decoding import SharedRows, make_rows
from redqueen.engines.trial import try_base
from redqueen.errors import ConfigError
from redqueen.models.population_model import PopulationModel
from tests.small_models import ARCHITECTURES, EMBEDDINGS, save_tokenizer, small_model

IDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
SIZES = {
    "vocab_size": EMBEDDINGS, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 96,
    "initializer_range": 0.3, **IDS,
}  # fmt: skip
UNUSUAL = {
    "sliding windows": ("mistral", {"sliding_window": 4}),
    "a softcap": ("gemma2", {"head_dim": 8, "sliding_window": 4}),
    "convolutions": ("lfm2", {"layer_types": ["conv", "full_attention"]}),
    "attention twice a layer": ("diffllama", {}),
    "heads of unequal size": (
        "deepseek_v3",
        {"num_key_value_heads": 4, "moe_intermediate_size": 16, "n_routed_experts": 4,
         "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1,
         "kv_lora_rank": 8, "q_lora_rank": 16, "qk_rope_head_dim": 8, "v_head_dim": 12,
         "qk_nope_head_dim": 8},
    ),
    "linear attention": (
        "qwen3_5_text",
        {"head_dim": 8, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
         "linear_key_head_dim": 8, "linear_value_head_dim": 8,
         "layer_types": ["linear_attention", "full_attention"]},
    ),
}  # fmt: skip


def load(model: PreTrainedModel, directory: Path) -> PopulationModel:
    model.eval().save_pretrained(directory)
    save_tokenizer(directory)
    config = PolicyConfig(base=str(directory), rank=4, device="cpu", dtype="float32")
    return PopulationModel.load(config, 2, 0)


def made(kind: str, more: dict[str, object]) -> PreTrainedModel:
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(kind, **{**SIZES, **more})
    return transformers.AutoModelForCausalLM.from_config(config)


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_ordinary_bases_pass_and_keep_their_adapters(make_model, kind: str) -> None:
    model = make_model(kind)
    before = {name: tensor.clone() for name, tensor in model.adapters.state_dict().items()}
    try_base(model)
    after = model.adapters.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_bases_work(tmp_path: Path, name: str) -> None:
    model = load(made(*UNUSUAL[name]), tmp_path)
    try_base(model)
    logprobs_BT = model.score([0, 1], [(5, 9, 11), (40,)], [(8, 2), (20, 21, 22)]).logprobs_BT
    logprobs_BT.sum().backward()
    assert all(b.grad is not None and b.grad.abs().sum() > 0 for b in model.adapters.B.values())


def test_an_encoder_is_no_causal_model(tmp_path: Path) -> None:
    sizes = {key: SIZES[key] for key in SIZES if key != "num_key_value_heads"}
    config = transformers.BertConfig(**sizes)
    model = load(transformers.BertLMHeadModel(config), tmp_path)
    with pytest.raises(ConfigError, match="does not read from left to right"):
        try_base(model)


def test_damaged_weights(tmp_path: Path) -> None:
    damaged = small_model("llama")
    damaged.model.layers[1].mlp.down_proj.weight.data[3, 3] = float("nan")
    model = load(damaged, tmp_path)
    with pytest.raises(ConfigError, match=r"policy\.base = .*not finite"):
        try_base(model)


def test_damage_that_few_tokens_do_not_show(tmp_path: Path) -> None:
    damaged = small_model("llama")
    damaged.model.embed_tokens.weight.data[77, 3] = float("inf")
    model = load(damaged, tmp_path)
    with pytest.raises(ConfigError, match=r"weight model\.embed_tokens\.weight are not finite"):
        try_base(model)


def test_a_base_that_says_nothing(tmp_path: Path) -> None:
    mute = small_model("llama")
    mute.lm_head.weight.data.zero_()
    model = load(mute, tmp_path)
    with pytest.raises(ConfigError, match="the same logits to every token"):
        try_base(model)


def test_a_context_of_a_few_tokens(tmp_path: Path) -> None:
    model = load(small_model("llama", max_position_embeddings=8), tmp_path)
    with pytest.raises(ConfigError, match="its context is of 8 tokens"):
        try_base(model)


def test_rows_that_write_something_else_are_noticed(make_model) -> None:
    class Late(SharedRows):
        """Forgets to move on."""

        def decode(self, token_R, route):
            self.position_R = self.position_R - 1
            return super().decode(token_R, route)

    model = make_model()
    late: Callable[..., SharedRows] = lambda base, slots, prompts, room: Late(  # noqa: E731
        base, base.packed, slots, prompts
    )
    with pytest.raises(ConfigError, match=r"written side by side .* deviations off"):
        try_base(model, late)
    try_base(model, make_rows)


def test_a_template_that_drops_the_prompt(make_model) -> None:
    model = make_model()
    model.tokenizer.chat_template = "{% for m in messages %}[{{ m.role }}]{% endfor %}"
    with pytest.raises(ConfigError, match="leaves out what a user writes"):
        try_base(model)


def test_an_adapter_beside_the_model_is_refused(model_dirs, tmp_path: Path) -> None:
    path = shutil.copytree(model_dirs["llama"], tmp_path / "model")
    (path / "adapter_config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"adapter beside the model.*population\.from"):
        PopulationModel.load(PolicyConfig(base=str(path), device="cpu"), 1, 0)
