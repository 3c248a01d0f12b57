"""Mathematics: problems in words, answers in closed form, and whether two answers agree."""

from redqueen.environments.math.answers import split_list
from redqueen.environments.math.environment import INSTRUCTION, Math, MathEnvironment
from redqueen.environments.math.grader import MathGrader, Question, verifications
from redqueen.environments.math.reading import read_answer

__all__ = [
    "INSTRUCTION",
    "Math",
    "MathEnvironment",
    "MathGrader",
    "Question",
    "read_answer",
    "split_list",
    "verifications",
]
