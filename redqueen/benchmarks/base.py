"""A benchmark: released rows, each turned into a task, a prompt and a verdict.

A benchmark is an environment, so a config can also train on one or hold it out; its tasks are the
source `test`, in the order of the released file, and `stream` in an order drawn from the seed.
"""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from redqueen.environments.base import (
    STREAM,
    Attempt,
    Description,
    EnvironmentConfig,
    Services,
    Suite,
    TaskSource,
    Verification,
)
from redqueen.errors import ConfigError
from redqueen.types import Messages, Task

TEST = "test"
"""Name of the source that holds a benchmark's tasks."""
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Hub:
    """A data set of the Hugging Face hub."""

    path: str
    name: str | None = None
    split: str = "test"


class Benchmark(EnvironmentConfig):
    """Base of the benchmarks: its keys, and what each benchmark says of itself."""

    files: str = ""
    """Directory with the released files; empty: the Hugging Face hub, by the extra `benchmarks`."""

    label: ClassVar[str]
    """Its name in tables and in the registry."""
    title: ClassVar[str]
    file: ClassVar[str]
    """Name of the released file; it may also be there compressed, with `.gz` at the end."""
    hub: ClassVar[Hub | None] = None
    solve_tokens: ClassVar[int] = 2048
    """Longest completion."""
    metrics: ClassVar[tuple[str, ...]] = ()
    """Names of `Verification.metrics`."""

    def build(self, services: Services) -> "BenchmarkEnvironment":
        """Return the environment; rows are read when they are first needed."""
        return BenchmarkEnvironment(self, services)

    def rows(self) -> list[Row]:
        """Return the released rows that the benchmark consists of.

        Raises:
            ConfigError: the file is not there, the hub does not answer, or a row is not JSON.
        """
        return read_rows(self)

    def key(self, row: Row, number: int) -> str:
        """Return what names a row among the others."""
        return str(number)

    def payload(self, row: Row) -> dict[str, Any]:
        """Return what a task keeps of its row: plain JSON."""
        raise NotImplementedError

    def prompt(self, task: Task) -> Messages:
        """Return the conversation that puts the task."""
        raise NotImplementedError

    def verify(
        self, attempts: Sequence[Attempt], environment: "BenchmarkEnvironment"
    ) -> list[Verification]:
        """Return a verification for each attempt."""
        raise NotImplementedError

    def programs(self, row: Row) -> tuple[str, ...]:
        """Return the programs that a row gives away; none of them is to be proposed by teachers."""
        return ()


@dataclass(frozen=True)
class BenchmarkEnvironment:
    """A benchmark at work, as an `Environment`."""

    benchmark: Benchmark
    services: Services
    memo: dict[str, Any] = field(default_factory=dict)
    """What the benchmark keeps from one call of `verify` to the next."""

    @property
    def name(self) -> str:
        """The name of its table in the config, or the benchmark's own."""
        return self.services.name or self.benchmark.label

    @cached_property
    def rows(self) -> dict[str, Row]:
        """The released rows by the ids of their tasks."""
        benchmark = self.benchmark
        rows = enumerate(benchmark.rows())
        return {f"{benchmark.label}/{benchmark.key(row, number)}": row for number, row in rows}

    @property
    def sources(self) -> Mapping[str, TaskSource]:
        """The tasks as released, and shuffled to be trained on."""
        return {TEST: _Tasks(self, shuffled=False), STREAM: _Tasks(self, shuffled=True)}

    @property
    def description(self) -> Description:
        """What a report says of it."""
        title = self.benchmark.title
        return Description(title=title, suites={TEST: Suite(title)})

    def task(self, id_: str) -> Task:
        """Return the task of a row."""
        payload = self.benchmark.payload(self.rows[id_])
        return Task(id_, self.name, self.benchmark.label, payload)

    def prompt(self, task: Task) -> Messages:
        """See `Environment.prompt`."""
        return self.benchmark.prompt(task)

    def verify(self, attempts: Sequence[Attempt]) -> list[Verification]:
        """See `Environment.verify`."""
        return self.benchmark.verify(attempts, self)


@dataclass(frozen=True, slots=True)
class _Tasks:
    environment: BenchmarkEnvironment
    shuffled: bool

    def tasks(self, count: int, seed: int) -> list[Task]:
        ids = list(self.environment.rows)
        if self.shuffled:
            Random(seed).shuffle(ids)
        return [self.environment.task(id_) for id_ in ids[:count]]


def read_rows(benchmark: Benchmark) -> list[Row]:
    """Return a benchmark's rows, from its directory or from the hub; see `Benchmark.rows`."""
    if not benchmark.files:
        return _from_hub(benchmark.label, benchmark.hub)
    path = Path(benchmark.files) / benchmark.file
    path = path if path.exists() else path.with_name(f"{path.name}.gz")
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            return [json.loads(line) for line in file if line.strip()]
    except FileNotFoundError:
        raise ConfigError(
            f"{benchmark.label}: no {benchmark.file} (or {benchmark.file}.gz) in "
            f"{benchmark.files}; docs/benchmarks.md says where it is released"
        ) from None
    except (OSError, ValueError, EOFError) as error:
        raise ConfigError(f"{benchmark.label}: cannot read {path}: {error}") from None


def _from_hub(label: str, hub: Hub | None) -> list[Row]:
    if hub is None:
        raise ConfigError(
            f"{label} is not on the hub in its released form; download the file that "
            "docs/benchmarks.md names, and give its directory with --files"
        )
    try:
        from datasets import load_dataset
    except ImportError:
        raise ConfigError(
            f"{label}: reading from the hub needs pip install 'redqueen[benchmarks]'; or give a "
            "directory with --files"
        ) from None
    try:
        return list(load_dataset(hub.path, hub.name, split=hub.split))
    except Exception as error:  # whatever the library, its cache or the network raise
        raise ConfigError(
            f"{label}: the hub's data set {hub.path} cannot be read: {error}; or give a directory "
            "with --files"
        ) from error
