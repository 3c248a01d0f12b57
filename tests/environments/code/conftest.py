from collections.abc import Iterator

import pytest

from redqueen.config import DomainConfig, SandboxConfig
from redqueen.environments.code.environment import CodeDomain
from redqueen.sandbox import Sandbox, make_sandbox
from tests.code_cases import STYLES

PARSING = DomainConfig(guards=("constant",))
"""Tests of parsing, running and posing use tasks that the other guards would turn down."""


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with make_sandbox(SandboxConfig(workers=1, seconds=0.3)) as made:
        yield made


@pytest.fixture(scope="session")
def domain(sandbox: Sandbox) -> CodeDomain:
    return CodeDomain(PARSING, sandbox, STYLES["compact"])


@pytest.fixture(scope="session", params=list(STYLES))
def styled(request: pytest.FixtureRequest, sandbox: Sandbox) -> CodeDomain:
    """The domain in either style."""
    return CodeDomain(PARSING, sandbox, STYLES[request.param])
