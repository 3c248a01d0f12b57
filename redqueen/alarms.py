"""Alarms with a named cause: what a population's collapse looks like in a step's metrics.

An alarm stops nothing. It begins after `alarms.patience` steps in a row beyond its threshold, and
ends after as many on this side of it; a step that does not have the measure changes nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redqueen.config.alarms import AlarmConfig

Metrics = Mapping[str, float]


def _least(metrics: Metrics, name: str) -> float | None:
    """Least value of `diversity/<group>/<name>` over the groups."""
    values = [
        value
        for key, value in metrics.items()
        if key.startswith("diversity/") and key.endswith(f"/{name}")
    ]
    return min(values, default=None)


def least_reliability(metrics: Metrics) -> float | None:
    """Return the least `fitness_reliability/<group>` over the groups; None: nothing measured."""
    prefix = "fitness_reliability/"
    return min((v for key, v in metrics.items() if key.startswith(prefix)), default=None)


@dataclass(frozen=True, slots=True)
class Cause:
    """One way to collapse."""

    sentence: str
    """What it means, for people."""
    measure: Callable[[Metrics], float | None]
    ceiling: bool = False
    """True: the measure is too high; False: too low."""
    at_once: bool = False
    """One step is enough to begin and to end it: the measure comes once in a generation."""
    loss: bool = False
    """True: something is lost. Founders start alike and differ only later, so the alarm is not
    armed before the measure has been well for `patience` steps in a row."""

    def beyond(self, value: float, threshold: float) -> bool:
        """Whether the measure is past its threshold."""
        return value >= threshold if self.ceiling else value <= threshold


CAUSES: dict[str, Cause] = {
    "clones": Cause(
        "the members of a role have nearly the same weights",
        lambda metrics: _least(metrics, "weights_mean"),
        loss=True,
    ),
    "one_teacher_style": Cause(
        "the teachers' tasks no longer tell who wrote them",
        lambda metrics: _least(metrics, "style"),
        loss=True,
    ),
    "no_valid_tasks": Cause(
        "hardly a proposal becomes a task", lambda metrics: metrics.get("valid_rate")
    ),
    "too_easy": Cause(
        "nearly every attempt is correct",
        lambda metrics: metrics.get("solve_rate"),
        ceiling=True,
    ),
    "too_hard": Cause("hardly an attempt is correct", lambda metrics: metrics.get("solve_rate")),
    "truncated": Cause(
        "many texts are cut off by the limit of tokens",
        lambda metrics: metrics.get("truncated"),
        ceiling=True,
    ),
    "unsafe": Cause(
        "screens hold more and more proposals back",
        lambda metrics: metrics.get("unsafe_rate"),
        ceiling=True,
    ),
    "selection_is_noise": Cause(
        "fitness hardly tells the members apart", least_reliability, at_once=True
    ),
    "no_learning_signal": Cause(
        "hardly a sequence has an advantage to learn from",
        lambda metrics: metrics.get("zero_advantages"),
        ceiling=True,
    ),
}
"""By name; thresholds are the keys of the same names in `alarms`."""


@dataclass(slots=True)
class _Watch:
    """One cause's state: steps in a row on the other side, and whether it rings."""

    armed: bool
    ringing: bool = False
    streak: int = 0


class Alarms:
    """Watches the metrics of every step; its state belongs to the checkpoint."""

    def __init__(self, config: "AlarmConfig") -> None:
        self.config = config
        self._watches = {name: _Watch(armed=not cause.loss) for name, cause in CAUSES.items()}

    def watch(self, metrics: Metrics) -> dict[str, float]:
        """Take up one step; returns `alarm/<cause>` = 1 for all that ring in it."""
        for name, cause in CAUSES.items():
            value = cause.measure(metrics)
            if value is not None:
                beyond = cause.beyond(value, getattr(self.config, name))
                self._take(self._watches[name], beyond, 1 if cause.at_once else None)
        return {f"alarm/{name}": 1.0 for name, watch in self._watches.items() if watch.ringing}

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
        return {name: asdict(watch) for name, watch in self._watches.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` returned."""
        self._watches = {name: _Watch(**state[name]) for name in CAUSES}


def begun(before: Metrics, now: Metrics) -> list[str]:
    """Causes of the alarms that ring in the metrics of one step and not in those before."""
    return [name for name in CAUSES if f"alarm/{name}" in now and f"alarm/{name}" not in before]
