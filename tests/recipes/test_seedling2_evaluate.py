"""The tables of the evaluation, from attempts and proposals whose outcome is given."""

from recipes.seedling2.evaluate import Result, proposal_lines, solve_tables
from redqueen.environments.base import Draft
from redqueen.types import Rejection, Task


def result(band: int, right: bool, suite: str = "near") -> Result:
    return Result(suite, "code_o", band, "greedy", right, right, 100 if right else 300)


def test_a_row_for_each_suite_and_a_column_for_each_band() -> None:
    rows = [*[result(1, True)] * 3, result(1, False), *[result(2, False)] * 4]
    lines = solve_tables([*rows, result(0, True, "far")])
    assert lines[0] == "| % solved | by hand | band 1 | band 2 | all | answered | tokens |"
    assert lines[2] == "| near, code_o, greedy | – | 75 | 0 | 37.5 (13.7–69.4) | 38 | 225 |"
    assert lines[3].startswith("| far, code_o, greedy | 100 | – | – | 100.0 ")


def task(program: str) -> Task:
    payload = {"program": program, "input": "3", "output": "3"}
    return Task(program, "code", "code_o", payload)


def test_proposals_in_words() -> None:
    reference = task("def f(a):\n    return a + 1")
    held_out = task(
        "def f(a):\n    while a > 9:\n        a -= len([x for x in range(3)])\n    return a"
    )
    drafts = [Draft("code_o", "", (reference,), None, 0) for _ in range(4)]
    outcomes = [reference, held_out, held_out, Rejection("leak", malformed=False)]
    [text] = proposal_lines(outcomes, drafts)
    assert "Of 4 proposals" in text
    assert "75.0 (30.1–95.4) % are valid" in text
    assert "2 of the 3 valid ones are distinct, 1 have the program of a reference" in text
    assert "2 of 3 programs have a pair" in text
    assert "leak 1" in text
