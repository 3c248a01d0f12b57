"""When a run says that its population has collapsed."""

from pydantic import Field

from redqueen.config.section import Section


class AlarmConfig(Section):
    """When the run says that its population has collapsed, and why. An alarm stops nothing."""

    patience: int = Field(5, ge=1)
    """Steps in a row that begin an alarm, and that end it."""
    clones: float = Field(0.05, ge=0)
    """`clones`: mean distance between one role's updates of the weights, at most (1: unrelated)."""
    one_teacher_style: float = Field(0.02, ge=0)
    """`one_teacher_style`: how much a task tells about which teacher wrote it, at most (0: no
    more than chance, 1: all)."""
    no_valid_tasks: float = Field(0.02, ge=0, le=1)
    """`no_valid_tasks`: share of valid proposals, at most."""
    too_easy: float = Field(0.98, ge=0, le=1)
    """`too_easy`: solve rate, at least."""
    too_hard: float = Field(0.02, ge=0, le=1)
    """`too_hard`: solve rate, at most."""
    truncated: float = Field(0.2, ge=0, le=1)
    """`truncated`: share of texts that the limit of tokens cut off, at least."""
    unsafe: float = Field(0.05, ge=0, le=1)
    """`unsafe`: share of proposals that a screen holds back, at least."""
    selection_is_noise: float = Field(0.3, le=1)
    """`selection_is_noise`: reliability of the fitness of a generation, at most. It rings, and
    ends, at once."""
    no_learning_signal: float = Field(0.98, ge=0, le=1)
    """`no_learning_signal`: share of sequences without an advantage, at least."""
