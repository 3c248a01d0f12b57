"""Mathematics with an answer in closed form: reading answers, and whether two agree."""

from redqueen.environments.math.answers import read_answer, split_list
from redqueen.environments.math.grader import MathGrader, Question

__all__ = ["MathGrader", "Question", "read_answer", "split_list"]
