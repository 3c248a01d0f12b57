"""Real CPython in a jail."""

from redqueen.sandbox.cpython.sandbox import GRACE, CPythonSandbox

__all__ = ["GRACE", "CPythonSandbox"]
