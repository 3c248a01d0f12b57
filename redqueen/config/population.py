"""Who takes part, who meets whom, and how members are rated."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator

from redqueen.config.component import Of
from redqueen.config.section import Section


class HallOfFameConfig(Section):
    """Matches against the past: copies of the best members, which play and never learn."""

    share: float = Field(0.0, ge=0, lt=1)
    """Share of matches in which a past member takes one side's place; 0: no hall of fame."""
    interval: int = Field(10, ge=1)
    """Steps between two copies; each is of the best of every role by conservative rating."""
    size: int = Field(8, ge=1)
    """Past members of each role. When there are more, the one whose neighbours are closest in time
    leaves, so that the whole run stays represented."""
    slots: int = Field(2, ge=1)
    """Past members that can play in one step; each takes the memory of an adapter."""

    @property
    def spare_slots(self) -> int:
        """Rows that the adapter stack has beside those of the living."""
        return self.slots if self.share else 0


class PopulationConfig(Section):
    """Who takes part."""

    # `from` is a word of the language.
    model_config = ConfigDict(
        validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    teachers: int = Field(4, ge=0)
    """Members that propose tasks. With 0 the students train on a stream of ready tasks
    (reinforcement learning with verifiable rewards, RLVR)."""
    students: int = Field(4, ge=0)
    """Members that solve them."""
    self_play: int = Field(0, ge=0)
    """Members that hold both roles (the Absolute Zero Reasoner is 1 of these and no others)."""
    from_: tuple[str, ...] = Field((), alias="from")
    """Directories of PEFT adapters that the founders start from, in the order of their slots; fewer
    than members: in turns. None: fresh adapters."""
    slots: int = Field(0, ge=0)
    """Members in memory at once, 0: all. The others lie on disk until they play; a checkpoint then
    costs what has changed, not all members. At least as many as can meet in one step; what the run
    computes does not depend on it."""
    matchmaking: Annotated[Any, Of("matchmaker")] = Field("prioritized")
    """How students are drawn: `prioritized` by the ratings, or `uniform`."""
    hall_of_fame: HallOfFameConfig = HallOfFameConfig()
    """Matches against the past."""
    mu: float = 25.0
    """TrueSkill: a newcomer's rating."""
    sigma: float = Field(25.0 / 3.0, gt=0)
    """TrueSkill: how uncertain a newcomer's rating is."""
    beta: float = Field(25.0 / 6.0, gt=0)
    """TrueSkill: the spread of one performance around the rating."""
    tau: float = Field(25.0 / 300.0, ge=0)
    """TrueSkill: what a match adds to sigma, so that ratings can follow change."""
    draw_probability: float = Field(0.1, ge=0, lt=1)
    """TrueSkill: how often two equals draw."""

    @model_validator(mode="after")
    def _everybody_meets_somebody(self) -> "PopulationConfig":
        if self.teachers + self.students + self.self_play == 0:
            raise ValueError("nobody takes part; set teachers and students, or self_play")
        if self.teachers and not self.students:
            raise ValueError("teachers have nobody to teach; set students too, or self_play alone")
        if self.students and self.self_play and not self.teachers:
            raise ValueError(
                "a self-play member poses tasks to itself only; set teachers for the students, "
                "or students = 0"
            )
        members = self.teachers + self.students + self.self_play
        if len(self.from_) > members:
            raise ValueError(
                f"from names {len(self.from_)} adapters, but there are {members} members; name as "
                "many at most, or set more members"
            )
        if self.hall_of_fame.share and not self.teachers + self.self_play:
            raise ValueError(
                "nobody poses tasks, so there is no past to play against; set teachers, or "
                "hall_of_fame.share = 0"
            )
        return self
