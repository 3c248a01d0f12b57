"""The root of the configuration: everything that a run is."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from redqueen.config.alarms import AlarmConfig
from redqueen.config.component import Of, component_name
from redqueen.config.curriculum import CurriculumConfig
from redqueen.config.evaluation import EvalConfig
from redqueen.config.evolution import EvolutionConfig
from redqueen.config.learner import LearnerConfig
from redqueen.config.policy import PolicyConfig
from redqueen.config.population import PopulationConfig
from redqueen.config.rollout import RolloutConfig
from redqueen.config.safety import SafetyConfig
from redqueen.config.sandbox import SandboxConfig
from redqueen.config.section import Section
from redqueen.config.swarm import SwarmConfig
from redqueen.types import Role

LONGEST_NAME = 200
"""Bytes of a run's name: folders may have 255, and some are called NAME with something after it."""


class Config(Section):
    """A run.

    Sections with components are made when a config is, not when this module is imported: only
    then are the components imported, and torch with some of them.
    """

    name: str = "default"
    """What the run is called in reports, and its folder in `runs`."""
    seed: int = Field(0, ge=0)
    """Every random draw of the run derives from it."""
    steps: int = Field(60, ge=1)
    """Steps of the run."""
    checkpoint_every: int = Field(1, ge=1)
    """Steps between checkpoints; a resumed run repeats at most this many."""
    keep_checkpoints: int = Field(2, ge=1)
    """Newest checkpoints kept; older ones are deleted."""
    keep_tokens: bool = True
    """Keep token ids and log-probabilities in the database; without them `redqueen verify` cannot
    score texts again. They add about half to its size."""
    threads: int = Field(0, ge=0, le=1024)
    """CPU threads of torch; 0 leaves its default."""
    callbacks: tuple[Annotated[Any, Of("callback")], ...] = ("console", "now", "alarms")
    """What watches the run, in this order."""
    tracking: tuple[Annotated[Any, Of("tracker")], ...] = ()
    """Where curves go besides the run's own database: `tensorboard`, `wandb`, `trackio`, each an
    extra of the same name."""
    policy: PolicyConfig = PolicyConfig()
    engine: Annotated[Any, Of("engine", "auto")] = Field("auto")
    """What writes text: `torch`, `cpu` (worker processes and compiled kernels, extra `cpu`), or
    `auto`: `cpu` for a small base on a CPU if the extra is installed, else `torch`."""
    cluster: Annotated[Any, Of("cluster", "local")] = Field("local")
    """Where engines write and the learner's passes are made: `local`, in this process and those of
    the engine, or `ray`, on the nodes of a Ray cluster (extra `ray`)."""
    environments: dict[str, Annotated[Any, Of("environment")]] = Field(
        {"code": "code"}, min_length=1
    )
    """The families of tasks by name, each a table with `type` (default: the table's own name)."""
    curriculum: CurriculumConfig = Field(default_factory=CurriculumConfig)
    population: PopulationConfig = Field(default_factory=PopulationConfig)
    rollout: RolloutConfig = Field(default_factory=RolloutConfig)
    safety: SafetyConfig = Field(default_factory=SafetyConfig)
    sandbox: SandboxConfig = SandboxConfig()
    learner: LearnerConfig = Field(default_factory=LearnerConfig)
    evolution: EvolutionConfig = Field(default_factory=EvolutionConfig)
    alarms: AlarmConfig = AlarmConfig()
    swarm: SwarmConfig = Field(default_factory=SwarmConfig)
    eval: EvalConfig = EvalConfig()

    @property
    def interval_warning(self) -> str:
        """What to say of generations that never end: the last step of a run ends none. Empty:
        nothing, also where nobody could be replaced."""
        evolution, sizes, frozen = self.evolution, self.population, self.learner.frozen
        groups = (
            (sizes.teachers, {Role.TEACHER}),
            (sizes.students, {Role.STUDENT}),
            (sizes.self_play, {Role.TEACHER, Role.STUDENT}),
        )
        compete = any(size > 1 and not frozen.issuperset(roles) for size, roles in groups)
        if (
            not (evolution.enabled and evolution.cull and compete)
            or evolution.interval < self.steps
        ):
            return ""
        return (
            f"evolution.interval = {evolution.interval}, and the run has {self.steps} steps: "
            "nobody is ever replaced; set a shorter interval, or evolution.enabled = false"
        )

    @field_validator("name")
    @classmethod
    def _name_is_a_folder(cls, name: str) -> str:
        plain = name.isprintable() and not {*name} & {*"/\\"} and name not in ("", ".", "..")
        if not plain or len(name.encode()) > LONGEST_NAME:
            raise ValueError(
                "a folder is called so: it should be printable, without slashes, and of at most "
                f"{LONGEST_NAME} bytes"
            )
        return name

    @field_validator("environments", mode="before")
    @classmethod
    def _name_is_type(cls, tables: Any) -> Any:
        if not isinstance(tables, Mapping):
            return tables
        return {
            name: {"type": name, **table} if isinstance(table, Mapping) else table
            for name, table in tables.items()
        }

    @model_validator(mode="after")
    def _enough_students(self) -> "Config":
        most, students = self.rollout.students_per_task, self.population.students
        if most != "all" and most > max(1, students):
            raise ValueError(
                f"rollout.students_per_task = {most}, but population.students = {students}; "
                "a self-play member attempts its tasks alone"
            )
        number = max(1, students) if most == "all" else most
        least = getattr(self.rollout.interaction, "least_students", 1)
        if number < least:
            raise ValueError(
                f"rollout.interaction needs {least} students a task or more; "
                f"rollout.students_per_task = {most} and population.students = {students} "
                f"give {number}"
            )
        return self

    @model_validator(mode="after")
    def _advantage_fits(self) -> "Config":
        chosen = component_name("advantage", self.learner.student.advantage)
        meant = getattr(self.rollout.interaction, "student_advantage", None)
        if meant not in (None, chosen):
            raise ValueError(
                f"rollout.interaction rewards chosen texts with weights, which {chosen!r} would "
                f"compare with each other; set learner.student.advantage to {meant!r}"
            )
        return self
