"""What of a run's config may change when the run is taken up again."""

from collections.abc import Mapping, Sequence
from typing import Any

from redqueen.config.loading import override
from redqueen.config.run import Config
from redqueen.errors import ConfigError

CHANGEABLE = (
    "steps", "checkpoint_every", "keep_checkpoints", "threads", "callbacks", "tracking",
    "policy.base", "policy.device", "policy.learn_tokens", "policy.gradient_checkpointing",
    "engine", "cluster", "sandbox.workers",
    "learner.learning_rate", "learner.learning_rate_end", "learner.max_grad_norm",
    "learner.max_logprob_mismatch",
    "alarms", "eval",
)  # fmt: skip
"""Keys, and sections with all their keys: where a run is done, how fast it learns, and what is said
of it. All others decide what its tasks, members and records mean."""

FIXED = ("eval.seed",)
"""Keys of these sections that cannot change: the seed says which tasks are held out, and steps that
are done may have trained on those of another seed."""


def resumed_config(config: Config, overrides: Sequence[tuple[str, str]]) -> Config:
    """Return a run's config with `(dotted key, text)` overrides.

    Raises:
        ConfigError: one of the keys cannot change, or a value is not valid.
    """
    for key, _ in overrides:
        named = any(key == name or key.startswith(f"{name}.") for name in CHANGEABLE)
        if not named or key in FIXED:
            raise ConfigError(
                f"{key} cannot change when a run is resumed: its records depend on it. What can: "
                f"{', '.join(CHANGEABLE)}; but not {', '.join(FIXED)}"
            )
    values = config.model_dump()
    for key, text in overrides:
        # Another component has other keys than those of the one before.
        if key.endswith(".type"):
            section = key.removesuffix(".type")
            values = values | {section: {"type": text}}
    return override(values, overrides, "command line") if overrides else config


def changed_keys(before: Config, after: Config) -> dict[str, tuple[Any, Any]]:
    """Return the keys, one level into sections, that differ, with both values as JSON."""
    old, new = (_flat(config.model_dump(mode="json")) for config in (before, after))
    keys = sorted(old.keys() | new.keys())
    return {k: (old.get(k), new.get(k)) for k in keys if old.get(k) != new.get(k)}


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a section's keys as `section.key`, and all others as they are."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        inside = isinstance(value, dict)
        flat |= {f"{name}.{key}": item for key, item in value.items()} if inside else {name: value}
    return flat
