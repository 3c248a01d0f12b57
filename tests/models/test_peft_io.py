"""PEFT directories: there and back, and clear refusals."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from redqueen.errors import ConfigError, InfrastructureError
from redqueen.models.population_model import PopulationModel
from tests.small_models import ARCHITECTURES, in_peft


def edit(directory: Path, **values: object) -> None:
    path = directory / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_round_trip_is_exact(make_model, tmp_path: Path, kind: str) -> None:
    model: PopulationModel = make_model(kind, rank=3, alpha=7.0)
    before = {name: t.detach().clone() for name, t in model.adapters.parameters().items()}
    model.export(1, tmp_path / "one")
    model.import_adapter(0, tmp_path / "one")
    for name, tensor in model.adapters.parameters().items():
        assert torch.equal(tensor[0], before[name][1])
        assert torch.equal(tensor[1:], before[name][1:])
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]


@pytest.mark.parametrize("kind", ARCHITECTURES)
@pytest.mark.parametrize("targets", ["all-linear", "some"])
def test_export_loads_in_peft_with_every_weight(
    make_model, model_dirs, tmp_path: Path, kind: str, targets: str
) -> None:
    # A suffix that also ends the name of layers without adapters: gpt2 has two c_proj.
    some = {"gpt2": ("attn.c_proj",)}.get(kind, ("q_proj", "down_proj"))
    model = make_model(kind, rank=2, alpha=5.0, targets=targets if targets != "some" else some)
    model.export(2, tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(model_dirs[kind])
    assert (config["r"], config["lora_alpha"]) == (2, 5.0)
    base = AutoModelForCausalLM.from_pretrained(model_dirs[kind])
    peft = in_peft(base, tmp_path)
    found = {n: p for n, p in peft.named_parameters() if "lora_" in n}
    assert len(found) == 2 * len(model.adapters.layers)
    ids = torch.arange(3, 13)[None]
    with torch.no_grad(), model.router.route([2]):
        routed = model.base.model(ids).logits
        assert (routed - peft(ids).logits).abs().max() <= 1e-4


@pytest.mark.parametrize("rslora", [False, True])
def test_import_of_a_peft_adapter_keeps_its_scaling(
    make_model, model_dirs, tmp_path: Path, rslora: bool
) -> None:
    from peft import LoraConfig, get_peft_model

    model = make_model()
    base = AutoModelForCausalLM.from_pretrained(model_dirs["llama"])
    config = LoraConfig(
        r=4, lora_alpha=20, target_modules="all-linear", use_rslora=rslora, task_type="CAUSAL_LM"
    )
    peft = get_peft_model(base, config).eval()
    with torch.no_grad():
        for name, parameter in peft.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    peft.save_pretrained(tmp_path)
    model.import_adapter(1, tmp_path)
    ids = torch.arange(3, 13)[None]
    with torch.no_grad(), model.router.route([1]):
        assert (model.base.model(ids).logits - peft(ids).logits).abs().max() <= 1e-4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"r": 8}, "rank 8, the population rank 4"),
        ({"peft_type": "IA3"}, "LoRA"),
        ({"use_dora": True}, "use_dora"),
        ({"bias": "all"}, "bias"),
        ({"rank_pattern": {"q_proj": 2}}, "rank_pattern"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"lora_alpha": "high"}, "lora_alpha = 'high'"),
        ({"lora_alpha": 10**400}, "lora_alpha = 1000"),
        ({"use_rslora": "false"}, "use_rslora = 'false' is neither true nor false"),
        ({"r": 4.0}, "has rank 4.0"),
        ({"velora_config": {"a": 1}}, "velora_config"),
        ({"a_key_of_the_future": True}, "a_key_of_the_future"),
    ],
)
def test_unusable_settings_are_refused(
    make_model, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    model = make_model()
    model.export(0, tmp_path)
    edit(tmp_path, **change)
    before = model.adapters.get(1)
    with pytest.raises(ConfigError, match=message):
        model.import_adapter(1, tmp_path)
    after = model.adapters.get(1)
    assert all(torch.equal(after[n].B, before[n].B) for n in before)


def test_an_adapter_for_another_base_is_warned_of(
    make_model, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = make_model()
    model.export(0, tmp_path)
    model.import_adapter(1, tmp_path)
    edit(tmp_path, base_model_name_or_path=f"/moved/{Path(model.base_name).name}")
    model.import_adapter(1, tmp_path)
    edit(tmp_path, base_model_name_or_path=None)
    model.import_adapter(1, tmp_path)
    assert not caplog.text
    edit(tmp_path, base_model_name_or_path="somebody/other-1b")
    model.import_adapter(1, tmp_path)
    assert "was made for the base somebody/other-1b" in caplog.text


def test_other_targets_or_shapes_are_refused(make_model, tmp_path: Path) -> None:
    narrow, wide = make_model(targets=("q_proj",)), make_model()
    narrow.export(0, tmp_path / "narrow")
    wide.export(0, tmp_path / "wide")
    with pytest.raises(ConfigError, match=r"lacks model.*24 missing, 0 unknown"):
        wide.import_adapter(0, tmp_path / "narrow")
    with pytest.raises(ConfigError, match=r"also has model.*0 missing, 24 unknown"):
        narrow.import_adapter(0, tmp_path / "wide")
    path = tmp_path / "narrow" / "adapter_model.safetensors"
    good = load_file(path)
    name = next(iter(good))
    save_file({**good, name: torch.zeros(4, 31)}, path)
    with pytest.raises(ConfigError, match="does not fit the base"):
        narrow.import_adapter(0, tmp_path / "narrow")
    save_file({**good, name: torch.full_like(good[name], torch.inf)}, path)
    with pytest.raises(ConfigError, match="not finite"):
        narrow.import_adapter(0, tmp_path / "narrow")
    save_file({**good, name: torch.ones_like(good[name], dtype=torch.int8)}, path)
    with pytest.raises(ConfigError, match="holds whole numbers"):
        narrow.import_adapter(0, tmp_path / "narrow")
    save_file(good, path)
    for alpha in (float("nan"), float("inf"), 0, True, "8"):
        edit(tmp_path / "narrow", lora_alpha=alpha)
        with pytest.raises(ConfigError, match=r"lora_alpha = .* is not a positive number"):
            narrow.import_adapter(0, tmp_path / "narrow")


def test_missing_and_broken_files(make_model, tmp_path: Path) -> None:
    model = make_model()
    with pytest.raises(ConfigError, match=r"has no adapter_config\.json"):
        model.import_adapter(0, tmp_path)
    model.export(0, tmp_path)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"\x80pickle")
    with pytest.raises(ConfigError, match="not a readable safetensors"):
        model.import_adapter(0, tmp_path)
    (tmp_path / "adapter_model.safetensors").unlink()
    (tmp_path / "adapter_model.bin").write_bytes(b"\x80pickle")
    with pytest.raises(ConfigError, match="may carry code"):
        model.import_adapter(0, tmp_path)
    for text in ("{", "[" * 100_000):
        (tmp_path / "adapter_config.json").write_text(text)
        with pytest.raises(ConfigError, match="not readable"):
            model.import_adapter(0, tmp_path)


def test_export_that_cannot_be_written(make_model, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InfrastructureError, match="cannot write the adapter"):
        make_model().export(0, tmp_path / "file")
