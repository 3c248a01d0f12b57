"""Limits of untrusted code."""

import os

from pydantic import Field, field_validator

from redqueen import registry
from redqueen.config.section import Section
from redqueen.errors import ConfigError

MOST_WORKERS = 16
"""As many as `workers = 0` means at most: nothing here writes answers faster than they run them."""


class SandboxConfig(Section):
    """Limits of one untrusted call."""

    backend: str = "monty"
    """What runs the code: `monty`, an interpreter for a subset of Python; `cpython`, the real one
    in a jail (it needs bubblewrap); `auto`, monty where both are known to agree, else cpython."""
    workers: int = Field(0, ge=0)
    """Processes that run calls side by side; 0: one a core, at most 16."""
    seconds: float = Field(1.0, gt=0)
    """Wall clock of one call."""
    memory_mb: float = Field(64.0, gt=0)
    """Heap of one call, in MiB."""
    recursion: int = Field(200, ge=1)
    """Deepest nesting of calls."""
    output_chars: int = Field(4000, ge=16)
    """Longest text of a returned value."""
    retries: int = Field(2, ge=0)
    """Times a call is tried again after an infrastructure error, before it is reported as one."""

    @property
    def processes(self) -> int:
        """Return how many processes there are to be."""
        return self.workers or min(os.cpu_count() or 1, MOST_WORKERS)

    @field_validator("backend")
    @classmethod
    def _registered(cls, name: str) -> str:
        try:
            registry.import_string("sandbox", name)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return name
