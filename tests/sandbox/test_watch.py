"""What counts as waiting: processes of this test are the server and its child."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from redqueen.sandbox.cpython.watch import IdleWatch


@contextmanager
def server_of(code: str) -> Iterator[int]:
    """The id of a process whose only child runs `code`, and has begun to."""
    child = f"import sys; print(1, flush=True); sys.stdout.close(); {code}"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        yield process.pid
    finally:
        for below in psutil.Process(process.pid).children():
            below.kill()
        process.communicate()


def seconds(watch: IdleWatch, wall: float) -> float:
    end = time.monotonic() + wall
    while time.monotonic() < end:
        watch.look()
        time.sleep(0.02)
    return watch.seconds


def test_a_process_that_sleeps_is_idle() -> None:
    with server_of("import time; time.sleep(60)") as pid:
        assert 0.3 < seconds(IdleWatch(pid), 0.8) < 1.2


def test_a_process_that_computes_is_not() -> None:
    with server_of("exec('while True: pass')") as pid:
        assert seconds(IdleWatch(pid), 0.8) < 0.1


def test_a_process_that_is_stopped_is_not() -> None:
    with server_of("import time; time.sleep(60)") as pid:
        [child] = psutil.Process(pid).children()
        child.suspend()
        while child.status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)
        assert seconds(IdleWatch(pid), 0.8) == 0
        child.resume()


@pytest.mark.parametrize("pid", [1 << 30])
def test_nothing_is_counted_where_nothing_can_be_read(pid: int) -> None:
    assert seconds(IdleWatch(pid), 0.1) == 0
