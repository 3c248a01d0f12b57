import os
from collections.abc import Iterator

import pytest

from redqueen.config import SandboxConfig
from redqueen.errors import InfrastructureError
from redqueen.sandbox import Sandbox
from redqueen.sandbox.cpython import CPythonSandbox
from redqueen.sandbox.monty import MontySandbox

SECONDS = 0.3


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """Monty for whatever it makes of a program, whether CPython would agree or not."""
    with MontySandbox(SandboxConfig(seconds=SECONDS)) as running:
        yield running


@pytest.fixture(scope="session")
def needs_jail() -> None:
    """Skip where no jail can be built, except where REDQUEEN_REQUIRE_JAIL=1 says that it can."""
    try:
        CPythonSandbox(SandboxConfig(workers=1)).close()
    except InfrastructureError as error:
        if os.environ.get("REDQUEEN_REQUIRE_JAIL") == "1":
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def jail(needs_jail: None) -> Iterator[CPythonSandbox]:
    with CPythonSandbox(SandboxConfig(seconds=SECONDS)) as running:
        yield running
