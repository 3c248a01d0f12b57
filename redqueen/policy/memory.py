"""Let the C allocator keep freed memory instead of giving it back to the system each time.

Every layer of a forward pass on a CPU frees and asks for blocks of about a megabyte; by default
glibc returns them to the system, and fetching them again (page faults) costs up to a quarter of
a decoding step.
"""

import ctypes

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
