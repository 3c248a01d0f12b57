from collections.abc import Iterator

import pytest

from redqueen.config import SandboxConfig
from redqueen.sandbox import Sandbox, make_sandbox
from redqueen.sandbox.monty import MontySandbox

from .conftest import SECONDS
from .hostile import CORPUS, Hostile, attack, canary, worst


@pytest.fixture(scope="module")
def secret_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with canary(tmp_path_factory.mktemp("canary")) as path:
        yield path


def test_the_corpus_is_large_and_its_names_differ() -> None:
    assert len(CORPUS) >= 60
    assert len({hostile.name for hostile in CORPUS}) == len(CORPUS)


# Each born after the secret, so that a worker that inherited our environment would hold it.
@pytest.fixture(scope="module")
def monty(secret_file: str) -> Iterator[Sandbox]:
    with MontySandbox(SandboxConfig(seconds=SECONDS)) as running:
        yield running


@pytest.fixture(scope="module")
def alone(secret_file: str) -> Iterator[Sandbox]:
    with make_sandbox(SandboxConfig(backend="monty", seconds=SECONDS)) as running:
        yield running


@pytest.fixture(scope="module")
def cpython(secret_file: str, needs_jail: None) -> Iterator[Sandbox]:
    with make_sandbox(SandboxConfig(backend="cpython", seconds=SECONDS)) as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["monty", "alone", "cpython"])
@pytest.mark.parametrize("hostile", CORPUS, ids=lambda hostile: hostile.name)
def test_hostile_program_is_contained(
    backend: str,
    hostile: Hostile,
    secret_file: str,
    capfd: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    target: Sandbox = request.getfixturevalue(backend)
    assert attack(target, hostile, secret_file, worst(SECONDS), backend) == []
    printed = capfd.readouterr()
    assert printed.out == "", "what a program prints must not reach our output"
    assert "canary" not in printed.err
