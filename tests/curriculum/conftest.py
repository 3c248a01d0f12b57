"""The fixtures of the code environment, for the tests below."""

from tests.environments.code.conftest import domain, sandbox

__all__ = ["domain", "sandbox"]
