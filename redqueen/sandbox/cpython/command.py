"""The bubblewrap command that builds a jail: what is in it and, above all, what is not."""

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from redqueen.errors import InfrastructureError

INSTALL = "apt-get install bubblewrap (Debian, Ubuntu), dnf install bubblewrap (Fedora)"
_SYSTEM_LIBRARIES = ("/usr/lib", "/usr/lib64", "/lib", "/lib64")
_FILES = ("/etc/ld.so.cache",)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_INSIDE = Path(__file__).with_name("inside")
_START = "import sys; sys.path.insert(0, '/jail'); from inside.server import main; main()"
_OLDEST = (0, 5, 0)
"""The first version that clears the environment."""
_NOBODY = "65534"


def find_bubblewrap() -> str:
    """The path of `bwrap`.

    Raises:
        InfrastructureError: it is not installed, or too old; the message says how to install it.
    """
    path = shutil.which("bwrap")
    if path is None:
        raise InfrastructureError(
            f"the cpython sandbox needs bubblewrap, which is not installed; run: {INSTALL}; "
            "or set sandbox.backend = 'monty'"
        )
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    numbers = said.split()[-1].split(".") if said.split() else []
    if all(part.isdecimal() for part in numbers) and tuple(map(int, numbers)) < _OLDEST:
        raise InfrastructureError(
            f"the cpython sandbox needs bubblewrap 0.5 or newer, {path} is {said.strip()!r}; "
            f"run: {INSTALL}"
        )
    return path


def interpreter() -> Path:
    """The Python that runs inside: the one below our virtual environment, if we are in one."""
    base = getattr(sys, "_base_executable", None) or sys.executable
    return Path(base).resolve()


def _library_roots() -> list[Path]:
    """Directories that hold shared libraries and the standard library."""
    own = [Path(sys.base_prefix, "lib"), Path(sys.base_exec_prefix, "lib")]
    own.append(Path(sysconfig.get_path("stdlib")))
    roots = [Path(name) for name in _SYSTEM_LIBRARIES]
    for path in own:
        if not any(path.is_relative_to(root) for root in roots):
            roots.append(path)
    return [root for root in roots if root.is_dir()]


def _packages(root: Path) -> Iterator[Path]:
    """Third parties' packages below a library root, which are not for programs."""
    for pattern in ("python*/site-packages", "python*/dist-packages"):
        yield from (path for path in root.glob(pattern) if path.is_dir())
    if root.name.startswith("python") and (path := root / "site-packages").is_dir():
        yield path


def readable_paths() -> list[str]:
    """Paths inside that a program may read."""
    roots = [str(root) for root in _library_roots()]
    return [*roots, *(name for name in _DEVICES if Path(name).exists())]


def confinement(bubblewrap: str, info: int, variables: Mapping[str, str]) -> list[str]:
    """The begin of a command that shuts a program in: its own namespaces and user, no capability,
    an environment of `variables` alone; `info` is the descriptor on which bubblewrap tells its
    process id. What its file system has comes after, `visible` and others."""
    command = [bubblewrap]
    for space in ("user", "ipc", "pid", "net", "uts", "cgroup-try"):
        command.append(f"--unshare-{space}")
    command += ["--uid", _NOBODY, "--gid", _NOBODY, "--hostname", "jail", "--clearenv"]
    for name, value in variables.items():
        command += ["--setenv", name, value]
    command += ["--cap-drop", "ALL", "--new-session", "--die-with-parent"]
    return [*command, "--as-pid-1", "--info-fd", str(info)]


def visible(paths: Iterable[Path]) -> list[str]:
    """The options that show libraries, a few devices, and `paths`, read-only."""
    options = []
    for root in (*_library_roots(), *paths):
        # Where /lib is a link to /usr/lib it is one inside, too.
        if root.is_symlink():
            options += ["--symlink", str(root.readlink()), str(root)]
        else:
            options += ["--ro-bind", str(root), str(root)]
    for path in {path.resolve() for root in _library_roots() for path in _packages(root)}:
        options += ["--tmpfs", str(path), "--remount-ro", str(path)]
    for name in (*_FILES, str(interpreter())):
        options += ["--ro-bind-try", name, name]
    for name in _DEVICES:
        options += ["--dev-bind-try", name, name]
    return options


def jail_command(bubblewrap: str, hash_seed: int, info: int) -> list[str]:
    """The command that starts a server in a jail of its own; `info` is the descriptor on which
    bubblewrap tells the server's process id."""
    variables = {
        "PYTHONHASHSEED": str(hash_seed), "PYTHONUTF8": "1", "LC_ALL": "C.UTF-8",
        "TZ": "UTC", "HOME": "/tmp", "PATH": "/nonexistent",
    }  # fmt: skip
    command = confinement(bubblewrap, info, variables)
    # The server mounts a scratch directory for each script. Programs lose this and all else.
    command += ["--cap-add", "CAP_SYS_ADMIN", *visible(())]
    command += ["--ro-bind", str(_INSIDE), "/jail/inside", "--dir", "/tmp"]
    command += ["--remount-ro", "/", "--chdir", "/", "--"]
    return [*command, str(interpreter()), "-S", "-s", "-P", "-B", "-c", _START]
