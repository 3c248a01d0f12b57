"""From a study to runs: whole configurations, matched work, refusals before anything expensive."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redqueen.compare.study import Entry, Study, View
from redqueen.config import Config, build_config, load_config, merge
from redqueen.config.rollout import RolloutConfig
from redqueen.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Work:
    """Planned text of a whole run, if every proposal is valid; None: nobody plays that role."""

    adapters: int
    steps: int
    attempts: int
    """Solving attempts of all members."""
    proposals: int | None
    """Proposals of all members."""
    attempts_per_student: float
    """For each member that solves."""
    proposals_per_teacher: float | None
    """For each member that proposes."""


def planned_work(config: Config) -> Work:
    """Count from the configuration: steps x matches x tasks (x students per task x attempts).

    The last step of a generation may be a probe, of a size of its own. Further rounds, posed for
    groups with mixed verdicts, are not counted: nobody knows how many there will be.
    """
    sizes, rollout, evolution = config.population, config.rollout, config.evolution
    teachers = sizes.teachers + sizes.self_play
    students = sizes.students + sizes.self_play
    probes = 0
    if evolution.enabled and evolution.cull and evolution.fitness.probe:
        probes = config.steps // evolution.interval
    tasks, attempts = _step_work(rollout, sizes.students, config.steps - probes)
    if probes:
        size = evolution.fitness.probe.step(rollout, teachers, len(config.environments))
        more_tasks, more_attempts = _step_work(size, sizes.students, probes)
        tasks, attempts = tasks + more_tasks, attempts + more_attempts
    return Work(
        adapters=sizes.teachers + sizes.students + sizes.self_play,
        steps=config.steps,
        attempts=attempts,
        proposals=tasks if teachers else None,
        attempts_per_student=attempts / students,
        proposals_per_teacher=tasks / teachers if teachers else None,
    )


def _step_work(rollout: RolloutConfig, students: int, steps: int) -> tuple[int, int]:
    """Return the tasks and the attempts of so many steps of a size."""
    tasks = steps * rollout.matches * rollout.tasks_per_match
    asked = rollout.students_per_task
    each = students if asked == "all" else min(asked, students)
    return tasks, tasks * max(each, 1) * rollout.attempts


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One entry with one seed; `key` is its place under the study's `runs/`."""

    entry: Entry
    seed: int
    config: Config

    @property
    def key(self) -> str:
        """`<entry>/seed-<seed>`."""
        return f"{self.entry.name}/seed-{self.seed}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked study: every run with its configuration, every entry with its work."""

    study: Study
    runs: tuple[PlannedRun, ...]
    """In the order they are made: seed by seed, those that run alone last."""
    work: Mapping[str, Work]
    """By entry."""


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
    """The whole configuration of one run, its evaluation included.

    Raises:
        ConfigError: the config file or an override is not valid; names the entry.
    """
    section = study.evaluation
    evaluation = section.model_dump() | {"suites": list(section.suites), "enabled": entry.evaluate}
    values = merge(load_config(entry.config).model_dump(), _nested(entry.overrides))
    values = merge(values, {"name": entry.name, "seed": seed, "eval": evaluation})
    values["threads"] = values["threads"] or study.threads
    values["steps"] = entry.steps or values["steps"]
    return build_config(values, f"entry {entry.name}")


SAME_TASKS = {"kinds", "code_f_inputs", "max_program_chars", "max_value_chars"}
"""Keys of an environment that decide what tasks a suite has."""


def plan(study: Study) -> Plan:
    """Resolve and check a study before anything expensive.

    Raises:
        ConfigError: a name is used twice or unknown, a suite is not there, entries of a view differ
            in their work, or entries would be measured on different tasks.
    """
    names = [entry.name for entry in study.entries]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two entries are called {name!r}; give each a name of its own")
    if len(set(study.seeds)) < len(study.seeds):
        raise ConfigError(f"seeds = {list(study.seeds)}: a seed is there twice")
    configs = {entry.name: entry_config(study, entry, study.seeds[0]) for entry in study.entries}
    work = {name: planned_work(config) for name, config in configs.items()}
    for view in study.views:
        check_view(view, work)
    _check_suites(study, configs)
    _check_tasks(study, configs)
    together = [entry for entry in study.entries if not entry.alone]
    alone = [entry for entry in study.entries if entry.alone]
    runs = [
        PlannedRun(entry, seed, entry_config(study, entry, seed))
        for group in (together, alone)
        for seed in study.seeds
        for entry in group
    ]
    return Plan(study, tuple(runs), work)


def check_view(view: View, work: Mapping[str, Work]) -> None:
    """Refuse a view whose entries differ in what it matches.

    Raises:
        ConfigError: names an unknown entry, or both entries, the figures and how to match them.
    """
    for name in view.entries:
        if name not in work:
            raise ConfigError(
                f"view {view.name!r}: no entry {name!r}; there are: {', '.join(work)}"
            )
    first = view.entries[0]
    keys = ("attempts_per_student", "proposals_per_teacher")
    for name in view.entries[1:]:
        for key in keys if view.match == "adapter" else ("attempts", "proposals"):
            one, two = getattr(work[first], key), getattr(work[name], key)
            # A side that nobody plays (no teachers: a stream of tasks) has nothing to match.
            if one is not None and two is not None and one != two:
                raise ConfigError(
                    f"view {view.name!r} matches {key.replace('_', ' ')}, but {first} plans "
                    f"{one:,.0f} and {name} {two:,.0f}; change steps or rollout.matches"
                )


def _check_suites(study: Study, configs: Mapping[str, Config]) -> None:
    # Makes environments, whose imports take a second.
    from redqueen.build import open_environments
    from redqueen.curriculum import check_sources

    for entry in study.entries:
        config = configs[entry.name]
        with open_environments(config) as environments:
            check_sources(environments, config.eval.suites, f"entry {entry.name}: eval.suites")


def _check_tasks(study: Study, configs: Mapping[str, Config]) -> None:
    measured = [entry.name for entry in study.entries if entry.evaluate]
    for name in measured[1:]:
        one, two = (configs[key].environments for key in (measured[0], name))
        if one.keys() != two.keys():
            raise ConfigError(
                f"{measured[0]} has the environments {', '.join(one)} and {name} has "
                f"{', '.join(two)}: they would be measured on different tasks"
            )
        for place, environment in one.items():
            first, second = environment.model_dump(), two[place].model_dump()
            for key in first.keys() & second.keys() & SAME_TASKS:
                if first[key] != second[key]:
                    raise ConfigError(
                        f"environments.{place}.{key} is {first[key]!r} in {measured[0]} and "
                        f"{second[key]!r} in {name}: they would be measured on different tasks"
                    )
