from collections.abc import Iterator

import pytest

from redqueen.config import SandboxConfig
from redqueen.sandbox import Sandbox, make_sandbox

SECONDS = 0.3


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with make_sandbox(SandboxConfig(seconds=SECONDS)) as running:
        yield running
