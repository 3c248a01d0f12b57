"""The whole configuration: one frozen pydantic tree."""

from redqueen.config.curriculum import CurriculumConfig
from redqueen.config.sandbox import SandboxConfig
from redqueen.config.section import Section

__all__ = ["CurriculumConfig", "SandboxConfig", "Section"]
