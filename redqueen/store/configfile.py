"""A configuration as TOML text that a person reads and `redqueen train` takes again."""

from collections.abc import Mapping
from typing import Any

import tomli_w


def _without_none(value: Any) -> Any:
    """TOML has no null: a key without a value is left out."""
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_none(item) for item in value]
    return value


def config_toml(values: Mapping[str, Any]) -> str:
    """Return a configuration's plain values as TOML; `load_config` of it gives an equal one."""
    return tomli_w.dumps(_without_none(values))
