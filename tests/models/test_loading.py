"""Loading the base; prompts and special tokens."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import processors
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from redqueen.config.policy import PolicyConfig
from redqueen.engines.base import Sampling
from redqueen.engines.torch import Torch
from redqueen.errors import ConfigError
from redqueen.models.loading import load_base, resolve_device
from redqueen.models.population_model import PopulationModel
from redqueen.types import Request, user


def test_base_is_frozen_and_typed(model_dirs) -> None:
    base = load_base(PolicyConfig(base=str(model_dirs["llama"]), dtype="bfloat16", device="cpu"))
    assert not base.model.training
    assert {p.dtype for p in base.model.parameters()} == {torch.bfloat16}
    assert not any(p.requires_grad for p in base.model.parameters())
    assert (base.context, base.eos_ids, base.embeddings) == (96, {2}, 112)


def test_parameter_count(make_model) -> None:
    model = make_model()
    assert model.num_parameters == sum(p.numel() for p in model.base.model.parameters())


def test_unloadable_weights_are_one_sentence(copy_of: Path) -> None:
    (copy_of / "config.json").write_text(json.dumps({"model_type": "no_such_model"}))
    with pytest.raises(ConfigError, match="cannot be loaded") as caught:
        load_base(PolicyConfig(base=str(copy_of), device="cpu"))
    assert "\n" not in str(caught.value)


def test_weights_that_the_config_has_no_place_for_are_named(copy_of: Path, caplog) -> None:
    config = json.loads((copy_of / "config.json").read_text())
    (copy_of / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 1}))
    load_base(PolicyConfig(base=str(copy_of), device="cpu"))
    assert "for instance model.layers.1." in caplog.text


def test_a_tokenizer_of_a_much_smaller_model_is_doubted(copy_of: Path, caplog) -> None:
    load_base(PolicyConfig(base=str(copy_of), device="cpu"))
    assert not caplog.text
    model = AutoModelForCausalLM.from_pretrained(copy_of)
    model.resize_token_embeddings(200)
    model.save_pretrained(copy_of)
    load_base(PolicyConfig(base=str(copy_of), device="cpu"))
    assert "its tokenizer knows 96 tokens, the model 200" in caplog.text


def test_incomplete_weights_are_not_filled_with_noise(copy_of: Path) -> None:
    path = copy_of / "model.safetensors"
    weights = load_file(path)
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ConfigError, match=r"lacks 1 weights.*up_proj"):
        load_base(PolicyConfig(base=str(copy_of), device="cpu"))


def test_weights_of_another_size(copy_of: Path) -> None:
    config = json.loads((copy_of / "config.json").read_text())
    (copy_of / "config.json").write_text(json.dumps({**config, "intermediate_size": 40}))
    with pytest.raises(ConfigError, match="cannot be loaded"):
        load_base(PolicyConfig(base=str(copy_of), device="cpu"))


def test_devices() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type in ("cpu", "cuda")
    for name, message in (("gpu", "is not a device"), ("meta", "not supported")):
        with pytest.raises(ConfigError, match=message):
            resolve_device(name)
    with pytest.raises(ConfigError, match="CUDA devices"):
        resolve_device("cuda:99")


def test_a_prompt_gets_its_special_prefix_once(copy_of: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(copy_of)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    tokenizer.save_pretrained(copy_of)
    base = load_base(PolicyConfig(base=str(copy_of), device="cpu"))
    bare = tuple(tokenizer("f(1)", add_special_tokens=False)["input_ids"])
    assert base.prefix_ids == (1,)
    # Never the closing token either: it would end the text before the model has begun.
    assert base.encode("f(1)") == (1, *bare)
    assert base.encode("<s>f(1)") == (1, *bare)
    assert base.encode("") == (1,)
    # What the model should have written follows a prompt, and ends.
    assert base.encode_reply("f(1)") == (*bare, 2)


def test_a_token_the_model_lacks_is_named(copy_of: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(copy_of)
    tokenizer.add_tokens([f"<new{i}>" for i in range(20)])
    tokenizer.save_pretrained(copy_of)
    base = load_base(PolicyConfig(base=str(copy_of), device="cpu"))
    assert base.encode("f(1)")
    with pytest.raises(ConfigError, match="do not belong together"):
        base.encode("<new19>")


def test_several_end_tokens(copy_of: Path) -> None:
    GenerationConfig(eos_token_id=[40, 41]).save_pretrained(copy_of)
    model = PopulationModel.load(
        PolicyConfig(base=str(copy_of), rank=2, device="cpu"), slots=1, seed=0
    )
    assert model.base.eos_ids == {2, 40, 41}
    rows = [Request(0, user("f(1)"), i) for i in range(64)]
    done = Torch().build(model).generate(rows, Sampling(60, 2.0))
    assert {c.token_ids[-1] for c in done if c.finished} == {2, 40, 41}
