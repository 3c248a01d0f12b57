from collections.abc import Iterator

import pytest

from redqueen.config import SandboxConfig
from redqueen.environments.code.environment import CodeEnvironment
from redqueen.sandbox import Sandbox
from redqueen.sandbox.monty import MontySandbox
from tests.code_cases import STYLES, make_code

PARSING = {"guards": ("constant",), "code_f_partial_credit": True}
"""Tests of parsing, running and posing use tasks that the other guards would turn down."""


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """Monty for all programs: what is tested here is the environment, not the sandbox's word."""
    with MontySandbox(SandboxConfig(workers=1, seconds=0.3)) as made:
        yield made


@pytest.fixture(scope="session")
def environment(sandbox: Sandbox) -> CodeEnvironment:
    return make_code(sandbox, "compact", **PARSING)


@pytest.fixture(scope="session", params=list(STYLES))
def styled(request: pytest.FixtureRequest, sandbox: Sandbox) -> CodeEnvironment:
    """The environment in either style."""
    return make_code(sandbox, request.param, **PARSING)
