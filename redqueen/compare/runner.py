"""Runs of a study as processes of the command line: `redqueen train`, `resume` and `eval`.

A run lies under the study's folder as anybody's run does, and is taken up where it stands: what is
missing of it is the next command. Nothing else is remembered.
"""

import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from redqueen.compare.plan import Plan, PlannedRun
from redqueen.config import Config
from redqueen.errors import ConfigError
from redqueen.files import write_text
from redqueen.formatting import duration
from redqueen.store import RunReader, RunStore, checkpoint_steps, config_toml
from redqueen.types import Role

RUNS = "runs"
"""Folder of all runs in that of a study; a base is measured in one of them (`eval.base_from`)."""
STOPPED = 130
"""Exit status of a command that was asked to stop and has saved its work."""
POLL_SECONDS, SHOW_SECONDS = 0.25, 2.0
EVALUATION_KEYS = {"enabled", "suites", "tasks", "samples", "base_from"}
"""Keys of `eval` that training does not depend on: a run can be measured anew with others."""


# ── what a run lacks ────────────────────────────────────────────────────────────────────────────


def run_directory(out: Path, run: PlannedRun) -> Path:
    """Where a run of the study lies."""
    return out / RUNS / run.key


def check_same(directory: Path, stored: Config, planned: Config) -> None:
    """Refuse to go on with a run of another configuration. What is `auto` in the plan was measured
    when the run began, and a hub's revision pinned.

    Raises:
        ConfigError: names the keys that differ.
    """
    one, two = _flat(stored.model_dump()), _flat(planned.model_dump())
    keys = sorted(key for key in one.keys() | two.keys() if one.get(key) != two.get(key))
    settled = {key for key, value in two.items() if value == "auto"} | {"policy.revision"}
    free = settled | {f"eval.{name}" for name in EVALUATION_KEYS}
    keys = [key for key in keys if key not in free]
    if keys:
        raise ConfigError(
            f"{directory} holds a run of another configuration (it differs in "
            f"{', '.join(keys)}); remove it or choose another --out"
        )


def _flat(values: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def missing_suites(store: RunReader, config: Config) -> list[str]:
    """Suites on which not every living student was measured as `config.eval` says."""
    living = [m for m in store.load_members() if m.died is None and Role.STUDENT in m.roles]
    subjects = {"base"} | {f"member:{member.id}" for member in living}
    before = store.config().eval
    missing: list[str] = []
    for suite in config.eval.suites:
        rows = store.load_evaluations(suite)
        counts = {(row.subject, row.mode): 0 for row in rows}
        for row in rows:
            counts[row.subject, row.mode] += 1
        # A suite may have fewer tasks than were asked for.
        whole = set(counts.values()) == {config.eval.tasks} or (
            before.tasks == config.eval.tasks and len(set(counts.values())) == 1
        )
        sampled = {row.samples for row in rows if row.mode == "sampled"}
        measured = {subject for subject, _ in counts}
        if not (whole and subjects <= measured and sampled == {config.eval.samples}):
            missing.append(suite)
    return missing


def next_command(run: PlannedRun, out: Path) -> list[str] | None:
    """Arguments of `redqueen` that bring the run on; None: it is done.

    Raises:
        ConfigError: its folder holds a run of another configuration, or another process writes it.
    """
    directory, config = run_directory(out, run), run.config
    if (directory / "run.db").exists() and not checkpoint_steps(directory):
        # Killed before its first checkpoint: there is nothing in it yet.
        if (directory / "run.db").stat().st_size:
            RunStore.open(directory).close()
        shutil.rmtree(directory)
    if not (directory / "run.db").exists():
        file = out / "configs" / f"{run.key}.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        shared = config.eval.model_copy(update={"base_from": (str(out / RUNS),)})
        config = config.model_copy(update={"eval": shared})
        write_text(file, config_toml(config.model_dump(mode="json")))
        return ["train", str(file), "--out", str(directory)]
    with RunStore.open(directory, read_only=True) as store:
        check_same(directory, store.config(), config)
        if max(checkpoint_steps(directory)) < config.steps:
            return ["resume", str(directory)]
        missing = missing_suites(store, config) if config.eval.enabled else []
    if not missing:
        return None
    suites = [word for suite in missing for word in ("--suite", suite)]
    settings = ["--tasks", str(config.eval.tasks), "--samples", str(config.eval.samples)]
    return ["eval", str(directory), *suites, *settings]


# ── making them ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run; `reason` says why it failed, None: done."""

    run: PlannedRun
    seconds: float
    reason: str | None = None


@dataclass(slots=True)
class Running:
    """A run whose command is at work."""

    run: PlannedRun
    command: list[str]
    process: "subprocess.Popen[bytes]"
    begun: float
    log: Path


class Runner:
    """Works through runs; make it, then call `run` once."""

    def __init__(
        self,
        plan: Plan,
        out: Path,
        *,
        jobs: int,
        console: Console,
        on_outcome: Callable[[Outcome], None] = lambda outcome: None,
    ):
        """`jobs` runs go side by side; each one's output goes to `out`/logs."""
        self.plan, self.out, self.jobs = plan, out, jobs
        self.console, self.on_outcome = console, on_outcome
        self.waiting = [run for run in plan.runs if next_command(run, out) is not None]
        self.running: list[Running] = []
        self.outcomes: list[Outcome] = []
        self.stopping = False
        self.shown = -math.inf
        self.first = {run.key: self._steps(run) for run in self.waiting}
        """Steps that were made before, by run."""
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:.0f} %"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        left = sum(run.config.steps - self.first[run.key] for run in self.waiting)
        self.bar = self.progress.add_task("looking at what is there", total=max(left, 1))

    def run(self, should_stop: Callable[[], bool] = lambda: False) -> bool:
        """Do all runs; False if `should_stop` ended it. No process outlives this call."""
        try:
            with self.progress:
                while self.waiting or self.running:
                    if should_stop() and not self.stopping:
                        self._stop()
                    self._fill()
                    self._collect()
                    self._show()
                    time.sleep(POLL_SECONDS)
        finally:
            for item in self.running:
                item.process.kill()
                item.process.wait()
        return not self.stopping

    def _show(self) -> None:
        """Steps made since the start, of those that were left."""
        if time.monotonic() - self.shown < SHOW_SECONDS:
            return
        self.shown = time.monotonic()
        made = sum(self._steps(item.run) - self.first[item.run.key] for item in self.running)
        ended = [item.run for item in self.outcomes]
        made += sum(run.config.steps - self.first[run.key] for run in ended)
        names = ", ".join(item.run.key for item in self.running)
        words = f"{len(ended)} of {len(self.first)} runs; {names}"
        if self.stopping:
            words = "finishing the steps, then stopping"
        self.progress.update(self.bar, completed=made, description=words)

    def _steps(self, run: PlannedRun) -> int:
        directory = run_directory(self.out, run)
        if not checkpoint_steps(directory):
            return 0
        with RunStore.open(directory, read_only=True) as store:
            return store.last_step()

    def _fill(self) -> None:
        while self.waiting and len(self.running) < self.jobs:
            run = self.waiting[0]
            if self.running and (run.entry.alone or self.running[0].run.entry.alone):
                return
            self._start(self.waiting.pop(0))

    def _start(self, run: PlannedRun, before: Running | None = None) -> None:
        begun = before.begun if before else time.monotonic()
        try:
            command = next_command(run, self.out)
        except ConfigError as error:
            self._end(run, begun, str(error))
            return
        if command is None or (before and command == before.command):
            self._end(run, begun, "its command ended without doing its work" if command else None)
            return
        log = self.out / "logs" / f"{run.key.replace('/', '-')}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        count = str(run.config.threads)
        with log.open("ab" if before else "wb") as file:
            # In a session of its own: Ctrl-C reaches this process only, which asks it to stop.
            process = subprocess.Popen(
                [sys.executable, "-m", "redqueen.cli", *command],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | {"OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count},
            )
        self.running.append(Running(run, command, process, begun, log))

    def _collect(self) -> None:
        for item in [item for item in self.running if item.process.poll() is not None]:
            self.running.remove(item)
            status = item.process.returncode
            if self.stopping and status in (STOPPED, -signal.SIGINT):
                continue
            if status == 0 and self.stopping and next_command(item.run, self.out) is not None:
                continue
            if status == 0:
                self._start(item.run, item)
            else:
                self._end(item.run, item.begun, _reason(item.log, status))

    def _end(self, run: PlannedRun, begun: float, reason: str | None) -> None:
        outcome = Outcome(run, time.monotonic() - begun, reason)
        self.outcomes.append(outcome)
        self.on_outcome(outcome)
        if reason is None:
            left = self.progress.tasks[0].time_remaining
            line = f"done    {run.key} in {duration(outcome.seconds)}"
            line += f", {duration(left)} left" if left and self.waiting else ""
            self.progress.console.print(line)
        else:
            self.progress.console.print(f"failed  {run.key}: {reason}", markup=False)

    def _stop(self) -> None:
        self.stopping = True
        self.waiting.clear()
        for item in self.running:
            item.process.send_signal(signal.SIGINT)


def _reason(log: Path, status: int) -> str:
    if status < 0:
        return f"killed by signal {-status}"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else f"exit status {status}"
