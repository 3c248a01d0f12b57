"""A configuration as TOML text that a person reads and `redqueen train` takes again."""

import json
import math
from collections.abc import Mapping
from typing import Any

from redqueen.config import Config


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        # TOML spells these as Python does, and repr keeps every bit.
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, str):
        # JSON's escapes are TOML's, except that TOML also forbids a bare DEL.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    raise TypeError(f"no TOML literal for {type(value).__name__}")


def _table(values: Mapping[str, Any], path: str) -> list[str]:
    lines = [f"[{path}]"] if path else []
    tables = {key: value for key, value in values.items() if isinstance(value, Mapping)}
    lines += [
        f"{key} = {_literal(value)}"
        for key, value in values.items()
        if key not in tables and value is not None
    ]
    for key, value in tables.items():
        lines += ["", *_table(value, f"{path}.{key}" if path else key)]
    return lines


def config_toml(config: Config) -> str:
    """`config` as TOML; reading it with `load_config` gives an equal configuration."""
    return "\n".join(_table(config.model_dump(mode="python"), "")) + "\n"
