"""The registry: names, entry points, import strings; one component of every kind from outside."""

from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest
from pydantic import BaseModel

from redqueen import registry
from redqueen.config import Config, build_config
from redqueen.config.component import Component
from redqueen.errors import ConfigError

HERE = __name__


@pytest.mark.parametrize(
    ("kind", "name"), [(k, n) for k, items in registry.COMPONENTS.items() for n in items]
)
def test_every_line_of_the_registry_is_a_class(kind: str, name: str) -> None:
    assert isinstance(registry.load(kind, name), type)
    assert registry.name_of(kind, registry.import_string(kind, name)) == name


@pytest.mark.parametrize("kind", registry.COMPONENTS)
def test_an_unknown_name_says_what_is_near_and_how_to_register(kind: str) -> None:
    name = next(iter(registry.COMPONENTS[kind]))
    with pytest.raises(ConfigError) as caught:
        registry.load(kind, name + "x")
    assert f"did you mean {name!r}" in str(caught.value)
    assert f"redqueen.{kind}" in str(caught.value)


@pytest.mark.parametrize("name", ["./x.py:T", ":T", "a b:T", "..x:T"])
def test_what_is_no_modules_name_is_not_imported(name: str) -> None:
    with pytest.raises(ConfigError, match=r"is no module's name; write package\.module:Class"):
        registry.load("environment", name)


def test_a_missing_extra_is_named() -> None:
    with pytest.raises(ConfigError, match="cannot be imported"):
        registry.load("callback", "no_such_package:Thing")
    with pytest.raises(ConfigError, match="has no 'Nothing'"):
        registry.load("callback", f"{HERE}:Nothing")
    with pytest.raises(ConfigError, match="not a class"):
        registry.load("callback", f"{HERE}:HERE")


class Outside(Component):
    """A component that this package knows nothing of."""

    strength: int = 3
    """A key of its own."""


PLACES: dict[str, Any] = {
    "benchmark": lambda table: {"eval": {"benchmarks": [table]}},
    "callback": lambda table: {"callbacks": [table]},
    "tracker": lambda table: {"tracking": [table]},
    "engine": lambda table: {"engine": table},
    "environment": lambda table: {"environments": {"mine": table}},
    "interaction": lambda table: {"rollout": {"interaction": table}},
    "matchmaker": lambda table: {"population": {"matchmaking": table}},
    "references": lambda table: {"curriculum": {"references": table}},
    "advantage": lambda table: {"learner": {"student": {"advantage": table}}},
    "teacher_reward": lambda table: {"learner": {"teacher": {"reward": table}}},
    "fitness": lambda table: {"evolution": {"fitness": table}},
    "selection": lambda table: {"evolution": {"selection": table}},
    "replacement": lambda table: {"evolution": {"replacement": table}},
    "mutation": lambda table: {"evolution": {"mutations": [table]}},
    "crossover": lambda table: {"evolution": {"crossovers": [table]}},
    "screen": lambda table: {"safety": {"screens": [table]}},
    "transport": lambda table: {"swarm": {"transport": table}},
    "cluster": lambda table: {"cluster": table},
    "sandbox": lambda table: {"sandbox": {"backend": table["type"]}},
}
"""Where a config names a component of each kind."""


def outside_of(config: BaseModel) -> list[Outside]:
    """All `Outside` in a config, wherever they are."""
    hits: list[Outside] = []
    for value in dict(config).values():
        items = value.values() if isinstance(value, dict) else value
        for item in items if isinstance(items, (tuple, list)) or value is not items else [value]:
            if isinstance(item, Outside):
                hits.append(item)
            elif isinstance(item, BaseModel):
                hits += outside_of(item)
    return hits


@pytest.mark.parametrize("kind", registry.COMPONENTS)
def test_a_component_of_every_kind_comes_from_outside(kind: str) -> None:
    table = {"type": f"{HERE}:Outside", "strength": 5}
    config = build_config(PLACES[kind](table))
    if kind == "sandbox":
        assert config.sandbox.backend == f"{HERE}:Outside"
        return
    assert outside_of(config) == [Outside(strength=5)]
    assert build_config(config.model_dump()) == config
    with pytest.raises(ConfigError, match=r"unknown key '.*strngth'; did you mean 'strength'"):
        build_config(PLACES[kind]({"type": f"{HERE}:Outside", "strngth": 5}))


def test_an_entry_point_of_another_package_is_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("mine", f"{HERE}:Outside", "redqueen.mutation")

    def installed(*, group: str) -> EntryPoints:
        return EntryPoints([point] if group == point.group else [])

    monkeypatch.setattr("importlib.metadata.entry_points", installed)
    registry.forget_entry_points()
    try:
        assert "mine" in registry.names("mutation")
        config = build_config({"evolution": {"mutations": ["mine"]}})
        assert config.evolution.mutations == (Outside(),)
        assert config.model_dump()["evolution"]["mutations"] == ({"type": "mine", "strength": 3},)
    finally:
        registry.forget_entry_points()


def test_a_name_and_a_table_are_the_same_component() -> None:
    plain = build_config({"evolution": {"mutations": ["svd"]}})
    table = build_config({"evolution": {"mutations": [{"type": "svd"}]}})
    assert plain == table
    assert Config.model_validate_json(plain.model_dump_json()) == plain


def test_a_key_of_version_0_1_names_the_new_one() -> None:
    with pytest.raises(ConfigError, match=r"domain.kinds is environments.code.kinds"):
        build_config({"domain": {"kinds": ["code_o"]}})
    with pytest.raises(ConfigError, match=r"learner.student.advantage and learner.teacher"):
        build_config({"learner": {"advantage": "grpo"}})
