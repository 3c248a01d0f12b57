"""The whole configuration: one frozen pydantic tree.

Read from a TOML file with `load_config`; `--a.b value` overrides on the command line go through
the same validation. Unknown keys are errors that name the key and the nearest known one.
"""

from redqueen.config.alarms import AlarmConfig
from redqueen.config.evolution import EvolutionConfig
from redqueen.config.learner import LearnerConfig
from redqueen.config.loading import build_config, load_config, merge, parse_override
from redqueen.config.population import PopulationConfig
from redqueen.config.run import Config
from redqueen.config.section import Section
from redqueen.config.sections import (
    DomainConfig,
    EvalConfig,
    PolicyConfig,
    RolloutConfig,
    SandboxConfig,
    SuiteName,
)

__all__ = [
    "AlarmConfig",
    "Config",
    "DomainConfig",
    "EvalConfig",
    "EvolutionConfig",
    "LearnerConfig",
    "PolicyConfig",
    "PopulationConfig",
    "RolloutConfig",
    "SandboxConfig",
    "Section",
    "SuiteName",
    "build_config",
    "load_config",
    "merge",
    "parse_override",
]
