"""Files of a base that something is wrong with: one sentence each."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers

from redqueen.config import build_config
from redqueen.config.policy import PolicyConfig
from redqueen.engines.trial import try_base
from redqueen.errors import ConfigError
from redqueen.models.loading import digest_of, load_base
from redqueen.models.population_model import PopulationModel
from redqueen.models.targets import find_targets, reached_by_text
from redqueen.plan import base_shapes
from tests.models.test_peft_io import edit
from tests.small_models import save_tokenizer


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


def test_layers_that_peft_reads_otherwise_are_left_out_or_refused(tmp_path: Path) -> None:
    sizes = {
        "vocab_size": 112, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "moe_intermediate_size": 16, "num_experts": 4, "num_experts_per_tok": 2,
        "shared_expert_intermediate_size": 16,
    }  # fmt: skip
    config = transformers.AutoConfig.for_model("qwen2_moe", **sizes)
    model = transformers.AutoModelForCausalLM.from_config(config)
    names = {name.rsplit(".", 1)[-1] for name in find_targets(model, "all-linear")}
    assert names == {"q_proj", "k_proj", "v_proj", "o_proj", "shared_expert_gate"}
    with pytest.raises(ConfigError, match=r"policy\.targets: .* PEFT would not read an adapter of"):
        find_targets(model, ["up_proj"])
    assert find_targets(model, ["-up_proj"]).keys() == find_targets(model, "all-linear").keys()


@pytest.mark.parametrize("kind", ["t5", "clip", "llava"])
def test_a_kind_that_writes_no_text_is_one_sentence(copy_of: Path, kind: str) -> None:
    config = transformers.AutoConfig.for_model(kind)
    config.save_pretrained(copy_of)
    for load in (load_base, lambda policy: base_shapes(build_config({"policy": policy}))):
        with pytest.raises(ConfigError, match="causal language model") as caught:
            load(PolicyConfig(base=str(copy_of), device="cpu"))
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize("layers", [0, -1, 10**6])
def test_a_number_of_layers_that_cannot_be(copy_of: Path, layers: int) -> None:
    change(copy_of / "config.json", num_hidden_layers=layers)
    with pytest.raises(ConfigError, match=f"num_hidden_layers = {layers}; is it damaged"):
        load_base(PolicyConfig(base=str(copy_of), device="cpu"))


def test_code_that_comes_with_a_base_is_not_run(copy_of: Path) -> None:
    remote = {"AutoConfig": "conf.Mine", "AutoModelForCausalLM": "model.Mine"}
    change(copy_of / "config.json", model_type="mine", auto_map=remote)
    with pytest.raises(ConfigError, match=r"set policy\.trust_remote_code = true if you trust it"):
        load_base(PolicyConfig(base=str(copy_of), device="cpu"))


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("text", ["", "[]", '{"a":'])
def test_damaged_files_of_a_tokenizer_are_named(copy_of: Path, name: str, text: str) -> None:
    (copy_of / name).write_text(text)
    with pytest.raises(ConfigError, match=name.replace(".", r"\.")):
        load_base(PolicyConfig(base=str(copy_of), device="cpu"))


@pytest.mark.parametrize("end", [True, ["a"]])
def test_an_end_token_that_is_no_number(copy_of: Path, end: object) -> None:
    change(copy_of / "generation_config.json", eos_token_id=end)
    with pytest.raises(ConfigError, match=r"eos_token_id = .* is no token's number"):
        load_base(PolicyConfig(base=str(copy_of), device="cpu"))


def test_a_base_without_an_end_token_is_warned_of(
    copy_of: Path, caplog: pytest.LogCaptureFixture
) -> None:
    change(copy_of / "config.json", eos_token_id=None)
    change(copy_of / "generation_config.json", eos_token_id=10**6)
    change(copy_of / "tokenizer_config.json", eos_token=None)
    assert load_base(PolicyConfig(base=str(copy_of), device="cpu")).eos_ids == frozenset()
    assert "names no token that ends a text" in caplog.text


def test_a_tokenizer_that_loses_text_is_warned_of(
    copy_of: Path, caplog: pytest.LogCaptureFixture
) -> None:
    try_base(PopulationModel.load(PolicyConfig(device="cpu"), 1, 0))
    assert "does not give back" not in caplog.text
    try_base(PopulationModel.load(PolicyConfig(base=str(copy_of), device="cpu"), 1, 0))
    assert "does not give back the text that it reads" in caplog.text  # it has no line ends


def test_a_tokenizer_without_tokens(copy_of: Path) -> None:
    tokenizer = json.loads((copy_of / "tokenizer.json").read_text())
    change(copy_of / "tokenizer.json", model={**tokenizer["model"], "type": "BPE", "vocab": {},
           "merges": [], "unk_token": None}, added_tokens=[])  # fmt: skip
    model = PopulationModel.load(PolicyConfig(base=str(copy_of), device="cpu"), 1, 0)
    with pytest.raises(ConfigError, match="its tokenizer makes no tokens of a text"):
        try_base(model)


def test_results_as_tuples_are_asked_for_as_such_no_more(copy_of: Path) -> None:
    change(copy_of / "config.json", return_dict=False)
    model = PopulationModel.load(PolicyConfig(base=str(copy_of), device="cpu"), 1, 0)
    try_base(model)


def test_the_context_of_longrope_is_the_one_that_it_was_trained_with(tmp_path: Path) -> None:
    rope = {"type": "longrope", "short_factor": [1.0] * 4, "long_factor": [4.0] * 4}
    config = transformers.Phi3Config(
        vocab_size=112, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=96, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, original_max_position_embeddings=24, rope_scaling=rope,
    )  # fmt: skip
    transformers.Phi3ForCausalLM(config).save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    model = PopulationModel.load(PolicyConfig(base=str(tmp_path), device="cpu"), 1, 0)
    assert model.base.context == 24
    try_base(model)


@pytest.mark.parametrize("start", ["pissa", "pissa_niter_16", "olora", "loftq", "newer_kind"])
def test_adapters_that_changed_their_base(make_model, tmp_path: Path, start: str) -> None:
    model: PopulationModel = make_model()
    model.export(0, tmp_path)
    edit(tmp_path, init_lora_weights=start)
    with pytest.raises(ConfigError, match=f"began as {start}.*path_initial_model_for_weight"):
        model.import_adapter(1, tmp_path)
