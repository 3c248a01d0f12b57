"""What a script may want of a run, as plain values: how it is, and its held-out results."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from redqueen.report.health import health
from redqueen.report.heldout import HeldOut, Standing
from redqueen.report.queries import results_of
from redqueen.report.statistics import Estimate
from redqueen.store import RunReader


def status_values(run: RunReader) -> dict[str, Any]:
    """Return how far a run is, and its vital signs: `step`, `steps`, `ended_at`, `signs`."""
    written = run.last_written()
    return {
        "run": str(run.directory),
        "step": run.last_step(),
        "steps": run.config_values()["steps"],
        "ended_at": written.isoformat() if written else None,
        "signs": [asdict(sign) for sign in health(run)],
    }


def result_values(run: RunReader) -> list[dict[str, Any]]:
    """Return a row for each suite, mode, kind and line of the result tables.

    Rates and gains are {value, low, high, n}, shares of 1 with 95 % intervals over n tasks.
    """
    return [
        _row(result, line, mode, kind)
        for result in results_of(run)
        for line in result.standings
        for mode, kind in line.rates
    ]


def _row(result: HeldOut, line: Standing, mode: str, kind: str) -> dict[str, Any]:
    def plain(estimates: Mapping[tuple[str, str], Estimate]) -> dict[str, Any] | None:
        estimate = estimates.get((mode, kind))
        return None if estimate is None else asdict(estimate)

    return {
        "suite": result.suite,
        "step": result.step,
        "mode": mode,
        "kind": kind,
        "who": line.label,
        "member": line.member,
        "rate": plain(line.rates),
        "over_base": plain(line.gains),
        "over_elicited": plain(line.over_elicited),
    }
