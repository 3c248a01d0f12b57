"""Make the runs of a plan: worker processes side by side, resumable, stopped without loss."""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any

from redqueen.compare.study import EvaluationSection, Plan, PlannedRun
from redqueen.compare.worker import MEASURED, STOPPED, check_same, settings_of
from redqueen.config import Config
from redqueen.errors import ConfigError
from redqueen.store import RunReader, RunStore, checkpoint_steps
from redqueen.types import Role

if sys.platform != "win32":
    import fcntl


PATIENCE = 120.0
"""Seconds to wait for the workers of a comparison that was killed."""


@dataclass(frozen=True, slots=True)
class Job:
    """One thing for a worker to do; `key` names it in messages and is its folder."""

    key: str
    kind: str
    directory: Path
    config: Config
    evaluation: EvaluationSection | None
    alone: bool
    weight: float
    """Texts to be sampled: what progress is measured in."""


@dataclass(slots=True)
class Running:
    """A worker at its job."""

    job: Job
    process: subprocess.Popen[bytes]
    begun: float
    phase: str = "starting"
    done: int = 0
    total: int = 1
    rest: bytes = b""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job; `reason` None: done."""

    job: Job
    seconds: float
    reason: str | None = None


@dataclass(slots=True)
class Progress:
    """Where a comparison stands; handed to the display after every change."""

    jobs: int
    done: list[Outcome] = field(default_factory=list)
    running: list[Running] = field(default_factory=list)
    share: float = 0.0
    """Of the work that was left at the start."""
    stopping: bool = False


@contextmanager
def hold(out: Path, patience: float = PATIENCE) -> Iterator[tuple[int, ...]]:
    """Keep other comparisons out of `out`; yields the file descriptors for the workers.

    The lock belongs to the open file, which workers inherit: those of a comparison that was killed
    hold it until they have finished their step, and this waits for them.

    Raises:
        ConfigError: somebody still holds it after `patience` seconds.
    """
    if sys.platform == "win32":
        yield ()
        return
    with (out / "compare.lock").open("ab") as lock:
        end = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise ConfigError(
                        f"another comparison is at work in {out}, or the workers of one that was "
                        "killed are finishing their step; wait for it"
                    ) from None
                time.sleep(0.1)
        yield (lock.fileno(),)


def base_key(config: Config) -> str:
    """Runs with the same key share one measurement of the base."""
    policy, rollout = config.policy, config.rollout
    parts = [policy.base, policy.dtype, config.domain.style, str(rollout.solve_tokens)]
    return blake2b(json.dumps(parts).encode(), digest_size=6).hexdigest()


def base_path(out: Path, config: Config, wanted: EvaluationSection) -> Path:
    """Where the base's measurement for this configuration lies."""
    settings = blake2b(wanted.model_dump_json().encode(), digest_size=4).hexdigest()
    return out / "bases" / f"{base_key(config)}-{settings}.json"


def is_measured(store: RunReader, wanted: EvaluationSection) -> bool:
    """Whether every living student was measured on every suite, with these settings."""
    booked = store.meta(MEASURED) or {}
    living = [m for m in store.load_members() if m.died is None and Role.STUDENT in m.roles]
    needed = [[suite, f"member:{m.id}"] for suite in wanted.suites for m in living]
    return booked.get("settings") == settings_of(wanted) and all(
        item in booked["done"] for item in needed
    )


def is_done(directory: Path, run: PlannedRun, wanted: EvaluationSection) -> bool:
    """Whether the run is trained and measured.

    Raises:
        ConfigError: there is a run of another configuration.
    """
    if not (directory / "run.db").exists() or not checkpoint_steps(directory):
        return False
    check_same(directory, run.config)
    with RunStore.open(directory, read_only=True) as store:
        trained = max(checkpoint_steps(directory)) >= run.config.steps
        return trained and (not run.entry.evaluate or is_measured(store, wanted))


def open_jobs(plan: Plan, out: Path, booked: Container[str] = ()) -> list[Job]:
    """What is left to do: bases first, then runs in the plan's order.

    Args:
        plan: the study's.
        out: its folder.
        booked: keys of runs whose results are known; nothing is done for one without a folder.

    Raises:
        ConfigError: `out` holds a run of another configuration.
    """
    wanted = plan.study.evaluation
    bases: dict[Path, Job] = {}
    runs = []
    texts = len(wanted.suites) * wanted.tasks * (1 + wanted.samples)
    for run in plan.runs:
        directory = out / "runs" / run.key
        if run.key in booked and not directory.exists():
            continue
        people = run.config.population
        measured = texts * (people.students + people.self_play) if run.entry.evaluate else 0
        if not is_done(directory, run, wanted):
            evaluation = wanted if run.entry.evaluate else None
            weight = plan.work[run.entry.name].rollouts + measured
            alone = run.entry.alone
            runs.append(Job(run.key, "run", directory, run.config, evaluation, alone, weight))
        path = base_path(out, run.config, wanted)
        if run.entry.evaluate and not path.exists() and path not in bases:
            key = f"base/{run.config.policy.base}"
            bases[path] = Job(key, "base", path, run.config, wanted, False, texts)
    return [*bases.values(), *runs]


class Runner:
    """Works through jobs; make it, then call `run` once."""

    def __init__(
        self,
        jobs: Sequence[Job],
        logs: Path,
        *,
        side_by_side: int,
        threads: int,
        on_progress: Callable[[Progress], None] = lambda progress: None,
        on_outcome: Callable[[Outcome], None] = lambda outcome: None,
        held: Sequence[int] = (),
    ):
        """Write each worker's errors to `logs`/<key>.log; `on_outcome` hears of every job.

        Workers inherit the file descriptors `held`, such as that of `hold`.
        """
        self.waiting = list(jobs)
        self.logs = logs
        self.side_by_side = side_by_side
        self.threads = threads
        self.on_progress = on_progress
        self.on_outcome = on_outcome
        self.held = tuple(held)
        self.progress = Progress(len(jobs))
        self.weight = sum(job.weight for job in jobs) or 1.0
        self.selector = selectors.DefaultSelector()

    def run(self, should_stop: Callable[[], bool] = lambda: False) -> bool:
        """Do all jobs; False if `should_stop` ended it. Workers never outlive this call."""
        try:
            while self.waiting or self.progress.running:
                if should_stop() and not self.progress.stopping:
                    self._ask_to_stop()
                if not self.progress.stopping:
                    self._fill()
                self._listen()
            return len(self.progress.done) == self.progress.jobs
        finally:
            self._end_all()
            self.selector.close()

    def _fill(self) -> None:
        running = self.progress.running
        while self.waiting and len(running) < self.side_by_side:
            job = self.waiting[0]
            if running and (job.alone or running[0].job.alone):
                return
            self._start(self.waiting.pop(0))

    def _start(self, job: Job) -> None:
        log = self.logs / f"{job.key.replace('/', '-')}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        message = {
            "kind": job.kind,
            "directory": str(job.directory),
            "config": job.config.model_dump(mode="json"),
            "evaluation": job.evaluation.model_dump(mode="json") if job.evaluation else None,
            "threads": self.threads,
            "parent": os.getpid(),
        }
        count = str(self.threads)
        with log.open("wb") as errors:
            # In a session of its own: Ctrl-C reaches this process only, which asks it to stop.
            process = subprocess.Popen(
                [sys.executable, "-m", "redqueen.compare.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                pass_fds=self.held,
                env=os.environ
                | {"OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count, "PYTHONUNBUFFERED": "1"},
            )
        running = Running(job, process, time.monotonic())
        self.progress.running.append(running)
        assert process.stdin is not None
        assert process.stdout is not None
        self.selector.register(process.stdout, selectors.EVENT_READ, running)
        try:
            process.stdin.write(json.dumps(message).encode())
            process.stdin.close()
        except BrokenPipeError:
            pass  # it died at once; its exit status and log say why
        self.on_progress(self.progress)

    def _listen(self) -> None:
        events = self.selector.select(timeout=0.25)
        for key, _ in events:
            running: Running = key.data
            chunk = os.read(key.fd, 65536)
            if chunk:
                self._hear(running, chunk)
            else:
                self._finish(running, key.fileobj)
        if events and not self.progress.stopping:
            left = [running.job.weight * (1 - self._share(running)) for running in
                    self.progress.running]  # fmt: skip
            waiting = sum(job.weight for job in self.waiting)
            self.progress.share = 1 - (waiting + sum(left)) / self.weight
        self.on_progress(self.progress)

    def _share(self, running: Running) -> float:
        """Of a run's work: training first, then measuring, which is the smaller part."""
        share = running.done / max(running.total, 1)
        if running.job.kind == "base":
            return share
        return 0.85 * share if running.phase in ("train", "starting") else 0.85

    def _hear(self, running: Running, chunk: bytes) -> None:
        *lines, running.rest = (running.rest + chunk).split(b"\n")
        for line in lines:
            message = _message(line)
            if message is not None:
                running.phase = message["phase"]
                running.done, running.total = message["done"], message["total"]

    def _finish(self, running: Running, pipe: Any) -> None:
        self.selector.unregister(pipe)
        pipe.close()
        status = running.process.wait()
        self.progress.running.remove(running)
        seconds = time.monotonic() - running.begun
        if self.progress.stopping and status in (STOPPED, -signal.SIGTERM):
            return
        reason = None if status == 0 else self._reason(running.job, status)
        outcome = Outcome(running.job, seconds, reason)
        self.progress.done.append(outcome)
        self.on_outcome(outcome)

    def _reason(self, job: Job, status: int) -> str:
        path = self.logs / f"{job.key.replace('/', '-')}.log"
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if status < 0:
            return f"killed by signal {-status}"
        return lines[-1] if lines else f"exit status {status}, see {path}"

    def _ask_to_stop(self) -> None:
        self.progress.stopping = True
        self.waiting.clear()
        for running in self.progress.running:
            running.process.terminate()

    def _end_all(self) -> None:
        """On an exception (a second Ctrl-C): no worker is left behind."""
        for running in self.progress.running:
            running.process.kill()
            running.process.wait()
            pipe: IO[bytes] | None = running.process.stdout
            if pipe is not None:
                pipe.close()


def _message(line: bytes) -> dict[str, Any] | None:
    """A line of progress; None for what else a library may print."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and "phase" in value else None
