"""What is measured at the end of a run."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from redqueen.config.component import Of
from redqueen.config.section import Section


class EvalConfig(Section):
    """The evaluation at the end of a run."""

    enabled: bool = True
    """Whether a run ends with it."""
    suites: tuple[str, ...] = Field(("held-out",), min_length=1)
    """Task sources of the environments. Of `code`: `held-out` (the generator, bands 1 to 5),
    `beyond` (its bands 6 and 7, which training never sees), `handwritten` (small functions written
    by hand)."""
    tasks: int = Field(300, ge=1)
    """Tasks of each suite (spread evenly over kinds and difficulty bands)."""
    samples: int = Field(2, ge=1)
    """Attempts at temperature 1 per task, besides one greedy."""
    seed: int = 20_000_003
    """Seed of the suites; training never uses it."""
    base_from: tuple[str, ...] = ()
    """Other runs, or folders with runs: what they measured of the base and of the elicited base
    counts for this run too, where they asked the same in the same way. `redqueen compare` measures
    a base once so."""
    benchmarks: tuple[Annotated[Any, Of("benchmark")], ...] = ()
    """Public benchmarks that a run ends with, greedy; see docs/benchmarks.md."""
    benchmark_files: str = ""
    """Directory with their released files, for those that name none; empty: the hub."""

    @model_validator(mode="after")
    def _suites_differ(self) -> "EvalConfig":
        if len(set(self.suites)) < len(self.suites):
            raise ValueError("suites names a suite twice")
        return self
