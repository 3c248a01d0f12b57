"""The fixtures of the code environment, for the tests below."""

from tests.environments.code.conftest import environment, sandbox

__all__ = ["environment", "sandbox"]
