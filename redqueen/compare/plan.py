"""From a study to runs: whole configurations, matched work, refusals before anything expensive."""

from collections.abc import Mapping
from typing import Any

from redqueen.benchmarks import RESERVED, SUITES
from redqueen.compare.claims import CLAIMS
from redqueen.compare.study import Entry, Plan, PlannedRun, Study, View
from redqueen.compare.work import Work, planned_work
from redqueen.config import Config, build_config, load_config, merge
from redqueen.errors import ConfigError


def _nested(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys become nested ones."""
    values: dict[str, Any] = {}
    for key, value in overrides.items():
        inner: Any = _nested(value) if isinstance(value, Mapping) else value
        for part in reversed(key.split(".")):
            inner = {part: inner}
        values = merge(values, inner)
    return values


def entry_config(study: Study, entry: Entry, seed: int) -> Config:
    """The whole configuration of one run; the study's suites are what it must not train on.

    Raises:
        ConfigError: the config file or an override is not valid; names the entry.
    """
    values = load_config(entry.config).model_dump()
    values = merge(values, _nested(entry.overrides))
    values = merge(values, {"name": entry.name, "seed": seed})
    values = merge(values, {"eval": {"seed": study.evaluation.seed}})
    if entry.steps is not None:
        values["steps"] = entry.steps
    return build_config(values, f"entry {entry.name}")


SAME_TASKS = ("name", "kinds", "code_f_inputs", "max_program_chars", "max_value_chars")
"""Keys of `domain` that decide what tasks a suite has."""


def plan(study: Study) -> Plan:
    """Resolve and check a study before anything expensive.

    Raises:
        ConfigError: a name is used twice or unknown, a claim lacks an entry, entries of a view
            differ in their work, a claim compares entries that no view matches, or entries would
            be measured on different tasks.
    """
    names = [entry.name for entry in study.entries]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two entries are called {name!r}; give each a name of its own")
    if len(set(study.seeds)) < len(study.seeds):
        raise ConfigError(f"seeds = {list(study.seeds)}: a seed is there twice")
    for suite in study.evaluation.suites:
        if suite not in SUITES:
            raise ConfigError(f"no suite {suite!r}; there are: {', '.join(SUITES)}")
    if study.evaluation.tasks > RESERVED:
        raise ConfigError(
            f"evaluation.tasks = {study.evaluation.tasks}: at most {RESERVED} are kept from "
            "training"
        )
    known = ", ".join(names)
    for view in study.views:
        for name in view.entries:
            if name not in names:
                raise ConfigError(f"view {view.name!r}: no entry {name!r}; there are: {known}")
    for spec in study.claims:
        if spec.claim not in CLAIMS:
            raise ConfigError(f"no claim {spec.claim!r}; there are: {', '.join(CLAIMS)}")
        CLAIMS[spec.claim].check(spec, study)
    configs = {entry.name: entry_config(study, entry, study.seeds[0]) for entry in study.entries}
    work = {name: planned_work(config) for name, config in configs.items()}
    for view in study.views:
        check_view(view, work)
    _check_tasks(study, configs)
    order = [entry for entry in study.entries if not entry.alone]
    alone = [entry for entry in study.entries if entry.alone]
    runs = [
        PlannedRun(entry, seed, entry_config(study, entry, seed))
        for group in (order, alone)
        for seed in study.seeds
        for entry in group
    ]
    return Plan(study, tuple(runs), work)


def check_view(view: View, work: Mapping[str, Work]) -> None:
    """Refuse a view whose entries differ in what it matches.

    Raises:
        ConfigError: names both entries, the figures and how to match them.
    """
    first = view.entries[0]
    for name in view.entries[1:]:
        for what in ("attempts", "proposals"):
            field = f"{what}_per_{'student' if what == 'attempts' else 'teacher'}"
            key = field if view.match == "adapter" else what
            mine, other = getattr(work[first], key), getattr(work[name], key)
            # A side that nobody plays (no teachers: a stream of tasks) has nothing to match.
            if mine is not None and other is not None and mine != other:
                raise ConfigError(
                    f"view {view.name!r} matches {key.replace('_', ' ')}, but {first} plans "
                    f"{mine:,.0f} and {name} {other:,.0f}; change steps or rollout.matches"
                )


def _check_tasks(study: Study, configs: Mapping[str, Config]) -> None:
    measured = [entry.name for entry in study.entries if entry.evaluate]
    for name in measured[1:]:
        for key in SAME_TASKS:
            mine = getattr(configs[measured[0]].domain, key)
            other = getattr(configs[name].domain, key)
            if mine != other:
                raise ConfigError(
                    f"domain.{key} is {mine!r} in {measured[0]} and {other!r} in {name}: they "
                    "would be measured on different tasks"
                )
