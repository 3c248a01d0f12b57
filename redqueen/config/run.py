"""The root of the configuration: everything that a run is."""

from pydantic import Field, model_validator

from redqueen.config.alarms import AlarmConfig
from redqueen.config.evolution import EvolutionConfig
from redqueen.config.learner import LearnerConfig
from redqueen.config.population import PopulationConfig
from redqueen.config.section import Section
from redqueen.config.sections import (
    DomainConfig,
    EvalConfig,
    PolicyConfig,
    RolloutConfig,
    SandboxConfig,
)


class Config(Section):
    """A run."""

    name: str = "default"
    """What the run is called in reports."""
    seed: int = Field(0, ge=0)
    """Every random draw of the run derives from it."""
    steps: int = Field(60, ge=1)
    """Steps of the run."""
    checkpoint_every: int = Field(1, ge=1)
    """Steps between checkpoints; a resumed run repeats at most this many."""
    keep_checkpoints: int = Field(2, ge=1)
    """Newest checkpoints kept; older ones are deleted."""
    threads: int = Field(0, ge=0)
    """CPU threads of torch; 0 leaves its default."""
    policy: PolicyConfig = PolicyConfig()
    population: PopulationConfig = Field(default_factory=PopulationConfig)
    rollout: RolloutConfig = RolloutConfig()
    domain: DomainConfig = DomainConfig()
    sandbox: SandboxConfig = SandboxConfig()
    learner: LearnerConfig = Field(default_factory=LearnerConfig)
    evolution: EvolutionConfig = Field(default_factory=EvolutionConfig)
    alarms: AlarmConfig = AlarmConfig()
    eval: EvalConfig = EvalConfig()

    @model_validator(mode="after")
    def _enough_students(self) -> "Config":
        wanted, students = self.rollout.students_per_task, self.population.students
        if wanted != "all" and wanted > max(1, students):
            raise ValueError(
                f"rollout.students_per_task = {wanted}, but population.students = {students}; "
                "a self-play member attempts its tasks alone"
            )
        return self
