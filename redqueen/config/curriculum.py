"""The archive, what teachers are shown of it, and what is kept from training."""

from typing import Annotated, Any, Literal

from pydantic import Field

from redqueen.config.component import Of
from redqueen.config.section import Section


class CurriculumConfig(Section):
    """The archive of every environment, and what may enter it."""

    archive_size: int = Field(4096, ge=1)
    """Tasks kept for reference; the oldest of the fullest cell goes first."""
    seed_tasks: int = Field(24, ge=1)
    """Tasks that the archive starts from, where the environment has a source `seed`."""
    references: Annotated[Any, Of("references")] = Field("uniform")
    """How archive tasks are drawn for proposal prompts: `uniform` over tasks; `rare` over feature
    cells, then tasks; `recent` by weight step + 1; `azr` over tasks of the kind that is asked;
    `varied` by another rule, some of them with a small change."""
    near_copies: bool = True
    """Reject proposals that the archive has already but for what does not matter."""
    family_repeats: int = Field(3, ge=0)
    """With `near_copies`: archived tasks of one family (for code: one kind and program) after which
    no other of the family is accepted."""
    held_out: tuple[str, ...] | Literal["all"] = "all"
    """Task sources whose tasks are never trained on; `all`: every suite of the environment."""
    held_out_benchmarks: bool = True
    """Reject proposals that a benchmark of `eval.benchmarks` has, but for names and constants."""
