"""What the C allocator keeps, seen from outside: the size of the process."""

import platform
import sys

import numpy as np
import pytest

from redqueen.models.memory import FreedMemory, keep_freed_memory, release_cached

GLIBC = platform.libc_ver()[0] == "glibc"
MIB = 1 << 20


@pytest.mark.parametrize(
    ("free", "kept", "released"), [(30, 60, False), (20, 60, True), (20, 10, False), (0, 13, True)]
)
def test_a_gpu_that_is_short_gets_back_what_is_only_kept(free, kept, released) -> None:
    calls: list[str] = []
    assert release_cached(free, 100, kept, lambda: calls.append("released")) == released
    assert bool(calls) == released


def without(name: object) -> object:
    """A C library that has none of the functions."""
    return object()


def test_freed_memory_is_kept_where_the_c_library_can(monkeypatch: pytest.MonkeyPatch) -> None:
    assert keep_freed_memory() == GLIBC
    monkeypatch.setattr("redqueen.models.memory.ctypes.CDLL", without)
    assert keep_freed_memory() is False


@pytest.mark.skipif(not (GLIBC and sys.platform == "linux"), reason="needs glibc on Linux")
def test_freed_memory_is_given_back_once_it_is_much(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_freed_memory()
    freed = FreedMemory(most_mib=100)
    assert freed.trim() is False
    # Blocks below the threshold from which glibc maps each on its own.
    blocks = [np.ones(8 * MIB, np.uint8) for _ in range(30)]
    pin = np.ones(64, np.uint8)
    del blocks
    assert freed.trim() is True
    assert freed.trim() is False
    assert pin.sum() == 64

    many = FreedMemory(most_mib=100)
    blocks = [np.ones(8 * MIB, np.uint8) for _ in range(30)]
    del blocks
    monkeypatch.setattr("redqueen.models.memory.ctypes.CDLL", without)
    assert many.trim() is False
