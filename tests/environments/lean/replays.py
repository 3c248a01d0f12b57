"""Real clients on the fake REPL."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from redqueen.config import SandboxConfig
from redqueen.environments.lean.checker import LeanChecker
from redqueen.environments.lean.installation import BINARY
from redqueen.errors import InfrastructureError
from redqueen.sandbox.cpython.command import find_bubblewrap, interpreter

HERE = Path(__file__).parent
FAKE = HERE / "fake_repl.py"


def replaying(name: str) -> Callable[[int], list[str]]:
    """Return what makes the command of a REPL that replays a recording, in no jail."""
    recording = str(HERE / "recordings" / f"{name}.txt")
    return lambda info: [sys.executable, "-S", "-P", "-X", "utf8", str(FAKE), recording, str(info)]


def checker_of(name: str, seconds: float = 0.5, header: str = "import Init") -> LeanChecker:
    return LeanChecker(replaying(name), header, seconds, 512.0, SandboxConfig(workers=1))


def install(folder: Path, recording: str) -> Path:
    """Make `bin/lake` and a REPL in `repl/`; the recording is where the toolchain would be."""
    for name in ("bin", "toolchain", "modules", "repl/.lake/build/bin"):
        (folder / name).mkdir(parents=True)
    lake, repl = folder / "bin/lake", folder / "repl" / BINARY
    lake.write_text(
        f"#!/bin/sh\necho LEAN_SYSROOT={folder}/toolchain\necho LEAN_PATH={folder}/modules\n"
    )
    repl.write_text(f"#!{interpreter()} -SsPB\n{FAKE.read_text()}")
    for program in (lake, repl):
        program.chmod(0o755)
    shutil.copy(HERE / f"recordings/{recording}.txt", folder / "toolchain/recording.txt")
    return folder


def require_jail() -> None:
    """Skip without bubblewrap, except where REDQUEEN_REQUIRE_JAIL=1 says that it is there."""
    try:
        find_bubblewrap()
    except InfrastructureError as error:
        if os.environ.get("REDQUEEN_REQUIRE_JAIL") == "1":
            raise
        pytest.skip(str(error))
