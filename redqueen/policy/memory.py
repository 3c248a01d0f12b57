"""Memory of this process: its peak, and what the C allocator does with freed blocks.

Every layer of a forward pass on a CPU frees and asks for blocks of about a megabyte; by default
glibc returns them to the system, and fetching them again (page faults) costs up to a quarter of
a decoding step. `keep_freed_memory` lets the allocator keep them. Between batches of
rows, where it costs little, `release_freed_memory` gives back what is free.
"""

import ctypes
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

if sys.platform != "win32":
    import resource

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


def release_freed_memory() -> bool:
    """Return free pages to the system; False where the C library cannot, or had none."""
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0) == 1)
    except (OSError, AttributeError, TypeError):
        return False


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
