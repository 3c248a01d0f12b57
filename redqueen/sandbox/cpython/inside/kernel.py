"""Calls to the kernel that Python's library lacks; for the server and for a request's process.

Everything that a fresh process needs is made once by the server, so that it costs few calls.
"""

import ctypes
import mmap
import os
import resource
from contextlib import suppress

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 4, 22, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_SECCOMP_MODE_FILTER = 2
_CAPSET = {"x86_64": 126, "aarch64": 91}
_DESCRIPTORS = 1024
"""More than the server ever has open."""
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MNT_DETACH = 2, 4, 8, 2
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_WRITE_FILE, _TRUNCATE = 1 << 1, 1 << 14
_WRITE_DIR = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 13
"""Landlock's rights to remove directories and files, to make them, and to move them."""
_FILE_RIGHTS = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF}
_ALL_FILE_RIGHTS, _ALL_NET_RIGHTS, _ALL_SCOPES = 0xFFFF, 0b11, 0b11
"""What a ruleset forbids unless a rule allows it; older kernels know less."""


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("lines", ctypes.c_void_p))


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("files", ctypes.c_uint64),
        ("net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("parent", ctypes.c_int32))


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _prctl(what: str, *arguments: object) -> None:
    padded = [*arguments, 0, 0, 0, 0][:5]
    numbers = [ctypes.c_ulong(item) if isinstance(item, int) else item for item in padded]
    _check(_LIBC.prctl(*numbers), what)


def hide() -> None:
    """Keep other processes from tracing this one."""
    _prctl("prctl(PR_SET_DUMPABLE)", _PR_SET_DUMPABLE, 0)


class Cage:
    """What a request's process gives up for good: capabilities, files, system calls."""

    def __init__(self, lines: bytes, readable: list[str]) -> None:
        """`lines` is a seccomp filter; Landlock opens `readable` and what lies below, to read."""
        self._lines = ctypes.create_string_buffer(lines, len(lines))
        self._filter = _Filter(len(lines) // 8, ctypes.addressof(self._lines))
        self._capset = _CAPSET[os.uname().machine]
        self._header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        self._none = (ctypes.c_uint32 * 6)()
        self._readable = readable
        self.landlock = max(0, _LIBC.syscall(_LANDLOCK_CREATE, None, 0, 1))
        """Version of the kernel's Landlock, 0 if it has none."""
        self._rules = self._ruleset([]) if self.landlock else -1

    def enter(self, writable: list[str], keep: int) -> None:
        """Go in; there is no way out. Files can be written below `writable` only, and of all
        descriptors the three streams and `keep` stay open.

        Raises:
            OSError: the kernel lacks what a cage needs.
        """
        rules = self._ruleset(writable) if self.landlock and writable else self._rules
        _prctl("prctl(PR_CAP_AMBIENT)", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
        _check(
            _LIBC.syscall(self._capset, ctypes.byref(self._header), ctypes.byref(self._none)),
            "capset",
        )
        _prctl("prctl(PR_SET_NO_NEW_PRIVS)", _PR_SET_NO_NEW_PRIVS, 1)
        if rules >= 0:
            _check(_LIBC.syscall(_LANDLOCK_RESTRICT, rules, 0), "landlock_restrict_self")
        os.closerange(3, keep)
        os.closerange(keep + 1, _DESCRIPTORS)
        _prctl(
            "prctl(PR_SET_SECCOMP)",
            _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(self._filter),
        )  # fmt: skip

    def _ruleset(self, writable: list[str]) -> int:
        """The descriptor of Landlock's rules."""
        version = self.landlock
        rights = _FILE_RIGHTS.get(version, _ALL_FILE_RIGHTS)
        net, scopes = _ALL_NET_RIGHTS * (version >= 4), _ALL_SCOPES * (version >= 6)
        size = 24 if version >= 6 else 16 if version >= 4 else 8
        rules = _Ruleset(rights, net, scopes)
        number = _check(
            _LIBC.syscall(_LANDLOCK_CREATE, ctypes.byref(rules), ctypes.c_size_t(size), 0),
            "landlock_create_ruleset",
        )
        for path in self._readable:
            _allow(number, path, (_READ_FILE | _READ_DIR) & rights)
        for path in writable:
            changes = _WRITE_FILE | _TRUNCATE | _WRITE_DIR
            _allow(number, path, (_READ_FILE | _READ_DIR | changes) & rights)
        return number


def _allow(ruleset: int, path: str, rights: int) -> None:
    """Add a rule for `path` and what lies below."""
    if not os.path.isdir(path):
        rights &= ~(_READ_DIR | _WRITE_DIR)
    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    rule = _PathRule(rights, parent)
    _check(_LIBC.syscall(_LANDLOCK_ADD, ruleset, 1, ctypes.byref(rule), 0), "landlock_add_rule")
    os.close(parent)


def mount_scratch(path: str, size: int, files: int) -> None:
    """Mount an empty file system at `path`: `size` bytes and `files` files at most.

    Raises:
        OSError: the kernel refuses.
    """
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    options = f"size={size},nr_inodes={files},mode=700".encode()
    _check(_LIBC.mount(b"tmpfs", path.encode(), b"tmpfs", flags, options), f"mount {path}")


def unmount(path: str) -> None:
    """Take a file system away, with all that is on it.

    Raises:
        OSError: there is none.
    """
    _check(_LIBC.umount2(path.encode(), _MNT_DETACH), f"unmount {path}")


def address_space() -> int:
    """Bytes of address space that this process has, to a page: found by trying limits, since
    there is no /proc to read it from."""
    kept = resource.getrlimit(resource.RLIMIT_AS)
    low, high = 0, 1 << 34
    try:
        while high - low > mmap.PAGESIZE:
            middle = (low + high) // 2
            resource.setrlimit(resource.RLIMIT_AS, (middle, kept[1]))
            fits = False
            with suppress(OSError):
                mmap.mmap(-1, mmap.PAGESIZE).close()
                fits = True
            low, high = (low, middle) if fits else (middle, high)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, kept)
    return high
