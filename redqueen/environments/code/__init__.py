"""Tasks over Python functions: predict the output, find an input, write the function."""

from redqueen.environments.code.config import Code

__all__ = ["Code"]
