"""Kernels that Numba compiles for the CPU, where the library's operations are too many or too wide.

`rows` writes one token a row; `texts` goes over whole texts, forward and backward. Models on other
devices never come here.
"""

import functools

from threadpoolctl import threadpool_limits

from redqueen.engines.cpu.compiled.basics import Array, array_of

__all__ = ["Array", "array_of", "one_blas_thread"]


@functools.cache
def one_blas_thread() -> None:
    """Keep the BLAS that compiled products of matrices call, SciPy's, to one thread.

    It would spread products of a hundred rows over all cores, which are the other workers'.
    """
    import scipy.linalg.cython_blas  # noqa: F401 - what is not loaded yet cannot be limited

    threadpool_limits(1, "blas")
