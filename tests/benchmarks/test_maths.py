"""Mathematics: where answers are read, which agree, and what a worker may take."""

from typing import Any

import pytest
from benchmarks.conftest import Open, verify

from redqueen.config import SandboxConfig
from redqueen.environments.math import MathGrader, Question, read_answer
from redqueen.types import Verdict


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"First \boxed{1}. Then $\boxed{\frac{1}{2}}$.", r"\frac{1}{2}"),
        (r"\boxed{\text{a } \{b\}}", r"\text{a } \{b\}"),
        (r"\boxed{1", None),  # cut off: it may have been about to say 10
        ("Thus the final answer is $x = 5$.", "x = 5"),
        ("**Answer:** 12", "12"),
        ("That makes 3 apples and 1,234 pears", "1,234"),
        ("The answer is 42. I hope this answer is helpful.", "42"),
        ("Final Answer: The final answer is $42$. I hope it is correct.", "42"),
        ("The answer is **42** because 7 * 6 = 42.", "42"),
        ("The answer is $2$ or $3$.", "2$ or $3"),
        ("**Answer**: 12\nThat took 3 steps.", "12"),
        ("**Answer:** 12 apples\nThat took 3 steps.", "12"),
        ("The final answer is:\n\n\\[ 12 \\]", "12"),
        ("### Answer\n12", "12"),
        ("#### Step 3\nSo 12", "12"),
        ("The answer is 13.\n#### 12\n(2 steps)", "12"),
        ("<answer>12</answer> It took 3 steps.", "12"),
        ("<answer>\nSo \\boxed{12}\n</answer>", "12"),
        ("Put it in \\boxed{}. It is 12.", "12"),
        ("\\boxed{12}. As asked, it is in \\boxed{}.", "12"),
        ("<think>13</think>12", "12"),
        ("<thinking>\\boxed{13}</thinking>\n12", "12"),
        ("<thinking>12</thinking>\nWho knows.", None),
        ("<think>It may be \\boxed{12}", None),  # cut off: nothing was answered
        ("From 5-7", "7"),
        ("It gives x = −7", "-7"),
        ("no idea", None),
        ("", None),
    ],
)
def test_answers_are_read(text: str, answer: str | None) -> None:
    assert read_answer(text) == answer


def test_several_boxes_count_where_several_answers_are_asked_for() -> None:
    text = "\\boxed{0} is no root.\n\nRoots: $\\boxed{1}$ and $\\boxed{-2}$."
    assert read_answer(text, several=True) == "1, -2"
    assert read_answer(text) == "-2"


AGREE = [
    ("18", "18.0"), ("70000", "70,000"), (r"\frac{1}{2}", "0.5"), (r"\frac43", r"\dfrac{4}{3}"),
    (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\pi/2)"), (r"3\sqrt{13}", r"\sqrt{117}"),
    ("1,-2", "-2, 1"), (r"1 \pm \sqrt{19}", r"1-\sqrt{19}, 1+\sqrt{19}"), ("x=5", "5"),
    (r"90^\circ", "90"), (r"\text{Evelyn}", "Evelyn"), ("p - q", "-q + p"),
    (r"15\mbox{ cm}^2", "15"), (r"(-\infty, 2) \cup (3, \infty)", r"(-\infty,2)\cup(3,\infty)"),
    ("$f(x)=2 x$", "2x"), (r"\$18.90", "18.90"),
]  # fmt: skip
DIFFER = [
    ("18", "19"), ("18", "-18"), ("1,-2", "1"), ("1,-2", "1,-2,3"), ("(3,4]", "(3,4)"),
    (r"\frac{1}{2}", "0.51"), ("(1,2)", "(2,1)"), (r"\text{Evelyn}", "Evan"), ("2k", "2n"),
    (r"3\sqrt{13}", r"3\sqrt{12}"), ("x^2+1", "x^2-1"), ("52_8", "53_8"), ("5", ""),
]  # fmt: skip


def test_which_answers_agree() -> None:
    questions = [Question(a, b) for a, b in (*AGREE, *DIFFER)]
    with MathGrader(SandboxConfig(workers=1)) as grader:
        said = dict(zip([*AGREE, *DIFFER], grader.judge(questions), strict=True))
    assert {pair for pair in AGREE if not said[pair]} == set()
    assert {pair for pair in DIFFER if said[pair]} == set()


def test_numbers_agree_within_a_tolerance() -> None:
    near = Question("4.5e33", r"4.5001 \times 10^{33}", tolerance=1e-4)
    far = Question("4.5e33", "4.51e33", tolerance=1e-4)
    exact = Question("0.33", r"\frac{1}{3}")
    with MathGrader(SandboxConfig(workers=1)) as grader:
        assert grader.judge([near, far, exact]) == [True, False, False]


@pytest.mark.slow
def test_an_answer_that_takes_for_ever_is_wrong_and_the_next_is_answered() -> None:
    endless = Question(r"\frac{1}{7}", "9^{9^{9^{9}}}")
    with MathGrader(SandboxConfig(workers=1), seconds=2.0) as grader:
        assert grader.judge([endless, Question("p-q", "-q+p")]) == [False, True]


ROWS: dict[str, dict[str, Any]] = {
    "aime24": {"id": 1, "problem": "6 * 7?", "answer": "042"},
    "aime25": {"id": "I-1", "problem": "6 * 7?", "answer": "42"},
    "amc23": {"id": 0, "question": "6 * 7?", "answer": 42.0},
    "math500": {"problem": "6 * 7?", "answer": "42", "unique_id": "test/a/1.json"},
    "minerva": {"problem": "6 * 7?", "solution": r"So \boxed{42} \mathrm{~cm}.", "idx": 0},
    "gsm8k": {"question": "6 * 7?", "answer": "6 * 7 = <<6*7=42>>42\n#### 42"},
    "olympiadbench": {
        "id": 7, "question": "6 * 7?", "context": None, "final_answer": ["$42$"],
        "is_multiple_answer": False, "error": None, "unit": None,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_every_file_is_read_and_graded(name: str, written: Open) -> None:
    environment = written(name, ROWS[name])
    texts = (r"So $\boxed{42}$.", r"So \boxed{43}.", "Who knows.")
    verdicts = [item.verdict for item in verify(environment, *texts)]
    assert verdicts == [Verdict.CORRECT, Verdict.WRONG, Verdict.MALFORMED]
    [task] = environment.sources["test"].tasks(9, 0)
    assert environment.prompt(task)[0].content.startswith("6 * 7?\nPlease reason step by step")


@pytest.mark.parametrize("name", ROWS)
def test_reference_answers_are_right(name: str, released: Open) -> None:
    environment = released(name)
    for id_ in [*environment.rows][:5]:
        task = environment.task(id_)
        [verified] = environment.verify(
            [_attempt(task, f"Thus \\boxed{{{task.payload['answer']}}}.")]
        )
        assert verified.verdict is Verdict.CORRECT, (id_, verified)


def _attempt(task: Any, text: str) -> Any:
    from redqueen.environments.base import Attempt

    return Attempt(task, text)
