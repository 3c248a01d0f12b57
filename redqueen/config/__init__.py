"""The whole configuration: one frozen pydantic tree.

Read from a TOML file with `load_config`; `--a.b value` overrides on the command line go through
the same validation. Unknown keys are errors that name the key and the nearest known one.
"""

from redqueen.config.alarms import AlarmConfig
from redqueen.config.curriculum import CurriculumConfig
from redqueen.config.evaluation import EvalConfig
from redqueen.config.evolution import EvolutionConfig
from redqueen.config.learner import LearnerConfig
from redqueen.config.loading import build_config, load_config, merge, parse_override
from redqueen.config.policy import PolicyConfig
from redqueen.config.population import PopulationConfig
from redqueen.config.resuming import changed_keys, resumed_config
from redqueen.config.rollout import RolloutConfig
from redqueen.config.run import Config
from redqueen.config.safety import SafetyConfig
from redqueen.config.sandbox import SandboxConfig
from redqueen.config.section import Section
from redqueen.config.swarm import SwarmConfig

__all__ = [
    "AlarmConfig",
    "Config",
    "CurriculumConfig",
    "EvalConfig",
    "EvolutionConfig",
    "LearnerConfig",
    "PolicyConfig",
    "PopulationConfig",
    "RolloutConfig",
    "SafetyConfig",
    "SandboxConfig",
    "Section",
    "SwarmConfig",
    "build_config",
    "changed_keys",
    "load_config",
    "merge",
    "parse_override",
    "resumed_config",
]
