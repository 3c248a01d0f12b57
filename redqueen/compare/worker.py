"""One job of a comparison in a process of its own: `python -m redqueen.compare.worker`.

The job comes as JSON on standard input, progress goes as JSON lines to standard output, errors to
standard error. SIGTERM, or the death of the process that started it, stops it after the current
step; killed at any point, the next worker takes the job up at the last checkpoint.

A run is trained, then measured suite by suite and subject by subject; what is measured is booked
in the run's database, so that it is not measured again. A base is measured alone.
"""

import json
import os
import platform
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers

from redqueen import __version__
from redqueen.benchmarks import SUITES, Subject, evaluate
from redqueen.compare.study import EvaluationSection
from redqueen.config import Config, build_config
from redqueen.engines.policy import Policy
from redqueen.environments import build_domain
from redqueen.environments.base import Domain
from redqueen.errors import ConfigError, RedQueenError
from redqueen.files import write_text
from redqueen.sandbox import make_sandbox
from redqueen.store import EvaluationRow, RunStore, checkpoint_steps
from redqueen.trainer import Trainer
from redqueen.types import Role, StepRecord

STOPPED = 130
"""Exit status of a worker that was asked to stop."""
MEASURED = "compare_measured"
MEMORY = "compare_memory"
MACHINE = "compare_machine"


class StoppedError(Exception):
    """Somebody asked this worker to stop in the middle of a measurement."""


@dataclass(slots=True)
class Stop:
    """Whether to stop: after SIGTERM, or once the parent is gone."""

    parent: int
    asked: bool = False

    def __call__(self) -> bool:
        """Whether to stop now."""
        return self.asked or os.getppid() != self.parent

    def handle(self, number: int, frame: object) -> None:
        """Signal handler."""
        self.asked = True


Emit = Callable[..., None]


def emit(**message: Any) -> None:
    """One line of progress."""
    try:
        print(json.dumps(message), flush=True)
    except BrokenPipeError:
        # Nobody listens any more; `Stop` sees that, too, and ends the work in good order.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def measuring(stop: Stop, phase: str, done: int, total: int) -> None:
    """Report the progress of a measurement.

    Raises:
        StoppedError: somebody asked to stop.
    """
    if stop():
        raise StoppedError
    emit(phase=phase, done=done, total=total)


def machine() -> dict[str, str]:
    """Versions and hardware that figures depend on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "redqueen": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "platform": platform.platform(),
        "gpu": gpu,
        "threads": str(torch.get_num_threads()),
    }


def open_run(directory: Path, config: Config) -> Trainer:
    """Start a run, or take it up.

    Raises:
        ConfigError: the directory holds a run of another configuration.
    """
    if (directory / "run.db").exists() and not checkpoint_steps(directory):
        # Killed before its first checkpoint: there is nothing in it yet.
        shutil.rmtree(directory)
    if not (directory / "run.db").exists():
        return Trainer.start(config, directory)
    check_same(directory, config)
    return Trainer.resume(directory)


def check_same(directory: Path, config: Config) -> None:
    """Refuse to go on with a run of another configuration.

    Raises:
        ConfigError: names the keys that differ.
    """
    with RunStore.open(directory, read_only=True) as store:
        stored = store.config()
    if stored != config:
        keys = differing(stored.model_dump(), config.model_dump())
        raise ConfigError(
            f"{directory} holds a run of another configuration (it differs in "
            f"{', '.join(keys)}); remove it or choose another --out"
        )


def differing(one: dict[str, Any], two: dict[str, Any], prefix: str = "") -> list[str]:
    """Dotted keys whose values differ."""
    keys = []
    for key in one.keys() | two.keys():
        a, b = one.get(key), two.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            keys += differing(a, b, f"{prefix}{key}.")
        elif a != b:
            keys.append(prefix + key)
    return sorted(keys)


def train(trainer: Trainer, stop: Stop) -> bool:
    """Train to the end; False if stopped. Books the peak memory and the machine."""
    total = trainer.config.steps
    before = trainer.store.meta(MEMORY) or {}

    def progress(phase: str, record: StepRecord | None) -> None:
        if phase == "store":
            # Before the step is stored: a run that is whole has its figures, whenever it is killed.
            now = trainer.policy.peak_memory()
            peak = {key: max(value, before.get(key, 0.0)) for key, value in now.items()}
            trainer.store.write_meta(MEMORY, peak)
        if record is not None:
            emit(phase="train", done=record.step, total=total)

    emit(phase="train", done=trainer.step, total=total)
    if trainer.step == total:
        return True
    trainer.store.write_meta(MACHINE, machine())
    return trainer.run(progress, stop)


def measure(
    policy: Policy,
    domain: Domain,
    config: Config,
    wanted: EvaluationSection,
    suite: str,
    subject: Subject,
    stop: Stop,
) -> list[EvaluationRow]:
    """One subject on one suite.

    Raises:
        StoppedError: stopped half-way; nothing of it is kept.
    """
    return evaluate(
        policy,
        domain,
        suite,
        SUITES[suite](domain, wanted.tasks, wanted.seed),
        [subject],
        samples=wanted.samples,
        max_new_tokens=config.rollout.solve_tokens,
        seed=wanted.seed,
        on_progress=partial(measuring, stop, f"{suite}, {subject.name}"),
    )


def measure_run(trainer: Trainer, wanted: EvaluationSection, stop: Stop) -> None:
    """Every living student on every suite, each booked as soon as it is done."""
    settings = settings_of(wanted)
    booked = trainer.store.meta(MEASURED) or {}
    done = booked.get("done", []) if booked.get("settings") == settings else []
    for suite in wanted.suites:
        for member in trainer.population.by_role(Role.STUDENT):
            subject = Subject(f"member:{member.id}", member.slot)
            if [suite, subject.name] in done:
                continue
            rows = measure(
                trainer.policy, trainer.domain, trainer.config, wanted, suite, subject, stop
            )
            trainer.store.write_evaluation(rows, step=trainer.step)
            done = [*done, [suite, subject.name]]
            trainer.store.write_meta(MEASURED, {"settings": settings, "done": done})


def settings_of(wanted: EvaluationSection) -> dict[str, Any]:
    """What a measurement depends on, but for the names of the suites."""
    return wanted.model_dump(mode="json", exclude={"suites"})


def measure_base(config: Config, wanted: EvaluationSection, target: Path, stop: Stop) -> None:
    """The base alone on every suite, written to `target` as JSON rows."""
    policy = Policy.load(config.policy, 1, config.seed)
    rows: list[EvaluationRow] = []
    with make_sandbox(config.sandbox) as sandbox:
        domain = build_domain(config, sandbox, policy.tokenizer)
        for suite in wanted.suites:
            rows += measure(policy, domain, config, wanted, suite, Subject("base", None), stop)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text(target, json.dumps([asdict(row) for row in rows]))


def work(job: dict[str, Any], stop: Stop) -> int:
    """Do one job; returns the exit status."""
    config = build_config(job["config"], "job")
    wanted = EvaluationSection(**job["evaluation"]) if job["evaluation"] else None
    if config.threads == 0:
        torch.set_num_threads(job["threads"])
    directory = Path(job["directory"])
    if job["kind"] == "base":
        assert wanted is not None
        measure_base(config, wanted, directory, stop)
        return 0
    if stop():
        return STOPPED
    with open_run(directory, config) as trainer:
        if not train(trainer, stop):
            return STOPPED
        if wanted is not None:
            measure_run(trainer, wanted, stop)
    return 0


def main() -> int:
    """Read the job, do it, say in one sentence what went wrong."""
    job = json.load(sys.stdin)
    stop = Stop(job["parent"])
    signal.signal(signal.SIGTERM, stop.handle)
    try:
        return work(job, stop)
    except StoppedError:
        return STOPPED
    except RedQueenError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
