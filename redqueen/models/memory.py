"""Memory of this process: its peak, and what the C allocator does with freed blocks.

Every layer of a forward pass on a CPU frees and asks for blocks of about a megabyte; by default
glibc returns them to the system, and fetching them again (page faults) costs up to a quarter of
a decoding step or a backward pass. `keep_freed_memory` lets the allocator keep them, and
`FreedMemory` gives them back once they have become many.
"""

import ctypes
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

if sys.platform != "win32":
    import resource

KEPT_MIB = 768
"""A pass over the default step's texts takes about as much in each worker."""
SCARCE, CACHED = 0.25, 0.125
"""Parts of a GPU's memory: less than the one free, and more than the other only kept, is too much
where processes share it."""

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_MIB = 1 << 20


def keep_freed_memory() -> bool:
    """Raise glibc's thresholds for this process; False where the C library has no such knob."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    settings = ((_M_MMAP_THRESHOLD, 32), (_M_TRIM_THRESHOLD, 1024), (_M_TOP_PAD, 64))
    return all(mallopt(knob, size * _MIB) == 1 for knob, size in settings)


def is_out_of_memory(error: Exception) -> bool:
    """Return whether memory could not be had, of a GPU or of a CPU."""
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or "can't allocate memory" in str(error)


class FreedMemory:
    """What this process keeps for its next batch: not without limit, or every new shape adds."""

    def __init__(self, most_mib: int = KEPT_MIB) -> None:
        """`most_mib`: how far the process may grow from now on before memory is given back."""
        self._most = most_mib * _MIB
        self._floor = _resident()

    def trim(self) -> bool:
        """Between batches: return free memory to the system if there may be much; did it?"""
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            release_cached(*torch.cuda.mem_get_info(), _kept_on_gpu())
        if _resident() - self._floor <= self._most:
            return False
        try:
            given = bool(ctypes.CDLL(None).malloc_trim(0) == 1)
        except (OSError, AttributeError, TypeError):
            return False  # another C library, which has its own ways
        self._floor = _resident()
        return given


def release_cached(
    free: int, total: int, kept: int, release: Callable[[], None] = torch.cuda.empty_cache
) -> bool:
    """Call `release` if memory of a GPU is scarce and this process keeps much unused; did it?

    PyTorch keeps what it has freed, and takes it back itself when it runs out. Another process on
    the same GPU cannot: there, what one keeps is what the other lacks. All three are bytes.
    """
    if free >= SCARCE * total or kept <= CACHED * total:
        return False
    release()
    return True


def _kept_on_gpu() -> int:
    return torch.cuda.memory_reserved() - torch.cuda.memory_allocated()


def _resident() -> int:
    """Bytes of this process in memory; 0 where the system does not tell (it is not Linux)."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return 0
    return int(statm.read_text().split()[1]) * resource.getpagesize()


def peak_memory(workers: Sequence[int] = ()) -> dict[str, float]:
    """Most memory held so far, in MiB: `host`, and `device` if a GPU was used.

    `host` is the resident set of this process, plus those of the processes `workers` where the
    system tells (Linux); they may have had their peaks at other times, so the sum is an upper
    bound. The sandbox's workers are not counted: 14 MiB each.
    """
    peak: dict[str, float] = {}
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would count the parent's peak in: it is inherited when a process is started.
        others = [Path(f"/proc/{worker}/status") for worker in workers]
        peak["host"] = sum(map(_high_water, [status, *(path for path in others if path.exists())]))
    elif sys.platform != "win32":
        unit = _MIB if sys.platform == "darwin" else 1024
        peak["host"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    if torch.cuda.is_available() and (used := torch.cuda.max_memory_allocated()):
        peak["device"] = used / _MIB
    return peak


def _high_water(status: Path) -> float:
    """VmHWM of a process's status file, in MiB; 0 for one that has just ended."""
    lines = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return float(lines[0].split()[1]) / 1024 if lines else 0.0
