"""The configuration: what it accepts, and how it speaks of what it does not."""

import contextlib
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from redqueen.config import (
    Config,
    build_config,
    changed_keys,
    load_config,
    merge,
    parse_override,
    resumed_config,
)
from redqueen.config.loading import ELSEWHERE
from redqueen.config.moved import MOVED
from redqueen.errors import ConfigError


def test_defaults_are_the_configuration_of_nothing() -> None:
    assert build_config({}) == Config() == load_config(None)
    assert load_config(None).population.teachers == 4


def test_the_default_recipe_spells_out_the_defaults() -> None:
    recipe = Path(__file__).parents[1] / "configs" / "default.toml"
    assert load_config(recipe) == Config()


def test_a_configuration_survives_json() -> None:
    config = build_config({"seed": 3, "policy": {"targets": ["q_proj"]}})
    assert Config.model_validate_json(config.model_dump_json()) == config
    assert config.policy.targets == ("q_proj",)


def _sections(model: type[BaseModel], path: str = "") -> list[tuple[str, type[BaseModel]]]:
    found = [(path, model)]
    for name, item in model.model_fields.items():
        if isinstance(item.annotation, type) and issubclass(item.annotation, BaseModel):
            found += _sections(item.annotation, f"{path}{name}.")
    return found


@pytest.mark.parametrize(("path", "model"), _sections(Config))
def test_every_key_is_described_and_every_section_is_closed(
    path: str, model: type[BaseModel]
) -> None:
    for name, item in model.model_fields.items():
        is_section = isinstance(item.annotation, type) and issubclass(item.annotation, BaseModel)
        assert is_section or item.description, f"{path}{name}"
    assert model.model_config["extra"] == "forbid"
    assert model.model_config["frozen"]
    assert model.__doc__


def test_descriptions_are_the_docstrings() -> None:
    sections = dict(_sections(Config))
    described = sections["policy."].model_fields["rank"].description
    assert described == "LoRA rank r."


def test_who_may_take_part() -> None:
    stream = build_config({"population": {"teachers": 0}}).population
    assert (stream.teachers, stream.students, stream.self_play) == (0, 4, 0)
    alone = {"teachers": 0, "students": 0, "self_play": 2}
    assert build_config({"population": alone}).population.self_play == 2
    for wanted in (1, 4, "all"):
        made = build_config({"rollout": {"students_per_task": wanted}})
        assert made.rollout.students_per_task == wanted


def test_frozen() -> None:
    config = Config()
    with pytest.raises(ValidationError, match="frozen"):
        config.seed = 1  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        config.policy.rank = 1  # type: ignore[misc]


BAD = [
    ({"sed": 1}, "config: unknown key 'sed'; did you mean 'seed'?"),
    ({"policy": {"rnk": 1}}, "config: unknown key 'policy.rnk'; did you mean 'rank'?"),
    ({"eval": {"zzz": 1}}, "config: unknown key 'eval.zzz'; known here: enabled, suites, tasks, "
     "samples, seed"),
    ({"eval": {"suites": ["held-out", "held-out"]}}, "suites names a suite twice"),
    ({"eval": {"suites": []}}, "config: eval.suites"),
    ({"policy": {"rank": 0}}, "config: policy.rank = 0: Input should be greater than or equal to"),
    ({"policy": {"rank": "x"}}, "config: policy.rank = 'x': Input should be a valid integer"),
    ({"policy": 3}, "config: policy = 3: Input should be a valid dictionary"),
    ({"learner": {"learning_rate": float("nan")}}, "learner.learning_rate = nan: Input should be a "
     "finite number"),
    ({"learner": {"learning_rate": float("inf")}}, "learner.learning_rate = inf: Input should be a "
     "finite number"),
    ({"population": {"students": 0}}, "population = {'students': 0}: teachers have nobody to "
     "teach"),
    ({"population": {"teachers": 0, "self_play": 1}}, "a self-play member poses tasks to itself"),
    ({"population": {"teachers": 0, "students": 0}}, "nobody takes part"),
    ({"population": {"sigma": 0}}, "population.sigma = 0: Input should be greater than 0"),
    ({"population": {"beta": -1}}, "population.beta = -1: Input should be greater than 0"),
    ({"learner": {"betas": [0.9, 1.0]}}, "learner.betas.1 = 1.0: Input should be less than 1"),
    ({"environments": {}}, "environments = {}: Dictionary should have at least 1 item"),
    ({"environments": {"chess": {}}}, "unknown environment 'chess'; known: code"),
    ({"environments": {"code": {"knds": []}}}, "unknown key 'environments.code.knds'; did you mean "
     "'kinds'?"),
    ({"environments": {"code": {"kinds": []}}}, "kinds = []: Tuple should have at least 1 item"),
    ({"environments": {"code": {"kinds": ["code_o", "code_o"]}}}, "names 'code_o' twice"),
    ({"environments": {"code": {"kinds": ["code_x"]}}}, "environments.code.kinds.0 = 'code_x': "
     "Input should be 'code_o'"),
    ({"environments": {"code": {"stream_bands": [1, 6]}}}, "environments.code.stream_bands.1 = 6: "
     "Input should be less than or equal to 5"),
    ({"evolution": {"mutations": ["svdd"]}}, "evolution.mutations.0 = 'svdd': unknown mutation "
     "'svdd'; did you mean 'svd'?"),
    ({"evolution": {"mutations": [{"type": "svd", "scle": 1}]}}, "unknown key "
     "'evolution.mutations.0.scle'; did you mean 'scale'?"),
    ({"engine": {"rws": 1}}, "unknown key 'engine.rws'; did you mean 'rows'?"),
    ({"sandbox": {"backend": "mnty"}}, "unknown sandbox 'mnty'; did you mean 'monty'?"),
    ({"rollout": {"students_per_task": 0}}, "config: rollout.students_per_task = 0: should be a "
     'whole number from 1, or "all"'),
    ({"rollout": {"students_per_task": True}}, "should be a whole number from 1"),
    ({"name": "../elsewhere"}, "config: name = '../elsewhere': a folder is called so"),
    ({"name": ""}, "config: name = '': a folder is called so"),
    ({"name": ".."}, "config: name = '..': a folder is called so"),
    ({"name": "a\0b"}, "a folder is called so"),
    ({"name": "a\udcffb"}, "a folder is called so"),
    ({"name": "ü" * 101}, "of at most 200 bytes"),
    ({"policy": {"base": ""}}, "config: policy.base = '': String should have at least 1"),
    ({"policy": {"targets": []}}, 'policy.targets = []: should be a list of suffixes such as ["'),
    ({"policy": {"targets": 5}}, "config: policy.targets = 5: should be a list of suffixes"),
    ({"population": {"from": ["a"] * 9}}, "from names 9 adapters, but there are 8 members"),
    ({"environments": {"x": {"type": "./x.py:T"}}}, "'./x.py' is no module's name"),
    ({"threads": 10**6}, "config: threads = 1000000: Input should be less than or equal to 1024"),
    ({"steps": True}, "config: steps = True: should be a number, not true"),
    ({"rollout": {"students_per_task": 5}}, "config: rollout.students_per_task = 5, but "
     "population.students = 4; a self-play member attempts its tasks alone"),
    ({"domain": {"kinds": []}}, "since version 0.2 domain.kinds is environments.code.kinds"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "message"), BAD)
def test_errors_name_the_key_the_value_and_the_remedy(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_config(values)
    assert message in str(caught.value)


def test_all_errors_come_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        build_config({"seed": -1, "polcy": {}, "policy": {"alpha": 0}})
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    for part in ("seed = -1", "unknown key 'polcy'", "policy.alpha = 0"):
        assert sum(part in line for line in lines) == 1


OVERRIDES = [
    ("seed", "3", {"seed": 3}),
    ("policy.rank", "16", {"policy": {"rank": 16}}),
    ("learner.learning_rate", "1e-4", {"learner": {"learning_rate": 1e-4}}),
    ("evolution.enabled", "false", {"evolution": {"enabled": False}}),
    ("policy.base", "some/model", {"policy": {"base": "some/model"}}),
    ("policy.base", '"some/model"', {"policy": {"base": "some/model"}}),
    ("policy.base", "", {"policy": {"base": ""}}),
    ("curriculum.held_out", '["a", "b"]', {"curriculum": {"held_out": ["a", "b"]}}),
    ("name", "2026-11-25", {"name": "2026-11-25"}),
    ("name", "two words", {"name": "two words"}),
    ("name", "'3'", {"name": "3"}),
    ("name", "a\nb = 2", {"name": "a\nb = 2"}),
]


@pytest.mark.parametrize(("key", "text", "expected"), OVERRIDES)
def test_parse_override(key: str, text: str, expected: dict[str, Any]) -> None:
    assert parse_override(key, text) == expected


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=20), st.text(st.characters(), max_size=20))
def test_overrides_never_fail_but_with_a_config_error(key: str, text: str) -> None:
    with contextlib.suppress(ConfigError):
        load_config(None, [(key, text)])


NESTED = st.recursive(
    st.integers(0, 3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
TREES = st.dictionaries(st.sampled_from("abc"), NESTED, max_size=3)


def _leaves(tree: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], int]:
    if not isinstance(tree, dict):
        return {path: tree}
    return {k: v for key, item in tree.items() for k, v in _leaves(item, (*path, key)).items()}


@given(TREES, TREES)
def test_merge_keeps_what_is_not_overridden(into: dict[str, Any], over: dict[str, Any]) -> None:
    before = (repr(into), repr(over))
    made, upper, lower = (_leaves(tree) for tree in (merge(into, over), over, into))
    for path, leaf in upper.items():
        assert made[path] == leaf
    for path, leaf in made.items():
        assert upper.get(path, lower.get(path)) == leaf
    assert (repr(into), repr(over)) == before
    assert merge(into, {}) == into
    assert merge({}, over) == over
    assert merge(into, into) == into


def test_file_and_overrides(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('seed = 1\n[policy]\nrank = 4\nbase = "x"\n')
    config = load_config(path, [("policy.rank", "2"), ("steps", "7"), ("policy.rank", "3")])
    assert (config.seed, config.steps, config.policy.rank, config.policy.base) == (1, 7, 3, "x")


def test_errors_blame_the_right_place(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("[policy]\nrnk = 4\n[population]\nteachers = 1\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path, [("policy.alpha", "-1"), ("population.students", "0")])
    lines = str(caught.value).splitlines()
    places = {line.split(": ")[1].split(" = ")[0]: line.split(": ")[0] for line in lines}
    assert places == {
        "unknown key 'policy.rnk'; did you mean 'rank'?": str(path),
        "policy.alpha": "command line",
        "population": "command line",
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"seed = ", "is not a readable TOML file"),
        (b"seed = 1\nseed = 2", "is not a readable TOML file"),
        (b"\xff\xfe", "is not a readable TOML file"),
        (b"seed = " + b"[" * 5000, "is not a readable TOML file"),
        (b"seed = " + b"9" * 5000, "is not a readable TOML file"),
        (None, "no config file at"),
    ],
)
def test_bad_files(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "run.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(path)
    assert str(path) in str(caught.value)


def test_a_mark_of_the_byte_order_is_no_key(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes(b"\xef\xbb\xbfseed = 3\r\nsteps = 2\r\n")
    config = load_config(path)
    assert (config.seed, config.steps) == (3, 2)


def test_a_directory_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a readable TOML file"):
        load_config(tmp_path)


def test_toml_is_what_the_standard_library_reads(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("[learner]\nbetas = [0.8, 0.9]\n")
    assert load_config(path) == build_config(tomllib.loads(path.read_text()))


@pytest.mark.parametrize("name", ["learning_rate_bounds", "temperature_bounds"])
def test_bounds_are_in_order(name: str) -> None:
    def evolution(low: float, high: float) -> dict[str, Any]:
        return {"evolution": {"hyperparameters": {name: [low, high]}}}

    with pytest.raises(ConfigError, match=f"{name}: 2 is above 1"):
        build_config(evolution(2.0, 1.0))
    equal = build_config(evolution(1.0, 1.0)).evolution.hyperparameters
    assert getattr(equal, name) == (1.0, 1.0)


def place_of(key: str) -> Any:
    """The value of a dotted key in the default configuration."""
    value: Any = Config()
    for part in key.split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    return value


def test_every_key_that_moved_has_gone_somewhere() -> None:
    for new in MOVED.values():
        if "=" in new:  # a key of a component: the whole table is a config
            number = "2" if "size" in new or "neighbours" in new or "reach" in new else "0.5"
            build_config(tomllib.loads(new.replace("…", number)))
        elif "<name>" not in new:
            for key in new.split(" and "):
                place_of(key)


def test_the_rate_of_a_tiny_base_is_warned_of_on_a_large_one() -> None:
    tiny, usual = (build_config({"learner": {"learning_rate": r}}).learner for r in (2e-3, 1e-4))
    assert "494 million. `redqueen init`" in tiny.rate_warning(494_000_000)
    assert tiny.rate_warning(5_000_000) == usual.rate_warning(494_000_000) == ""


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({}, "is ever replaced"),
        ({"evolution": {"interval": 59}}, ""),
        ({"evolution": {"interval": 60, "enabled": False}}, ""),
        ({"evolution": {"interval": 60, "cull": 0.0}}, ""),
        ({"population": {"teachers": 1, "students": 1}}, ""),
        ({"learner": {"student": {"frozen": True}}}, "is ever replaced"),
        ({"learner": {"student": {"frozen": True}, "teacher": {"frozen": True}}}, ""),
    ],
)
def test_generations_that_never_end_are_warned_of(over: dict[str, Any], said: str) -> None:
    values = {"steps": 60, "evolution": {"interval": 60}} | over
    warning = build_config(values).interval_warning
    assert (said in warning) if said else warning == ""


# ── resumed ─────────────────────────────────────────────────────────────────────────────────────

BEGUN = build_config({"steps": 3, "engine": {"type": "torch", "rows": 64}})


def test_where_a_run_is_done_may_change_when_it_is_resumed() -> None:
    overrides = [("engine.rows", "8"), ("policy.gradient_checkpointing", "true"), ("steps", "9")]
    now = resumed_config(BEGUN, overrides)
    assert (now.steps, now.engine.rows, now.policy.gradient_checkpointing) == (9, 8, True)
    assert changed_keys(BEGUN, now) == {
        "steps": (3, 9),
        "engine.rows": (64, 8),
        "policy.gradient_checkpointing": ("auto", True),
    }
    assert resumed_config(BEGUN, []) is BEGUN
    assert changed_keys(BEGUN, resumed_config(BEGUN, [("steps", "3")])) == {}


def test_another_engine_begins_with_its_own_defaults() -> None:
    now = resumed_config(BEGUN, [("engine.type", "auto")])
    assert now.engine == build_config({"engine": "auto"}).engine


@pytest.mark.parametrize(
    "key", ["seed", "rollout.attempts", "policy.rank", "engines.rows", "eval.seed"]
)
def test_what_a_run_is_stays_when_it_is_resumed(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{key} cannot change when .* What can: steps"):
        resumed_config(BEGUN, [(key, "1")])


def test_a_wrong_key_of_a_section_that_may_change_is_named() -> None:
    with pytest.raises(ConfigError, match=r"command line: unknown key 'engine\.row'.*rows"):
        resumed_config(BEGUN, [("engine.row", "1")])


# ── of other tools ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("key", sorted(ELSEWHERE))
def test_a_key_of_another_tool_is_translated(key: str) -> None:
    named = ELSEWHERE[key]
    with pytest.raises(ConfigError, match=rf"unknown key 'learner\.{key}'; here that is '{named}'"):
        build_config({"learner": {key: 1}})
    value: object = build_config({}).model_dump()
    for part in named.split("."):
        assert isinstance(value, dict)
        value = value[part]
