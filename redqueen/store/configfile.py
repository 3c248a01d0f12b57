"""A configuration as TOML text that a person reads and `redqueen train` takes again."""

from collections.abc import Mapping
from typing import Any

import tomli_w
from pydantic import BaseModel


def _without_none(value: Any) -> Any:
    """TOML has no null: a key without a value is left out."""
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_none(item) for item in value]
    return value


def config_toml(config: BaseModel | Mapping[str, Any]) -> str:
    """Return a configuration, or its plain values, as TOML; `load_config` gives an equal one."""
    values = config.model_dump(mode="json") if isinstance(config, BaseModel) else config
    return tomli_w.dumps(_without_none(values))
