"""Alarms with a named cause: what a population's collapse looks like in a step's metrics.

An alarm stops nothing. It begins after `alarms.patience` steps in a row beyond its threshold, and
ends after as many on this side of it; a step that does not have the measure changes nothing. What
is measured of each group of members is watched for each by itself: the alarm rings if one does.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redqueen.config.alarms import AlarmConfig

Metrics = Mapping[str, float]
Measure = Callable[[Metrics], Mapping[str, float]]
"""Group -> value, `RUN` the group of what is measured of the whole run; empty: nothing measured."""

RUN = ""


def of_run(name: str) -> Measure:
    """Return what measures a metric of the whole run."""
    return lambda metrics: {RUN: metrics[name]} if name in metrics else {}


def of_groups(name: str) -> Measure:
    """Return what measures `diversity/<group>/<name>` of every group."""

    def measure(metrics: Metrics) -> dict[str, float]:
        parts = ((key.split("/"), value) for key, value in metrics.items())
        return {of[1]: value for of, value in parts if of[:1] == ["diversity"] and of[2:] == [name]}

    return measure


def least_reliability(metrics: Metrics) -> dict[str, float]:
    """Return the least `fitness_reliability/<group>` over the groups."""
    prefix = "fitness_reliability/"
    values = [value for key, value in metrics.items() if key.startswith(prefix)]
    return {RUN: min(values)} if values else {}


@dataclass(frozen=True, slots=True)
class Cause:
    """One way to collapse."""

    sentence: str
    """What it means, for people."""
    measure: Measure
    ceiling: bool = False
    """True: the measure is too high; False: too low."""
    at_once: bool = False
    """One step is enough to begin and to end it: the measure comes once in a generation."""
    loss: bool = False
    """True: a group has lost something. Founders start alike and differ only later, so the alarm
    is not armed for a group before the measure has been well for `patience` steps in a row; those
    who never learn stay alike, and keep nobody else's alarm from ringing."""

    def beyond(self, value: float, threshold: float) -> bool:
        """Whether the measure is past its threshold."""
        return value >= threshold if self.ceiling else value <= threshold


CAUSES: dict[str, Cause] = {
    "clones": Cause(
        "the members of a role have nearly the same weights",
        of_groups("weights_mean"),
        loss=True,
    ),
    "one_teacher_style": Cause(
        "the teachers' tasks no longer tell who wrote them",
        of_groups("style"),
        loss=True,
    ),
    "no_valid_tasks": Cause("hardly a proposal becomes a task", of_run("valid_rate")),
    "too_easy": Cause(
        "nearly every attempt is correct",
        of_run("solve_rate"),
        ceiling=True,
    ),
    "too_hard": Cause("hardly an attempt is correct", of_run("solve_rate")),
    "truncated": Cause(
        "many texts are cut off by the limit of tokens",
        of_run("truncated"),
        ceiling=True,
    ),
    "unsafe": Cause(
        "screens hold more and more proposals back",
        of_run("unsafe_rate"),
        ceiling=True,
    ),
    "selection_is_noise": Cause(
        "fitness hardly tells the members apart", least_reliability, at_once=True
    ),
    "no_learning_signal": Cause(
        "hardly a sequence has an advantage to learn from",
        of_run("zero_advantages"),
        ceiling=True,
    ),
}
"""By name; thresholds are the keys of the same names in `alarms`."""


@dataclass(slots=True)
class _Watch:
    """State of one cause in one group: steps in a row on the other side, and whether it rings."""

    armed: bool
    ringing: bool = False
    streak: int = 0


class Alarms:
    """Watches the metrics of every step; its state belongs to the checkpoint."""

    def __init__(self, config: "AlarmConfig") -> None:
        self.config = config
        self._watches: dict[str, dict[str, _Watch]] = {name: {} for name in CAUSES}

    def watch(self, metrics: Metrics) -> dict[str, float]:
        """Take up one step; returns `alarm/<cause>` = 1 for all that ring in it."""
        for name, cause in CAUSES.items():
            groups = self._watches[name]
            for group, value in cause.measure(metrics).items():
                watch = groups.setdefault(group, _Watch(armed=not cause.loss))
                beyond = cause.beyond(value, getattr(self.config, name))
                self._take(watch, beyond, 1 if cause.at_once else None)
        return {
            f"alarm/{name}": 1.0
            for name, groups in self._watches.items()
            if any(watch.ringing for watch in groups.values())
        }

    def _take(self, watch: _Watch, beyond: bool, patience: int | None) -> None:
        """`patience` None: the run's."""
        # Unarmed, it waits for steps that are well; ringing likewise; else for those that are not.
        awaited = beyond if watch.armed and not watch.ringing else not beyond
        watch.streak = watch.streak + 1 if awaited else 0
        if watch.streak < (patience or self.config.patience):
            return
        watch.streak = 0
        if not watch.armed:
            watch.armed = True
        else:
            watch.ringing = not watch.ringing

    def state(self) -> dict[str, Any]:
        """Plain JSON for a checkpoint."""
        return {
            name: {group: asdict(watch) for group, watch in groups.items()}
            for name, groups in self._watches.items()
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` returned. An older checkpoint has one watch for all groups: what it
        says of a loss is dropped, so that this is armed anew."""
        self._watches = {}
        for name, cause in CAUSES.items():
            groups = state.get(name, {})
            if "armed" in groups:
                groups = {} if cause.loss else {RUN: groups}
            self._watches[name] = {group: _Watch(**values) for group, values in groups.items()}


def begun(before: Metrics, now: Metrics) -> list[str]:
    """Causes of the alarms that ring in the metrics of one step and not in those before."""
    return [name for name in CAUSES if f"alarm/{name}" in now and f"alarm/{name}" not in before]
