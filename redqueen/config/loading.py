"""Configurations from TOML files and from the command line, with errors that name the key."""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from redqueen.config.run import Config
from redqueen.errors import ConfigError


def _known_keys(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    for part in path:
        annotation = model.model_fields[str(part)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)


def _explain(error: ValidationError, source: str, overridden: Sequence[str]) -> ConfigError:
    lines = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"])
        pairs = [(f"{key}.", f"{name}.") for name in overridden]
        ours = any(a.startswith(b) or b.startswith(a) for a, b in pairs)
        place = "command line" if ours else source
        if item["type"] == "extra_forbidden":
            known = _known_keys(Config, item["loc"][:-1])
            near = difflib.get_close_matches(str(item["loc"][-1]), known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known here: {', '.join(known)}"
            lines.append(f"{place}: unknown key {key!r}{hint}")
        else:
            message = item["msg"].removeprefix("Value error, ")
            # A rule about several sections names its keys itself; their input is everything.
            value = f"{key} = {item['input']!r}: " if key else ""
            lines.append(f"{place}: {value}{message}")
    return ConfigError("\n".join(lines))


def parse_override(key: str, text: str) -> dict[str, Any]:
    """Turn `--a.b value` into {'a': {'b': value}}; `value` is a TOML literal, else a string."""
    try:
        value: Any = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def merge(into: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Deep-merge two nested mappings; `over` wins."""
    merged = dict(into)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            merged[key] = merge(below, value)
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
        raise _explain(error, source, overridden) from None


def load_config(path: Path | None, overrides: Sequence[tuple[str, str]] = ()) -> Config:
    """Read a TOML file (None: defaults) and apply `(dotted key, text)` overrides on top.

    Raises:
        ConfigError: the file is missing or not TOML, or a key or value is not valid.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigError(f"no config file at {path}; see configs/ for complete ones") from None
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{path} is not a readable TOML file: {error}") from None
    for key, text in overrides:
        values = merge(values, parse_override(key, text))
    keys = [key for key, _ in overrides]
    return build_config(values, str(path) if path else "command line", keys)
