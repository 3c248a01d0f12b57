"""Configurations from TOML files and from the command line, with errors that name the key."""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from redqueen import registry
from redqueen.config.component import Of
from redqueen.config.moved import new_name
from redqueen.config.run import Config
from redqueen.errors import ConfigError

ELSEWHERE = {
    "lr": "learner.learning_rate",
    "beta": "learner.kl_coefficient",
    "kl_loss_coef": "learner.kl_coefficient",
    "epsilon": "learner.clip_low",
    "epsilon_low": "learner.clip_low",
    "epsilon_high": "learner.clip_high",
    "clip_ratio_low": "learner.clip_low",
    "clip_ratio_high": "learner.clip_high",
    "num_generations": "rollout.attempts",
    "max_completion_length": "rollout.solve_tokens",
    "max_response_length": "rollout.solve_tokens",
    "num_iterations": "learner.epochs",
    "ppo_epochs": "learner.epochs",
    "lora_r": "policy.rank",
    "lora_rank": "policy.rank",
    "r": "policy.rank",
    "lora_alpha": "policy.alpha",
    "target_modules": "policy.targets",
    "use_vllm": "engine.type",
}
"""Keys of TRL, PEFT and verl -> what they are called here."""


def _keys_at(values: Mapping[str, Any], path: Sequence[str | int]) -> list[str]:
    """Return the keys that the table at `path` may have; none if that is not a table of keys."""
    model: type[BaseModel] = Config
    table: Any = values
    places = list(path)
    while places:
        field = model.model_fields.get(str(places[0]))
        if field is None:
            return []
        table, name = table[places[0]], str(places.pop(0))
        mark = next((mark for mark in field.metadata if isinstance(mark, Of)), None)
        if mark is None and places and (mark := _component_inside(field.annotation)):
            table, name = table[places[0]], str(places.pop(0))
        if mark is not None:
            model = registry.load(mark.kind, table.get("type", mark.default or name))
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            model = field.annotation
        else:
            return []
    return list(model.model_fields)


def _component_inside(annotation: Any) -> Of | None:
    """Return the mark of the components that a list or table of them holds."""
    for part in getattr(annotation, "__args__", ()):
        for mark in getattr(part, "__metadata__", ()):
            if isinstance(mark, Of):
                return mark
    return None


def _explain(
    error: ValidationError, values: Mapping[str, Any], source: str, overridden: Sequence[str]
) -> ConfigError:
    lines = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"])
        pairs = [(f"{key}.", f"{name}.") for name in overridden]
        ours = any(a.startswith(b) or b.startswith(a) for a, b in pairs)
        place = "command line" if ours else source
        if item["type"] == "extra_forbidden":
            lines.append(f"{place}: unknown key {key!r}{_hint(key, item, values)}")
        else:
            message = item["msg"].removeprefix("Value error, ")
            # A rule about several sections names its keys itself; their input is everything.
            value = f"{key} = {item['input']!r}: " if key else ""
            moved = new_name(key, item["input"])
            hint = f" (since version 0.2 {moved})" if moved else ""
            lines.append(f"{place}: {value}{message}{hint}")
    return ConfigError("\n".join(lines))


def _hint(key: str, item: Any, values: Mapping[str, Any]) -> str:
    """Return what to write instead of an unknown key."""
    moved = new_name(key, item["input"])
    if moved:
        return f"; since version 0.2 {moved}"
    keys = _keys_at(values, item["loc"][:-1])
    elsewhere = ELSEWHERE.get(str(item["loc"][-1]), "")
    if elsewhere:
        return f"; here that is {elsewhere!r}"
    near = difflib.get_close_matches(str(item["loc"][-1]), keys, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known here: {', '.join(keys)}"


def _literal(text: str) -> Any:
    """Return the TOML value that `text` spells; dates and everything else are text."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):  # not TOML, thousands of digits, or of brackets
        return text
    return value if isinstance(value, bool | int | float | str | list | dict) else text


def _nested(key: str, value: Any) -> dict[str, Any]:
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def parse_override(key: str, text: str) -> dict[str, Any]:
    """Turn `--a.b text` into {'a': {'b': value}}; a TOML literal is read, all else is text."""
    return _nested(key, _literal(text))


def merge(into: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Deep-merge two nested mappings; `over` wins."""
    merged = dict(into)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            merged[key] = merge(below, value)
        elif isinstance(value, Mapping) and isinstance(below, str) and "type" not in value:
            merged[key] = {"type": below, **value}
        else:
            merged[key] = value
    return merged


def build_config(
    values: Mapping[str, Any], source: str = "config", overridden: Sequence[str] = ()
) -> Config:
    """Validate nested values into a Config. Errors blame `source`, or the command line for the
    dotted keys in `overridden`.

    Raises:
        ConfigError: names each offending key, its value and what is expected.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise _explain(error, values, source, overridden) from None


def load_config(path: Path | None, overrides: Sequence[tuple[str, str]] = ()) -> Config:
    """Read a TOML file (None: defaults) and apply `(dotted key, text)` overrides on top.

    The text of an override is a TOML literal; where the key wants text, it is taken as it is.

    Raises:
        ConfigError: the file is missing or not TOML, or a key or value is not valid.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # as Notepad writes it
        except FileNotFoundError:
            raise ConfigError(f"no config file at {path}; see configs/ for complete ones") from None
        except (OSError, ValueError, RecursionError) as error:  # of all kinds that parsing meets
            raise ConfigError(f"{path} is not a readable TOML file: {error}") from None
    return override(values, overrides, str(path) if path else "command line")


def override(
    values: Mapping[str, Any], overrides: Sequence[tuple[str, str]], source: str
) -> Config:
    """Return the config of nested values from `source` with `(dotted key, text)` on top.

    Raises:
        ConfigError: a key or value is not valid.
    """
    keys, texts, read = [key for key, _ in overrides], dict(overrides), dict(values)
    for key, text in overrides:
        read = merge(read, parse_override(key, text))
    try:
        return Config.model_validate(read)
    except ValidationError as error:
        places = {
            ".".join(map(str, e["loc"])) for e in error.errors() if e["type"] == "string_type"
        }
    for key in places & texts.keys():
        read = merge(read, _nested(key, texts[key]))
    return build_config(read, source, keys)
