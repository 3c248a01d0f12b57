"""`redqueen init`: a commented config for a model and this machine."""

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from redqueen.config import Config, build_config, merge
from redqueen.config.reference import component, first_sentence, literal, texts
from redqueen.environments.base import start_for
from redqueen.errors import ConfigError
from redqueen.files import write_bytes
from redqueen.models.footprint import free_memory
from redqueen.models.sources import dialect_of
from redqueen.plan import GIB, Budget, Shapes, base_shapes, budget_of

Values = dict[str, Any]
WIDTH = 98
"""Of a line."""

SMALL_START: Values = {
    "name": "", "steps": 60,
    "policy": {"base": "", "rank": 8, "alpha": 16.0},
    "population": {"teachers": 4, "students": 4, "matchmaking": "prioritized"},
    "rollout": {
        "matches": 4, "tasks_per_match": 8, "attempts": 8, "references": 2,
        "propose_tokens": 192, "solve_tokens": 192, "temperature": 1.0,
    },
    "learner": {"learning_rate": 2e-3, "max_grad_norm": 0.1},
    "evolution": {"interval": 15, "cull": 0.25},
    "eval": {"tasks": 300, "samples": 2},
}  # fmt: skip
"""What a tiny base is trained with."""

CHAT_START: Values = {
    "steps": 200,
    "policy": {"rank": 16, "alpha": 32.0},
    "population": {"teachers": 2, "students": 2},
    "rollout": {
        "matches": 2, "tasks_per_match": 4, "propose_tokens": 512, "solve_tokens": 512,
    },
    "learner": {
        "learning_rate": 1e-4, "learning_rate_end": 1.0, "max_grad_norm": 1.0,
        "teacher": {"advantage": {"type": "reinforce++", "pooled": True, "window": 8}},
    },
    "evolution": {"interval": 20},
    "sandbox": {"backend": "auto"},
    "eval": {"tasks": 100, "samples": 1},
}  # fmt: skip
"""What differs for a chat model on a CPU: few members and tasks, room for words."""

GPU_START: Values = {
    "population": {"teachers": 4, "students": 4},
    "rollout": {
        "matches": 4, "tasks_per_match": 8, "references": 6,
        "propose_tokens": 1024, "solve_tokens": 1024,
    },
}  # fmt: skip
"""What differs again on a GPU; PopuLoRA's sizes but for the number of members."""


@dataclass(frozen=True, slots=True)
class Start:
    """A config to begin with, and what it takes."""

    values: Values
    config: Config
    budget: Budget
    free: float
    """Bytes that are to be had."""

    @property
    def fits(self) -> bool:
        """Whether the machine has the memory."""
        return self.budget.peak <= self.free


def smaller(values: Values, budget: Budget, free: float) -> Values | None:
    """Return values that take less memory, by what takes most; None: nothing is left to try."""
    rollout, policy, people = values["rollout"], values["policy"], values["population"]
    engine = {"type": "auto", "rows": 256} | values.get("engine", {})
    parts = budget.parts
    if parts["keys and values"] + parts["drawing"] > 0.2 * free and engine["rows"] > 8:
        return merge(values, {"engine": engine | {"rows": engine["rows"] // 2}})
    if parts["second layout"] > 0:
        return merge(values, {"engine": engine | {"blocked": False}})
    if parts["base"] > 0.4 * free and budget.copies > 1:
        return merge(values, {"engine": engine | {"workers": 1}})
    if not budget.recompute:
        return merge(values, {"policy": {"gradient_checkpointing": True}})
    if people["teachers"] > 1:
        half = {"teachers": people["teachers"] // 2, "students": people["students"] // 2}
        return merge(values, {"population": half})
    if policy["rank"] > 4:
        half = {"rank": policy["rank"] // 2, "alpha": policy["alpha"] / 2}
        return merge(values, {"policy": half})
    if rollout["solve_tokens"] > 256:
        half = {key: rollout[key] // 2 for key in ("propose_tokens", "solve_tokens")}
        return merge(values, {"rollout": half})
    return None


def starting_values(base: str, name: str, device: torch.device) -> Values:
    """Return values for a base before it is known whether they fit.

    Raises:
        ConfigError: no environment knows what the base speaks.
    """
    dialect = dialect_of(base)
    values = merge(SMALL_START, start_for(dialect))
    values = merge(values, {"name": name, "policy": {"base": base}})
    if dialect == "chat":
        values = merge(values, CHAT_START)
        if device.type == "cuda":
            values = merge(values, GPU_START)
    return values


def fitting_start(values: Values, shapes: Shapes, device: torch.device, free: float) -> Start:
    """Return values that fit into `free` bytes, or the smallest ones."""
    while True:
        config = build_config(values)
        start = Start(values, config, budget_of(config, shapes, device, free), free)
        less = None if start.fits else smaller(values, start.budget, free)
        if less is None:
            return start
        values = less


def plan_start(base: str, name: str) -> Start:
    """Return a config for a base that fits this machine, if any does.

    Of a base on the hub, only config.json is downloaded.

    Raises:
        ConfigError: there is no such base.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    values = starting_values(base, name, device)
    return fitting_start(values, base_shapes(build_config(values)), device, free_memory(device))


def _line(name: str, value: Any, text: str) -> Iterator[str]:
    """Yield a key with its comment beside it, or before it if that is too long."""
    pair, comment = f"{name} = {literal(value)}", first_sentence(text)
    beside = f"{pair:31} # {comment}"
    if comment and len(beside) > WIDTH:
        yield from textwrap.wrap(comment, WIDTH, initial_indent="# ", subsequent_indent="# ")
    yield beside if comment and len(beside) <= WIDTH else pair


def _is_table(value: Any) -> bool:
    """Return whether a value has lines of its own; a component is written on one."""
    return isinstance(value, Mapping) and "type" not in value


def _lines(values: Mapping[str, Any], texts: Mapping[str, str], section: str = "") -> Iterator[str]:
    """Yield a table's keys with their comments, then the tables inside it."""
    tables = {}
    for key, value in values.items():
        path = f"{section}.{key}".lstrip(".")
        if _is_table(value):
            tables[path] = value
        else:
            yield from _line(key, value, texts[path])
    for path, table in tables.items():
        if not all(map(_is_table, table.values())):
            yield f"\n[{path}]"
        yield from _lines(table, texts, path)


def config_text(start: Start) -> str:
    """Return the config as TOML: each key with the first sentence of its documentation."""
    room = f"{start.budget.peak / GIB:.1f} GiB of {start.free / GIB:.1f} GiB"
    head = [
        f"# Made for {start.config.policy.base} by `redqueen init`: it takes about {room}.",
        "# Any key can be overridden as --section.key VALUE; docs/configs.md tells of the others.",
    ]
    said = texts()
    for name in start.values["environments"]:
        for key in component("environment", name).keys:
            said[f"environments.{name}.{key.name}"] = key.text
    return "\n".join([*head, *_lines(start.values, said)]) + "\n"


def write_start(start: Start, path: Path) -> None:
    """Write the config.

    Raises:
        ConfigError: there is a file already.
    """
    if path.exists():
        raise ConfigError(f"{path} exists already; give another name with --out")
    write_bytes(path, config_text(start).encode())
