"""What watches a run. A callback that fails is reported and never ends the run."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redqueen.config import Config
from redqueen.config.component import Component
from redqueen.types import StepRecord

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What a callback may know of the run that it watches."""

    directory: Path
    config: Config
    step: int
    """Steps done before."""
    stop_asked: Callable[[], bool] = lambda: False
    """Whether somebody has asked the run to stop after the step that goes on."""


class Callback:
    """Every method does nothing unless it is overridden. All run in the loop's own thread."""

    def on_start(self) -> None:
        """The loop begins."""

    def on_phase(self, step: int, phase: str) -> None:
        """A phase of a step begins."""

    def on_texts(self, phase: str, finished: int, total: int) -> None:
        """Some of the texts of a phase are finished."""

    def on_metrics(self, step: int, metrics: Mapping[str, float]) -> Mapping[str, float]:
        """Return further metrics for the record of the step that is about to be made."""
        return {}

    def on_step(self, record: StepRecord) -> None:
        """A step is done. Its storage may still go on."""

    def on_evaluation(self, step: int, results: Mapping[str, float]) -> None:
        """The members have been measured after a step: `eval/<suite>/<mode>/<who>` -> share of
        right answers. It comes to a callback of its own, after `on_end` or long after the run."""

    def on_end(self, finished: bool) -> None:
        """The loop has ended: at the last step (True), or because it was asked to stop."""

    def state(self) -> dict[str, Any]:
        """Return plain JSON for the checkpoint: what a resumed run needs of this callback."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` returned."""


class CallbackConfig(Component):
    """Base of what a config names as a callback: its keys, and how it is built from them."""

    def build(self, run: RunInfo) -> Callback:
        """Return the callback for a run."""
        raise NotImplementedError


class Callbacks(Callback):
    """Several callbacks as one. A failure is logged once for each callback and method."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self.callbacks = tuple(callbacks)
        self._reported: set[tuple[int, str]] = set()

    def _call(self, callback: Callback, method: str, *args: Any) -> Any:
        try:
            return getattr(callback, method)(*args)
        except Exception as error:
            number = self.callbacks.index(callback)
            if (number, method) not in self._reported:
                self._reported.add((number, method))
                log.warning(
                    "the callback %s failed in %s and is skipped there: %s: %s",
                    type(callback).__name__, method, type(error).__name__, error,
                )  # fmt: skip
            return None

    def _all(self, method: str, *args: Any) -> None:
        for callback in self.callbacks:
            self._call(callback, method, *args)

    def on_start(self) -> None:
        """Tell all that the run begins."""
        self._all("on_start")

    def on_phase(self, step: int, phase: str) -> None:
        """Tell all that a phase begins."""
        self._all("on_phase", step, phase)

    def on_texts(self, phase: str, finished: int, total: int) -> None:
        """Tell all how many texts are finished."""
        self._all("on_texts", phase, finished, total)

    def on_metrics(self, step: int, metrics: Mapping[str, float]) -> Mapping[str, float]:
        """Return what all add to the step's metrics."""
        merged: dict[str, float] = {}
        for callback in self.callbacks:
            merged |= self._call(callback, "on_metrics", step, metrics) or {}
        return merged

    def on_step(self, record: StepRecord) -> None:
        """Tell all that a step is done."""
        self._all("on_step", record)

    def on_evaluation(self, step: int, results: Mapping[str, float]) -> None:
        """Tell all what an evaluation has come to."""
        self._all("on_evaluation", step, results)

    def on_end(self, finished: bool) -> None:
        """Tell all that the loop has ended."""
        self._all("on_end", finished)

    def state(self) -> dict[str, Any]:
        """Return the states of those that keep one, by class name."""
        return {type(item).__name__: kept for item in self.callbacks if (kept := item.state())}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Hand each its state."""
        for item in self.callbacks:
            if type(item).__name__ in state:
                item.restore(state[type(item).__name__])
