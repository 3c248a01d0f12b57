"""Finding and checking the base; prompts and special tokens."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import processors
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

import redqueen
from redqueen.config.policy import PolicyConfig
from redqueen.engines.base import Sampling
from redqueen.engines.torch import Torch
from redqueen.errors import ConfigError
from redqueen.models.loading import load_base, resolve_device
from redqueen.models.population_model import PopulationModel
from redqueen.models.sources import dialect_of, resolve_base
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


@pytest.fixture
def copy_of(model_dirs, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_dirs["llama"], tmp_path / "model"))


def test_missing_or_broken_directories(copy_of: Path) -> None:
    def message() -> str:
        with pytest.raises(ConfigError) as caught:
            resolve_base(str(copy_of))
        text = str(caught.value)
        assert text.startswith(f"policy.base = '{copy_of}'")
        assert "\n" not in text
        return text

    weights, config = copy_of / "model.safetensors", copy_of / "config.json"
    resolve_base(str(copy_of))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (copy_of / name).rename(copy_of / f"{name}.away")
    assert "no tokenizer" in message()
    weights.rename(copy_of / "pytorch_model.bin")
    assert "no *.safetensors weights" in message()
    config.write_text("[]")
    assert "is not a table" in message()
    config.write_text("{}")
    assert "model_type" in message()
    config.write_text("{")
    assert "not readable" in message()
    config.unlink()
    assert "no config.json" in message()
    (copy_of / "adapter_config.json").write_text("{}")
    assert "is an adapter (adapter_config.json), not a base" in message()
    shutil.rmtree(copy_of)
    assert "no such directory" in message()
    copy_of.write_text("")
    assert "not a directory" in message()


@pytest.mark.parametrize("base", ["/no/such/model", "./no", "~/no/such", "a/b/c"])
def test_paths_are_not_taken_for_hub_ids(base: str) -> None:
    with pytest.raises(ConfigError, match="no such directory"):
        resolve_base(base)


def test_hub_ids() -> None:
    assert resolve_base("Qwen/Qwen2.5-0.5B") == "Qwen/Qwen2.5-0.5B"
    with pytest.raises(ConfigError, match="no embedded base"):
        resolve_base("not a name")


def test_absent_seedling_says_how_to_make_it(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(redqueen, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(ConfigError, match="make seedling"):
        resolve_base("seedling")


def test_present_seedling_is_found(monkeypatch, tmp_path: Path, model_dirs) -> None:
    monkeypatch.setattr(redqueen, "__file__", str(tmp_path / "__init__.py"))
    shutil.copytree(model_dirs["llama"], tmp_path / "bases" / "seedling")
    model = PopulationModel.load(
        PolicyConfig(base="seedling", rank=2, device="cpu"), slots=1, seed=0
    )
    model.export(0, tmp_path / "out")
    exported = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert exported["base_model_name_or_path"] == "redqueen/seedling"


def test_unloadable_weights_are_one_sentence(copy_of: Path) -> None:
    (copy_of / "config.json").write_text(json.dumps({"model_type": "no_such_model"}))
    with pytest.raises(ConfigError, match="cannot be loaded") as caught:
        load_base(PolicyConfig(base=str(copy_of), device="cpu"))
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_whole(copy_of: Path) -> None:
    path = copy_of / "model.safetensors"
    whole = path.read_bytes()
    for damaged in (whole[:5000], whole[:-1], b"", whole + b"x"):
        path.write_bytes(damaged)
        with pytest.raises(ConfigError, match="is not a whole safetensors file"):
            resolve_base(str(copy_of))
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n")
    with pytest.raises(ConfigError, match="is a pointer of Git LFS; run `git lfs pull`"):
        resolve_base(str(copy_of))
    path.unlink()
    path.symlink_to("nothing")
    with pytest.raises(ConfigError, match="is missing, or a link to nothing"):
        resolve_base(str(copy_of))


def test_shards_that_are_not_all_there(copy_of: Path) -> None:
    AutoModelForCausalLM.from_pretrained(copy_of).save_pretrained(copy_of, max_shard_size="20KB")
    shards = sorted(copy_of.glob("model-*.safetensors"))
    assert len(shards) > 1
    (copy_of / "model.safetensors").unlink(missing_ok=True)
    resolve_base(str(copy_of))
    shards[-1].unlink()
    with pytest.raises(ConfigError, match=f"{shards[-1].name} is missing"):
        resolve_base(str(copy_of))
    (copy_of / "model.safetensors.index.json").write_text('{"weight_map": 3}')
    with pytest.raises(ConfigError, match="has no weight_map"):
        resolve_base(str(copy_of))


def test_a_broken_generation_config_is_not_passed_over(copy_of: Path) -> None:
    (copy_of / "generation_config.json").write_text('{"eos_token_id": [4')
    with pytest.raises(ConfigError, match=r"generation_config\.json is not readable"):
        resolve_base(str(copy_of))


def test_gguf_files_are_known_by_name_and_by_their_first_bytes(tmp_path: Path) -> None:
    for name in ("a.gguf", "A.GGUF"):
        with pytest.raises(ConfigError, match="there is no such file"):
            resolve_base(str(tmp_path / name))
        for content in (b"", b"text"):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(ConfigError, match="is not a GGUF file"):
                resolve_base(str(tmp_path / name))


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


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ('{"model_type": "llama", "redqueen_dialect": "seedling2"}', "seedling2"),
        ('{"model_type": "llama"}', "chat"),
        ("[]", "chat"),
        ("{", "chat"),
    ],
)
def test_a_base_names_its_dialect(tmp_path: Path, text: str, dialect: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert dialect_of(str(tmp_path)) == dialect


def test_the_dialects_of_the_seedling_and_of_a_hub_id() -> None:
    assert dialect_of("seedling") == "seedling"
    assert dialect_of("Qwen/Qwen2.5-Coder-0.5B-Instruct") == "chat"
