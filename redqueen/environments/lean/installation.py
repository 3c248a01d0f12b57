"""Where Lean and its REPL are on this machine, and the jail that the REPL runs in.

The REPL is a program of its own (github.com/leanprover-community/repl), built for one version of
Lean. The package lean-interact, which the extra `lean` installs, gets both: `install-lean`, and
`LeanREPLConfig` clones and builds. Nothing of it runs here: what talks to the REPL is `repl`, which
limits processor time and the length of replies, and starts it in bubblewrap.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from redqueen.errors import ConfigError
from redqueen.sandbox.cpython.command import confinement, find_bubblewrap, visible

BINARY = Path(".lake/build/bin/repl")
"""Of a built REPL, in its directory."""
GET_LEAN = (
    "pip install 'redqueen[lean]', then install-lean (from lean-interact), which installs elan"
)
GET_REPL = (
    "python -c 'from lean_interact import LeanREPLConfig; "
    "print(LeanREPLConfig(verbose=True).cache_repl_dir)'"
)
LAKE_SECONDS = 300.0
"""elan may download a toolchain first."""


@dataclass(frozen=True, slots=True)
class Installation:
    """A REPL, the toolchain that it belongs to, and where Lean looks for modules."""

    repl: Path
    sysroot: Path
    search_path: tuple[Path, ...]


def find_installation(repl: str = "", project: str = "", path: str | None = None) -> Installation:
    """Return what `lake env` says in a project, or in the directory of the REPL.

    `repl`: a directory with a built REPL; empty: the newest that lean-interact has built.
    `project`: a built Lake project whose modules can be imported. `path` stands for $PATH.

    Raises:
        ConfigError: something is missing; the message says what, and how to get it.
    """
    lake = shutil.which("lake", path=path)
    if lake is None:
        raise ConfigError(f"the environment lean needs Lean 4, and there is no lake: {GET_LEAN}")
    built = Path(repl).expanduser().resolve() if repl else _newest(_interact_cache())
    if built is None or not os.access(built / BINARY, os.X_OK):
        raise ConfigError(
            f"the environment lean needs a built REPL, and there is none"
            f"{f' in {built}' if built else ''}; build one for your version of Lean: {GET_REPL}"
        )
    where = Path(project).expanduser().resolve() if project else built
    try:
        said = subprocess.run(
            [lake, "env"], cwd=where, capture_output=True, text=True, check=True,
            timeout=LAKE_SECONDS,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(f"`lake env` fails in {where}: {error}") from error
    variables = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    if not Path(sysroot := variables.get("LEAN_SYSROOT", "")).is_absolute():
        raise ConfigError(f"`lake env` in {where} names no LEAN_SYSROOT; is Lean older than 4.8?")
    modules = [Path(item) for item in variables.get("LEAN_PATH", "").split(":") if item]
    return Installation(
        built / BINARY, Path(sysroot).resolve(), tuple(where / item for item in modules)
    )


def _interact_cache() -> Path | None:
    spec = find_spec("lean_interact")
    return Path(spec.origin).with_name("cache") if spec and spec.origin else None


def _newest(cache: Path | None) -> Path | None:
    built = cache.glob(f"*/*/repl_*/{BINARY}") if cache else ()
    newest = max(built, key=lambda path: path.stat().st_mtime, default=None)
    return newest.parents[len(BINARY.parts) - 1] if newest else None


def jailed(installation: Installation) -> Callable[[int], list[str]]:
    """Return what makes the command of a REPL in a jail; see `repl.Repl`.

    It is that of the cpython sandbox (`redqueen.sandbox.cpython`): namespaces without a network, no
    capability, and no files but libraries, the toolchain and the modules, all read-only. It has no
    seccomp filter: the sandbox's is a list of what CPython needs, and Lean needs more.

    Raises:
        InfrastructureError: bubblewrap is missing.
    """
    return partial(_command, find_bubblewrap(), installation)


def _command(bubblewrap: str, installation: Installation, info: int) -> list[str]:
    variables = {
        "LEAN_SYSROOT": str(installation.sysroot),
        "LEAN_PATH": ":".join(map(str, installation.search_path)),
        "LC_ALL": "C.UTF-8", "HOME": "/tmp", "PATH": "/nonexistent",
    }  # fmt: skip
    shown = dict.fromkeys((installation.sysroot, installation.repl, *installation.search_path))
    return [
        *confinement(bubblewrap, info, variables),
        *visible(path for path in shown if path.exists()),
        "--dir", "/tmp", "--remount-ro", "/", "--chdir", "/", "--", str(installation.repl),
    ]  # fmt: skip
