"""Alarms of collapse, watched in every step."""

from collections.abc import Mapping
from typing import Any

from redqueen.alarms import Alarms
from redqueen.callbacks.base import Callback, CallbackConfig, RunInfo


class AlarmLog(CallbackConfig):
    """Records `alarm/<cause>` in the metrics of every step in which one rings."""

    def build(self, run: RunInfo) -> "AlarmWatch":
        """Return the watch; its thresholds are the run's section `alarms`."""
        return AlarmWatch(Alarms(run.config.alarms))


class AlarmWatch(Callback):
    """Hands the metrics of each step to the alarms."""

    def __init__(self, alarms: Alarms) -> None:
        self.alarms = alarms

    def on_metrics(self, step: int, metrics: Mapping[str, float]) -> Mapping[str, float]:
        """Return the alarms that ring in this step."""
        return self.alarms.watch(metrics)

    def state(self) -> dict[str, Any]:
        """Return the alarms' state."""
        return self.alarms.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up the alarms' state."""
        self.alarms.restore(state)
