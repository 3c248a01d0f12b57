"""The size of a step, and how text is sampled."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from redqueen.config.component import Of
from redqueen.config.section import Section


def _count_or_all(value: object) -> object:
    """One sentence, where a union would complain once for each of its parts."""
    if value != "all" and not (type(value) is int and value >= 1):
        raise ValueError('should be a whole number from 1, or "all"')
    return value


Students = Annotated[int | Literal["all"], BeforeValidator(_count_or_all)]


class RolloutConfig(Section):
    """The size of a step and how text is sampled."""

    matches: int = Field(4, ge=1)
    """Matches a step; teachers take turns."""
    tasks_per_match: int = Field(8, ge=1)
    """Proposals a teacher writes for one match."""
    attempts: int = Field(8, ge=1)
    """G: attempts at each valid task, by every student that it goes to."""
    mixed_groups: int = Field(0, ge=0)
    """Pose further tasks until a step has so many groups with mixed verdicts, the only ones that a
    group's own baseline can learn from (DAPO's dynamic sampling, arXiv 2503.14476); 0: take what
    comes. Not in a probe."""
    max_rounds: int = Field(4, ge=1)
    """The limit of that: a step has at most so many times its matches."""
    overlap: bool = False
    """Write a step's texts while the step before is learnt from: they are then one step off-policy,
    which `learner.importance_cap` corrects. Both go on at once where the engine has copies of the
    adapters (`vllm`). Not in the step after a checkpoint or a generation. What a stopped run has
    done since its last checkpoint it does again."""
    students_per_task: Students = 1
    """Students that attempt a task: 1 is the matched one alone, k adds k - 1 others, `all` adds
    everybody. A teacher's reward is of all their attempts."""
    references: int = Field(2, ge=0)
    """Archive tasks shown in a proposal prompt (the paper: 6)."""
    interaction: Annotated[Any, Of("interaction")] = Field("independent")
    """How a task becomes rollouts: `independent` attempts; `vote`: the same, and an evaluation
    takes the most frequent answer; `refine`: answer, hear of it, answer again; `debate`: read each
    other's answers, answer again; `specialists`: a debate of those who answer first and those who
    criticise; `malt`: generate, verify, refine. See docs/interactions.md."""
    temperature: float = Field(1.0, gt=0)
    """Divides the logits before sampling."""
    propose_temperature: Annotated[float, Field(gt=0)] | None = None
    """The same for proposals; left out: as `temperature`."""
    vocabulary_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the base's tokens that a teacher must do without, drawn anew for each teacher in
    each step (arXiv 2604.03472); special tokens and those of the proposals' format never fall."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Sample from the likeliest tokens that hold this much probability; 1 is all of them. Below 1
    the learner still counts with the probabilities of before the cut, so it is off-policy."""
    propose_tokens: int = Field(192, ge=8)
    """Longest proposal, in tokens."""
    solve_tokens: int = Field(192, ge=8)
    """Longest attempt, in tokens."""
