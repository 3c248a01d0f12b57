"""G independent attempts of every student at each task."""

from collections.abc import Sequence

from redqueen.rollouts.interactions.base import Fits, Posing
from redqueen.rollouts.interactions.script import Question, Script, ScriptedInteraction


class Independent(ScriptedInteraction):
    """Every attempt is written and judged on its own (AZR, arXiv 2505.03335, section 3)."""

    def script(self, posings: Sequence[Posing], attempts: int, fits: Fits) -> Script:
        """Ask for all attempts at once."""
        yield [Question(p, p.prompt, number) for p in posings for number in range(attempts)]
