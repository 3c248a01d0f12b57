"""A configuration as TOML text that a person reads and `redqueen train` takes again."""

from typing import Any

import tomli_w

from redqueen.config import Config


def _without_none(value: Any) -> Any:
    """TOML has no null: a key that is None is left out, and reading gives its default."""
    if isinstance(value, dict):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    return value


def config_toml(config: Config) -> str:
    """`config` as TOML; reading it with `load_config` gives an equal configuration."""
    return tomli_w.dumps(_without_none(config.model_dump(mode="python")))
