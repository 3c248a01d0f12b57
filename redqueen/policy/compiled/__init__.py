"""Kernels that Numba compiles for the CPU, where the library's operations are too many or too wide.

`rows` writes one token a row; `texts` goes over whole texts, forward and backward. Models on other
devices never come here.
"""

from redqueen.policy.compiled.basics import Array, array_of

__all__ = ["Array", "array_of"]
