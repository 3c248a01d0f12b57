"""Lean itself, where it is installed: what ships with the package is true, and no fault gets by."""

from collections.abc import Iterator

import pytest

from redqueen.config import SandboxConfig
from redqueen.environments.base import Draft, sources_of
from redqueen.environments.lean import Lean, LeanEnvironment
from redqueen.environments.lean.installation import find_installation
from redqueen.errors import ConfigError
from redqueen.types import Rejection, Task

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def lean() -> Iterator[LeanEnvironment]:
    config = Lean(easy="")
    try:
        start = config.start(find_installation())
    except ConfigError as error:
        pytest.skip(str(error))
    with start(SandboxConfig(workers=1)) as checker:
        yield LeanEnvironment(config, "lean", checker)


@pytest.mark.parametrize("source", ["seed", "held-out"])
def test_every_ready_theorem_is_valid(lean: LeanEnvironment, source: str) -> None:
    tasks = sources_of(lean)[source].tasks(40, 0)
    assert lean.revalidate(tasks) == tasks


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("error", "theorem t : 1 = 2 := rfl"),
        ("error", "theorem t : 1 = 2 := by decide"),
        ("no_statement", "theorem t : 1 = 1 ∧ let y := 3; True"),
        ("warning", "theorem t (p q : Prop) (h : p) : p := h"),
    ],
)
def test_lean_gives_the_reasons(lean: LeanEnvironment, reason: str, code: str) -> None:
    [made] = lean.validate([Draft("theorem", f"```lean\n{code}\n```", (), 0, 0)])
    assert not isinstance(made, Task)
    assert isinstance(made, Rejection)
    assert made.reason == reason
