"""Where a base lies, and whether its files are whole."""

import json
import shutil
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

import redqueen
from redqueen.config.policy import PolicyConfig
from redqueen.errors import ConfigError
from redqueen.models.population_model import PopulationModel
from redqueen.models.sources import dialect_of, resolve_base


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


@pytest.mark.parametrize(
    "base", ["/no/such/model", "./no", "~/no/such", "a/b/c", "~no-such-user/x"]
)
def test_paths_are_not_taken_for_hub_ids(base: str) -> None:
    with pytest.raises(ConfigError, match="no such directory"):
        resolve_base(base)


def test_links_to_nothing_and_files_that_are_gone_are_no_hub_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gone").symlink_to("nowhere")
    Path("loop").symlink_to("loop")
    for base, kind in (("gone", "directory"), ("loop", "directory"), ("a/b.gguf", "file")):
        with pytest.raises(ConfigError, match=f"there is no such {kind}"):
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
