"""What of a run's config may change when the run is taken up again."""

from collections.abc import Sequence

from redqueen.config.loading import merge, override
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


def resumed_config(config: Config, overrides: Sequence[tuple[str, str]]) -> Config:
    """Return a run's config with `(dotted key, text)` overrides.

    Raises:
        ConfigError: a run keeps one of the keys for good, or a value is not valid.
    """
    for key, _ in overrides:
        if not any(key == name or key.startswith(f"{name}.") for name in CHANGEABLE):
            raise ConfigError(
                f"{key} is for good: a run is resumed with what it began with. These may change: "
                + ", ".join(CHANGEABLE)
            )
    values = config.model_dump()
    for key, text in overrides:
        # Another component has other keys than those of the one before.
        if key.endswith(".type"):
            section = key.removesuffix(".type")
            values = values | {section: {"type": text}}
    return override(values, overrides, "command line") if overrides else config


def changed_keys(before: Config, after: Config) -> dict[str, tuple[object, object]]:
    """Return the top-level keys and keys of sections that differ, with both values."""
    old, new = (merge(config.model_dump(mode="json"), {}) for config in (before, after))
    pairs: dict[str, tuple[object, object]] = {}
    for name in new:
        if isinstance(old[name], dict) and isinstance(new[name], dict):
            for key in sorted(old[name].keys() | new[name].keys()):
                pairs[f"{name}.{key}"] = (old[name].get(key), new[name].get(key))
        else:
            pairs[name] = (old[name], new[name])
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
