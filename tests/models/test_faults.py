"""Files of a base that something is wrong with: one sentence each."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from redqueen.config.policy import PolicyConfig
from redqueen.errors import ConfigError
from redqueen.models.loading import digest_of, load_base
from redqueen.models.population_model import PopulationModel
from redqueen.models.targets import find_targets, reached_by_text
from tests.models.test_peft_io import edit


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


BROKEN: dict[str, Callable[[Path], None]] = {
    "a tokenizer of a newer kind": lambda path: change(
        path / "tokenizer.json", model={"type": "NewerThanThis", "vocab": {}}
    ),
    "a value that is null": lambda path: change(path / "config.json", hidden_size=None),
    "a value of another type": lambda path: change(path / "config.json", num_hidden_layers="two"),
    "a value that cannot be": lambda path: change(path / "config.json", num_attention_heads=0),
    "rotary settings of another type": lambda path: change(
        path / "config.json", rope_parameters="none"
    ),
    "a GGUF file that is none": lambda path: (path / "x.gguf").write_text("text") and None,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_are_one_sentence(copy_of: Path, kind: str) -> None:
    BROKEN[kind](copy_of)
    base = copy_of / "x.gguf" if "GGUF" in kind else copy_of
    with pytest.raises(ConfigError) as caught:
        load_base(PolicyConfig(base=str(base), device="cpu"))
    text = str(caught.value)
    assert text.startswith(f"policy.base = '{base}'")
    assert "\n" not in text


def test_the_digest_is_of_the_weights_alone(copy_of: Path, model_dirs) -> None:
    base = load_base(PolicyConfig(base=str(copy_of), device="cpu"))
    assert base.digest.startswith("sha256:")
    (copy_of / "README.md").write_text("other")
    assert digest_of(str(copy_of), base.model) == base.digest
    assert digest_of(str(model_dirs["qwen2"]), base.model) != base.digest


def test_targets_leave_out_what_text_does_not_reach(make_model) -> None:
    model = make_model()
    body = model.base.model
    body.eyes = torch.nn.ModuleList([torch.nn.Linear(3, 3)])
    body.model.layers[0].unused = torch.nn.Linear(4, 4)
    every = find_targets(body, "all-linear")
    assert {"eyes.0", "model.layers.0.unused"} < every.keys()
    assert reached_by_text(body, every).keys() == model.adapters.layers.keys()
    experts = {"model.layers.0.mlp.experts.7.up_proj": torch.nn.Linear(3, 3)}
    experts |= {"model.layers.1.mlp.experts.0.up_proj": body.model.layers[0].mlp.up_proj}
    assert reached_by_text(body, experts).keys() == experts.keys()


def test_targets_with_a_minus_sign_are_left_out(make_model) -> None:
    all_names = set(make_model().adapters.layers)
    some = set(make_model(targets=("-down_proj", "-self_attn.k_proj")).adapters.layers)
    assert {name.rsplit(".", 1)[-1] for name in all_names - some} == {"down_proj", "k_proj"}
    few = set(make_model(targets=("q_proj", "v_proj", "-v_proj")).adapters.layers)
    assert {name.rsplit(".", 1)[-1] for name in few} == {"q_proj"}
    with pytest.raises(ConfigError, match=r"no linear layer is called 'x_proj'"):
        make_model(targets=("-x_proj",))


@pytest.mark.parametrize("start", ["pissa", "pissa_niter_16", "olora"])
def test_adapters_that_changed_their_base(make_model, tmp_path: Path, start: str) -> None:
    model: PopulationModel = make_model()
    model.export(0, tmp_path)
    edit(tmp_path, init_lora_weights=start)
    with pytest.raises(ConfigError, match=f"began as {start}.*path_initial_model_for_weight"):
        model.import_adapter(1, tmp_path)
