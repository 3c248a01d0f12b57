"""Word problems with programs: proposals and what is wrong with them, sources, hostile texts."""

from collections.abc import Iterator
from fractions import Fraction
from time import process_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redqueen.config import SandboxConfig
from redqueen.environments.base import (
    Attempt,
    Draft,
    Environment,
    Services,
    TaskSpace,
    describe,
    has_fallible_keys,
    revalidate,
)
from redqueen.environments.math import Math, MathEnvironment, MathGrader
from redqueen.environments.math.expressions import ExpressionSolver
from redqueen.environments.math.problems import (
    ProblemError,
    key_of,
    numbers_of,
    stands_in,
    words_of,
)
from redqueen.sandbox import make_sandbox
from redqueen.types import Rejection, Task, Verdict

TEXT = "A tank holds 240 litres. A pump fills 15 litres a minute, 3 leak out. How many minutes?"
PROGRAM = "def answer():\n    return 240 / (15 - 3)"


@pytest.fixture(scope="module")
def math() -> Iterator[MathEnvironment]:
    config = SandboxConfig(workers=1)
    with (
        make_sandbox(config) as sandbox,
        MathGrader(config) as grader,
        ExpressionSolver(config, seconds=1.0) as solver,
    ):
        started: dict[Any, Any] = {MathGrader: grader, ExpressionSolver: solver}
        yield Math(held_out_tasks=9).build(
            Services(lambda: sandbox, "chat", shared=lambda start: started[start])
        )


def outcome(math: MathEnvironment, text: str, program: str) -> Task | Rejection:
    said = f"Fine.\n<problem>{text}</problem>\n<program>\n{program}\n</program>"
    [made] = math.validate([Draft("math", said, (), author=3, step=2)])
    return made


def test_it_is_an_environment_with_teachers_whose_keys_may_be_wrong(math: MathEnvironment) -> None:
    assert isinstance(math, Environment)
    assert isinstance(math, TaskSpace)
    assert has_fallible_keys(math)
    assert "<problem>" in math.ask("math", [])[0].content


def test_a_problem_with_a_program_is_a_task(math: MathEnvironment) -> None:
    task = outcome(math, TEXT, PROGRAM)
    assert isinstance(task, Task)
    assert (task.author, task.step) == (3, 2)
    assert task.payload == {"problem": TEXT, "program": PROGRAM, "answer": "20"}
    assert (task.features["operations"], task.features["numbers"]) == (2, 3)
    assert revalidate(math, [task]) == [task]
    fenced = outcome(math, TEXT, f"```python\n{PROGRAM}\n```")
    assert fenced == task
    other = outcome(math, TEXT.replace("240", "480"), PROGRAM.replace("240", "480"))
    assert isinstance(other, Task)
    assert math.fingerprint(other).family == math.fingerprint(task).family
    assert math.fingerprint(other).task != math.fingerprint(task).task
    forged = Task("", "math", "math", {**task.payload, "answer": "21"})
    assert isinstance(revalidate(math, [forged])[0], Rejection)


@pytest.mark.parametrize(
    ("text", "program", "reason"),
    [
        (TEXT, "answer = 240 / 12", "unparsable"),
        (TEXT, "def answer(: 240", "unparsable"),
        (f"{TEXT} \ud800", PROGRAM, "unparsable"),
        ("", PROGRAM, "too_large"),
        ("\u200b?", "def answer():\n    return 3", "unparsable"),
        (TEXT * 20, PROGRAM, "too_large"),
        (TEXT, PROGRAM.replace("240", "250"), "numbers_differ"),
        (TEXT.replace("240", "250"), PROGRAM, "numbers_differ"),
        (TEXT, PROGRAM + " + 17", "numbers_differ"),
        (f"{TEXT} It is 20.", PROGRAM + " + 20 - 20", "leak"),
        (f"{TEXT} About twenty.", PROGRAM, "leak"),
        (f"{TEXT} It is 60/3.", PROGRAM + " + 60 - 60", "leak"),
        (f"{TEXT} It is \\frac{{60}}{{3}}.", PROGRAM + " + 60 - 60", "leak"),
        (f"{TEXT} It is \uff12\uff10.", PROGRAM + " + 20 - 20", "leak"),
        (f"{TEXT} It is \uff12\uff10.", PROGRAM, "numbers_differ"),
        (f"{TEXT} It is 2\u200b0.", PROGRAM, "numbers_differ"),
        (f"{TEXT} It is 2\u200b0.", PROGRAM + " + 20 - 20", "leak"),
        (f"{TEXT} It is twen\u200bty.", PROGRAM, "leak"),
        (f"{TEXT} It is tw\u0435nty.", PROGRAM, "leak"),
        (f"{TEXT} It is \u2473.", PROGRAM, "leak"),
        (f"{TEXT} It is \u00b2\u2070.", PROGRAM, "leak"),
        (f"{TEXT} It is 2e1.", PROGRAM + " + 2 + 1 - 2 - 1", "leak"),
        (f"{TEXT} It is 0x14.", PROGRAM + " + 0", "leak"),
        (f"{TEXT} It is -225.", "def answer():\n    return 15 - 240 + 225 * 3 - 225 * 3", "leak"),
        (TEXT, PROGRAM.replace("(15 - 3)", "(15 - 3 * 3 - 3 * 2)"), "error"),
        (TEXT, "def answer():\n    240, 15, 3\n    while True: pass", "timeout"),
        (TEXT, "def answer():\n    240, 15, 3\n    return [3]", "no_number"),
        (TEXT, "def answer():\n    240, 15, 3\n    return True", "no_number"),
        (TEXT, "def answer():\n    240, 15, 3\n    return '1/0'", "no_number"),
        (TEXT, "def answer():\n    240, 15, 3\n    return 100 / 7", "inexact"),
        (TEXT, "def answer():\n    return 3 / 15 / 240**4", "inexact"),
        (TEXT, "import os\ndef answer():\n    return 240 / (15 - 3)", "forbidden"),
        (TEXT, "def answer():\n    return eval('240 / (15 - 3)')", "forbidden"),
        ("What is 9" + "9" * 5000, PROGRAM, "too_large"),
        ("What is 9" + "9" * 500, PROGRAM, "too_large"),
    ],
)
def test_rejections(math: MathEnvironment, text: str, program: str, reason: str) -> None:
    made = outcome(math, text, program)
    assert isinstance(made, Rejection)
    assert made.reason == reason
    assert reason in describe(math)["reasons"]


LADDER = "A ladder of 10 metres has its foot 5 metres from a wall. How high does it end?"


def expressed(math: MathEnvironment, text: str, expression: str) -> Task | Rejection:
    said = f"<problem>{text}</problem>\n<expression>{expression}</expression>"
    [made] = math.validate([Draft("math", said, (), author=3, step=2)])
    return made


def test_a_problem_with_an_expression_is_a_task(math: MathEnvironment) -> None:
    task = expressed(math, LADDER, "sqrt(10**2 - 5**2)")
    assert isinstance(task, Task)
    assert task.payload == {
        "problem": LADDER, "expression": "sqrt(10**2 - 5**2)", "answer": "5 \\sqrt{3}",
    }  # fmt: skip
    assert revalidate(math, [task]) == [task]
    texts = ["\\boxed{5\\sqrt3}", "\\boxed{\\sqrt{75}}", "\\boxed{8.6}", "\\boxed{15/\\sqrt{3}}"]
    verdicts = [item.verdict for item in math.verify([Attempt(task, text) for text in texts])]
    right, wrong = Verdict.CORRECT, Verdict.WRONG
    assert verdicts == [right, right, wrong, right]
    assert "expression" in math.ask("math", [task])[0].content


def test_a_config_may_want_programs_alone() -> None:
    programs = Math(keys=("program",)).build(Services(pytest.fail, "chat"))  # type: ignore[arg-type]
    made = expressed(programs, LADDER, "sqrt(10**2 - 5**2)")
    assert isinstance(made, Rejection)
    assert made.reason == "other_form"
    assert "expression" not in programs.ask("math", [])[0].content


@pytest.mark.parametrize(
    ("expression", "key"),
    [
        ("10 / 4 - 5", "-2.5"),
        ("Rational(10, 3) + 5", "25/3"),
        ("5 + 10 * pi", "5 + 10 \\pi"),
        ("binomial(10, 5) // 4 + 5 % 3", "65"),
        ("summation(k**2, (k, 1, 10)) + 5", "390"),
        ("product(k, (k, 1, 5)) * 10", "1200"),
        ("integrate(x**2, (x, 0, 10)) / 5", "200/3"),
        ("gcd(10, 5 * 4) + Max(1, 5.0)", "15"),
    ],
)
def test_expressions(math: MathEnvironment, expression: str, key: str) -> None:
    task = expressed(math, "There are 10 of 5. How many?", expression)
    assert isinstance(task, Task), task
    assert task.payload["answer"] == key


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("sqrt(10**2 - 5**2", "unparsable"),
        ("__import__('os').system('x') + 10 * 5", "unparsable"),
        ("(10).__class__ + 5", "unparsable"),
        ("[10, 5][0]", "unparsable"),
        ("sqrt(10, 5)", "unparsable"),
        ("10 * 5 * n", "unparsable"),
        ("lambda: 10 * 5", "unparsable"),
        ("summation(k, (open, 5, 10))", "unparsable"),
        ("'10' * 5", "unparsable"),
        ("10 * 5" + " + 1" * 200, "too_large"),
        ("10 * 6", "numbers_differ"),
        ("10 - 5", "leak"),
        ("pi + 10 - 5 - 5", "leak"),
        ("sqrt(5 - 10)", "no_number"),
        ("10 * log(5 - 5)", "no_number"),
        ("10 / (5 - 5)", "no_number"),
        ("10 * factorial(10**7) + 5", "timeout"),
        ("10**10**10**10 + 5", "timeout"),
        ("factorial(10**5) + 5", "no_closed_form"),
    ],
)
def test_expressions_that_are_no_key(math: MathEnvironment, expression: str, reason: str) -> None:
    made = expressed(math, "There are 10 of 5, not \\pi. How many?", expression)
    assert isinstance(made, Rejection), made
    assert made.reason == reason
    assert reason in describe(math)["reasons"]


def test_numbers_in_words_and_percentages(math: MathEnvironment) -> None:
    text = "Half of forty-two seats are free, and 25% of the 84 others. How many are free in all?"
    task = outcome(math, text, "def answer():\n    return 42 / 2 + 0.25 * 84 + 42 - 42")
    assert isinstance(task, Rejection)  # the answer is forty-two
    task = outcome(math, text, "def answer():\n    return 42 / 2 + 0.25 * 84 + 1")
    assert isinstance(task, Task)
    assert task.payload["answer"] == "43"
    assert numbers_of("1,234.5 and 3/4, v2 or 7th") == {Fraction("1234.5"), 3, 4, 7}
    assert words_of("Twenty-one dozen") == {Fraction(21), Fraction(12), Fraction(252)}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("one hundred and twenty-five boxes", (1, 25, 100, 125)),
        ("one hundred twenty", (1, 20, 100, 120)),
        ("twenty one", (1, 20, 21)),
        ("two thousand three hundred", (2, 3, 100, 1000, 2300)),
        ("three quarters, two thirds", (3, 2, Fraction(3, 4), Fraction(2, 3))),
        ("one two three and four", (1, 2, 3, 4)),
        ("ten and a hundred", (10, 100)),
        ("half a dozen", (Fraction(1, 2), 12)),
    ],
)
def test_numbers_of_several_words(text: str, values: tuple[Any, ...]) -> None:
    assert words_of(text) == set(map(Fraction, values))


def test_exponents_and_units_give_no_answer_away() -> None:
    assert not stands_in("2", "5 m\u00b2 of 10\u00b2 (a + b)\u00b2")
    assert stands_in("2.5", "2\u00bd litres")
    assert stands_in("0.5", "\u00bd litre")
    assert stands_in("8", "chapter \u2167")


DISGUISES = {
    "letters": TEXT.upper(),
    "signs": TEXT.replace(".", "!").replace(",", ";"),
    "joiner": TEXT.replace("tank", "ta\u200bnk"),
    "soft hyphen": TEXT.replace("litres", "li\u00adtres"),
    "cyrillic": TEXT.replace("tank", "t\u0430nk"),
    "greek": TEXT.replace("out", "\u03bfut"),
    "mark": TEXT.replace("tank", "ta\u0301nk"),
    "full width": TEXT.replace("tank", "\uff54ank"),
    "no-break spaces": TEXT.replace(" ", "\xa0"),
    "idle decimals": TEXT.replace("240", "240.0"),
    "idle zeros": TEXT.replace("15", "015"),
    "other digits": TEXT.replace("15", "\u0661\u0665"),
    "picture": f"{TEXT} \U0001f600",
}


@pytest.mark.parametrize("name", DISGUISES)
def test_a_copy_in_disguise_is_a_copy(math: MathEnvironment, name: str) -> None:
    first, again = outcome(math, TEXT, PROGRAM), outcome(math, DISGUISES[name], PROGRAM)
    assert isinstance(first, Task)
    assert isinstance(again, Task)
    assert math.fingerprint(again) == math.fingerprint(first)


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (12, "12"), (-3, "-3"), (2.5, "2.5"), (0.1 + 0.2, "0.3"), (20.0, "20"), ("6/8", "0.75"),
        ("1/3", "1/3"), ("-14/7", "-2"), (1e-4, "0.0001"), (0.1 * 3 - 0.3, "0"),
    ],
)  # fmt: skip
def test_keys(value: object, key: str) -> None:
    assert key_of(value) == key


@pytest.mark.parametrize(
    "value", [None, True, "x", "1/0", float("nan"), 1e300, 1 / 3, 1e-11, [1], 2j]
)
def test_what_is_no_key(value: object) -> None:
    with pytest.raises(ProblemError):
        key_of(value)


def test_answers(math: MathEnvironment) -> None:
    task = outcome(math, TEXT, PROGRAM)
    assert isinstance(task, Task)
    texts = ["So \\boxed{20}.", "\\boxed{20.0}", "It is 21.", "no idea"]
    said = math.verify([Attempt(task, text) for text in texts])
    assert [item.answer for item in said] == ["20", "20", "21", None]
    right, wrong = Verdict.CORRECT, Verdict.WRONG
    assert [item.verdict for item in said] == [right, right, wrong, Verdict.MALFORMED]


def test_an_answer_of_several_or_a_denied_one_is_wrong(math: MathEnvironment) -> None:
    task = outcome(math, TEXT, PROGRAM)
    assert isinstance(task, Task)
    answers = {
        "\\frac{240}{12} = 20": Verdict.CORRECT,
        "\\not= 20": Verdict.WRONG,
        "20, 21": Verdict.WRONG,
        "20 = 21": Verdict.WRONG,
        "20 \\text{ or } 21": Verdict.WRONG,
        "\\pm 20": Verdict.WRONG,
        "19 < x < 21": Verdict.WRONG,
        "\\frac{0}{0}": Verdict.WRONG,
    }
    said = math.verify([Attempt(task, f"\\boxed{{{answer}}}") for answer in answers])
    assert dict(zip(answers, (item.verdict for item in said), strict=True)) == answers


@pytest.mark.parametrize(
    "text",
    [
        "<problem>" * 500 + "</problem><program>" * 500,
        "<problem>x</problem><program>" + "\n" * 19_000,
        "<problem>x</problem>" + " " * 19_000,
        "<problem>x</problem><program>" + "``` " * 4000,
        "The answer is:" + "\n" * 19_000,
        "\\boxed{" + "1" * 19_000 + "x}",
        "\\boxed{1." + "1" * 19_000 + "x}",
    ],
)
def test_reading_takes_no_time_over_repetition(math: MathEnvironment, text: str) -> None:
    task, begun = math.sources["seed"].tasks(1, 0)[0], process_time()
    [made] = math.validate([Draft("math", text, (), None, 0)])
    [said] = math.verify([Attempt(task, text)])
    assert isinstance(made, Rejection)
    assert made.reason == "unparsable"
    assert said.verdict is not Verdict.CORRECT
    assert process_time() - begun < 1


def test_the_tags_may_be_spoken_of_before(math: MathEnvironment) -> None:
    sound = f"<problem>{TEXT}</problem>\n<program>{PROGRAM}</program>"
    said = f"I write <problem> and <program>.\n{sound}"
    [made] = math.validate([Draft("math", said, (), 3, 2)])
    assert made == outcome(math, TEXT, PROGRAM)


def test_programs_of_the_templates_compute_their_keys(math: MathEnvironment) -> None:
    tasks = math.sources["stream"].tasks(27, 3)
    assert revalidate(math, tasks) == tasks
    assert math.sources["stream"].tasks(40, 3)[:27] == tasks
    assert len(math.sources["held-out"].tasks(50, 3)) == 9


pieces: Any = st.sampled_from(
    ["<problem>", "</problem>", "<program>", "</program>", "<expression>", "</expression>",
     "sqrt(", "\n", "def answer():", "    return 7",
     "```python\n", "9" * 5000, "(" * 500, "\x00", "\ud800", "1/0", "boxed{", "}", "\\boxed{", "7"],
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=100)
@given(st.lists(pieces, max_size=14))
def test_no_text_does_harm(math: MathEnvironment, parts: list[str]) -> None:
    text = "".join(parts)
    [made] = math.validate([Draft("math", text, (), None, 0)])
    assert isinstance(made, (Task, Rejection))
    [said] = math.verify([Attempt(math.sources["seed"].tasks(1, 0)[0], text)])
    assert said.verdict in (Verdict.MALFORMED, Verdict.WRONG)
