"""What every proposal passes before anything uses it."""

from typing import Annotated, Any

from pydantic import Field

from redqueen.config.component import Of
from redqueen.config.section import Section


class SafetyConfig(Section):
    """Screens of proposals; docs/safety.md."""

    screens: tuple[Annotated[Any, Of("screen")], ...] = Field(("programs", "words", "gibberish"))
    """`programs` that reach for the machine, `words` and patterns, `gibberish`; or `module:Class`.
    What one objects to is rejected as `unsafe`; no environment reads or runs it."""
