"""Benchmarks on hand-written rows in the released formats, and on the released files if there."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from redqueen import registry
from redqueen.benchmarks.base import BenchmarkEnvironment
from redqueen.config import SandboxConfig
from redqueen.environments.base import Attempt, Services, Verification
from redqueen.errors import InfrastructureError
from redqueen.sandbox.cpython import CPythonSandbox

FILES = "REDQUEEN_BENCHMARKS"
"""Environment variable: the directory with the released files."""
Open = Callable[..., BenchmarkEnvironment]


@pytest.fixture(scope="session")
def services() -> Iterator[Services]:
    made: dict[Any, Any] = {}
    with ExitStack() as stack:

        def shared(start: Callable[[SandboxConfig], Any]) -> Any:
            if start not in made:
                made[start] = stack.enter_context(start(SandboxConfig(workers=1)))
            return made[start]

        yield Services(pytest.fail, "chat", "", shared)


@pytest.fixture(scope="session")
def needs_jail(services: Services) -> None:
    """Skip where no jail can be built, except where REDQUEEN_REQUIRE_JAIL=1 says that it can."""
    try:
        services.shared(CPythonSandbox)
    except InfrastructureError as error:
        if os.environ.get("REDQUEEN_REQUIRE_JAIL") == "1":
            raise
        pytest.skip(str(error))


@pytest.fixture
def written(tmp_path: Path, services: Services) -> Open:
    """Open a benchmark on rows that are given, as a file of the released name."""

    def open_(name: str, *rows: dict[str, Any], **keys: Any) -> BenchmarkEnvironment:
        benchmark = registry.load("benchmark", name)
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / benchmark.file).write_text(lines, encoding="utf-8")
        built: BenchmarkEnvironment = benchmark(files=str(tmp_path), **keys).build(services)
        return built

    return open_


@pytest.fixture
def released(services: Services) -> Open:
    """Open a benchmark on its released file; skip where there is none."""

    def open_(name: str) -> BenchmarkEnvironment:
        directory = os.environ.get(FILES, "")
        if not directory:
            pytest.skip(f"{FILES} names no directory with the released files")
        built: BenchmarkEnvironment = registry.load("benchmark", name)(files=directory).build(
            services
        )
        return built

    return open_


def verify(environment: BenchmarkEnvironment, *texts: str) -> list[Verification]:
    """Verify texts at the first task."""
    first = next(iter(environment.rows))
    task = environment.task(first)
    return environment.verify([Attempt(task, text) for text in texts])
