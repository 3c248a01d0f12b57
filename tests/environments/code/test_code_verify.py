"""Answers: verdicts, against CPython and against attempts to cheat."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redqueen.environments.base import Attempt, Verification
from redqueen.environments.code.environment import CodeEnvironment
from redqueen.environments.code.texts import is_output, value_text
from redqueen.sandbox import Call, Outcome, OutcomeKind, Sandbox, parse_arguments
from redqueen.types import Task, Verdict
from tests.code_cases import (
    STYLES,
    FakeSandbox,
    answer_text,
    cpython,
    damaged,
    make_code,
    make_task,
    only,
    value,
)

CORRECT, WRONG, MALFORMED = Verdict.CORRECT, Verdict.WRONG, Verdict.MALFORMED
DOUBLE = "def f(a):\n    return a * 2"
TRIPLE = "def f(a):\n    return a * 3"
SIX = ("1", "2", "3", "'ab'", "[0]", "(1, 2)")


def judge(environment: CodeEnvironment, task: Task, answer: str) -> Verification:
    return only(environment.verify([Attempt(task, answer_text(environment.style, answer))]))


OUTPUTS = [
    ("1", "1", CORRECT),
    ("1", "True", CORRECT),
    ("1", "1.0", CORRECT),
    ("True", "1", CORRECT),
    ("0", "-0.0", CORRECT),
    ("[1, 2]", "[1,\n 2]", CORRECT),
    ("[1, 2]", "(1, 2)", WRONG),
    ("[1, 2]", "1, 2", WRONG),
    ("(1, 2)", "1, 2", CORRECT),
    ("{'a': 1, 'b': 2}", "{'b': 2.0, 'a': True}", CORRECT),
    ("{2, 1}", "{1, 2}", CORRECT),
    ("{2, 1}", "set([1, 2])", CORRECT),
    ("1e999", "float('inf')", CORRECT),
    ("-1e999", "inf", WRONG),
    ("1000000000000", "1000000000500.0", WRONG),
    ("1e12", "1000000000001", WRONG),
    ("1e12", "1000000000000.0001", CORRECT),
    ("2.9999999999999996", "3", CORRECT),
    ("'ab'", '"ab"', CORRECT),
    ("'ab'", "'a' 'b'", CORRECT),
    ("'ab'", "ab", MALFORMED),
    ("'1'", "1", WRONG),
    ("None", "None", CORRECT),
    ("1e999", "1e400", CORRECT),
    ("3", "1 + 2", MALFORMED),
    ("3", "f(0)", MALFORMED),
    ("3", "__import__('os').getpid()", MALFORMED),
    ("3", "3; import os", MALFORMED),
    ("3", "3 # as computed", CORRECT),
    ("3", "lambda: 3", MALFORMED),
    ("3", "nan", MALFORMED),
    ("3", "9" * 1100, WRONG),
    ("3", "9" * 5000, MALFORMED),
    ("3", "[" * 500 + "]" * 500, MALFORMED),
    ("3", "2 3", MALFORMED),
    ("3", "2\n3", MALFORMED),
]


@pytest.mark.parametrize(("output", "answer", "verdict"), OUTPUTS)
def test_code_o(styled: CodeEnvironment, output: str, answer: str, verdict: Verdict) -> None:
    task = make_task(styled, "code_o", "def f(a):\n    return a", output)
    made = judge(styled, task, answer)
    assert made.verdict is verdict
    assert made.partial_score == float(verdict is CORRECT)
    assert (made.answer is None) == (verdict is MALFORMED)


INPUTS = [
    ("2", CORRECT),
    ("-2", CORRECT),
    ("2.0", CORRECT),
    ("(2)", CORRECT),
    ("3", WRONG),
    ("'x'", WRONG),  # raises
    ("2 + 0", MALFORMED),
    ("f(0); import os", MALFORMED),
    ("abs(2)", MALFORMED),
    ("a", MALFORMED),
    ("2, 2", WRONG),
    ("f(2)", CORRECT),
    ("a=2", CORRECT),
    ("a = -2", CORRECT),
    ("b=2", WRONG),
    ("f()", WRONG),
    ("f(2) == 4", CORRECT),
    ("assert f(2) == 4", CORRECT),
    ("f(*[2])", MALFORMED),
    ("f(**{'a': 2})", MALFORMED),
    ("", MALFORMED),
    ("type('X', (), {'__mul__': lambda s, o: 4})()", MALFORMED),
    ("9" * 1100, WRONG),
]


@pytest.mark.parametrize(("answer", "verdict"), INPUTS)
def test_code_i_takes_every_input_that_gives_the_output(
    styled: CodeEnvironment, answer: str, verdict: Verdict
) -> None:
    task = make_task(styled, "code_i", "def f(a):\n    return a * a - 0", "2")
    assert judge(styled, task, answer).verdict is verdict


PROGRAMS = {
    "the same": (DOUBLE, CORRECT, 1.0),
    "another way": ("def f(x):\n    return x + x", CORRECT, 1.0),
    "with an import": ("import functools\ndef f(x):\n    return x + x", CORRECT, 1.0),
    "some hidden cases": (
        "def f(a):\n    return a if a == (1, 2) else a + a", WRONG, 2 / 3),
    "the shown cases only": (
        "def f(a):\n    return {1: 2, 2: 4, 3: 6}[a]", WRONG, 0.0),
    "equal to the output": ("def f(a):\n    return list(a * 2)", WRONG, 1 / 3),
    "imports": ("import os\ndef f(a):\n    os.listdir()\n    return a * 2", WRONG, 0.0),
    "prints": ("def f(a):\n    print(a)\n    return a * 2", CORRECT, 1.0),
    "raises": ("def f(a):\n    raise ValueError", WRONG, 0.0),
    "exits": ("def f(a):\n    raise SystemExit", WRONG, 0.0),
    "endless": ("def f(a):\n    while 1:\n        pass", WRONG, 0.0),
    "builtins overridden": ("def repr(x):\n    return 'aa'\ndef f(a):\n    return 0", WRONG, 0.0),
    "builtins written": ("def f(a):\n    __builtins__['len'] = 1", WRONG, 0.0),
    "forged equality": (
        "class X:\n    def __eq__(s, o):\n        return True\ndef f(a):\n    return X()",
        WRONG, 0.0),
    "forged report": ("def f(a):\n    return ('value', '', repr(a * 2))", WRONG, 0.0),
    "returns itself": ("def f(a):\n    return f", WRONG, 0.0),
    "f twice": (f"{TRIPLE}\n{DOUBLE}", CORRECT, 1.0),
    "f replaced": (f"{DOUBLE}\nf = lambda a: a * 3", WRONG, 0.0),
    "no function": ("2 * a", MALFORMED, 0.0),
    "other name": ("def g(a):\n    return a * 2", MALFORMED, 0.0),
    "two arguments": ("def f(a, b):\n    return a * 2", WRONG, 0.0),
    "default argument": ("def f(a, b=2):\n    return a * b", CORRECT, 1.0),
    "called as well": (f"{DOUBLE}\nf(1)", CORRECT, 1.0),
    "syntax": ("def f(a):\n    return a *", MALFORMED, 0.0),
    "an import it does not need": ("import os, math\ndef f(a):\n    return a * 2", CORRECT, 1.0),
    "an import it needs": ("import os, sys\ndef f(a):\n    return os.x * 2", WRONG, 0.0),
    "literal": ("4", MALFORMED, 0.0),
    "too long": (f"{DOUBLE}\n#{'x' * 1200}", MALFORMED, 0.0),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_code_f(styled: CodeEnvironment, name: str) -> None:
    answer, verdict, score = PROGRAMS[name]
    task = make_task(styled, "code_f", DOUBLE, *SIX)
    made = judge(styled, task, answer)
    assert (made.verdict, made.partial_score) == (verdict, score)


COMPACT_ANSWERS = [
    ("<answer>\n4", CORRECT),
    ("4", MALFORMED),
    ("", MALFORMED),
    ("<answer>\n", MALFORMED),
    ("<answer>4", MALFORMED),
    ("<answer>\n3\n<answer>\n4", CORRECT),  # the last word counts
    ("<answer>\n4\n<answer>\n3", WRONG),
    ("<answer>\n4\n<answer>\n", MALFORMED),
    ("<answer>\n4\n3", MALFORMED),
    ("<answer>\n  4  \n\n", CORRECT),
]
INSTRUCT_ANSWERS = [
    ("<answer>4</answer>", CORRECT),
    ("<answer>\n4\n</answer> and more", CORRECT),
    ("4", CORRECT),
    ("<answer>4", CORRECT),
    ("4</answer>", MALFORMED),
    ("</answer>4<answer>", MALFORMED),
    ("<answer></answer>", MALFORMED),
    ("<answer> \n </answer>", MALFORMED),
    ("<answer>3</answer> no, <answer>4</answer>", CORRECT),
    ("<answer>4</answer> no, <answer>3</answer>", WRONG),
    ("<answer>4</answer> no, <answer></answer>", CORRECT),
    ("<answer>I write <answer>4</answer>", CORRECT),
    ("<answer>4</answer> <answer>3", CORRECT),
    ("<answer>```python\n4\n```</answer>", CORRECT),
    ("<answer>\n```\n4\n```\n</answer>", CORRECT),
    ("<answer>\n```python\n3\n```\n```python\n4\n```\n</answer>", CORRECT),
    ("<answer>\n```python\n```\n</answer>", MALFORMED),
    ("<answer>\n```markdown\n```python\n4\n```\n```\n</answer>", MALFORMED),
    ("<answer>3, 4</answer>", WRONG),
    ("<answer>3 or 4</answer>", MALFORMED),
    ("```python\n4\n```", CORRECT),
    ("Twice 2 is 4, so the output is `4`.", CORRECT),
    ("Therefore, the answer is 4.", CORRECT),
    ("So it returns **4**", CORRECT),
    ("f(2) == 4", CORRECT),
    ("The result:\n\n```\n4\n```\n", CORRECT),
    ("<answer>f(2) == 4</answer>", CORRECT),
    ("<answer>The answer is 4</answer>", CORRECT),
    ("<answer>8/2</answer>", CORRECT),
    ("<answer>8/0</answer>", MALFORMED),
    ("<answer>\r\n4\r\n</answer>\r\n", CORRECT),
    ("<answer>4</answer> between <answer> and </answer>", CORRECT),
    ("4 is even.\nIt could be 4, or something else", MALFORMED),
    # what wraps a value, or stands before it
    ("<answer>$\\boxed{4}$</answer>", CORRECT),
    ("The final answer is \\(\\boxed{4}\\).", CORRECT),
    ("<answer>>>> f(2)\n4</answer>", CORRECT),
    ("<answer>```python\nprint(f(2))\n```\n4</answer>", CORRECT),
    ("```python\nf(2)  # Output: 4\n```", CORRECT),
    ("<answer>assert f(2) == 4, 'no'</answer>", CORRECT),
    ("<answer>**Output:** `4`.</answer>", CORRECT),
    ("The value is therefore 4.", CORRECT),
    ("The output is 4, not 5.", CORRECT),
    ("The output is 5, not 4.", WRONG),
    ("Final answer: 4 ✅", CORRECT),
    ("I think it's 4", CORRECT),
    ("<answer>4 (int)</answer>", CORRECT),
    ("<answer>４</answer>", CORRECT),
    ("<answer><code>4</code></answer>", CORRECT),
    ("<answer>\u200b4\xa0</answer>", CORRECT),
    ("```python\ndef f(a):\n    return a * 2\n\nprint(f(2))  # 4\n```", CORRECT),
    ("```python\nresult = f(2)\nprint(result)  # Output: 4\n```", CORRECT),
    ("```python\nresult = f(2)\nprint(result)  # Output: 5\n```", WRONG),
    ("<answer>5 == 4</answer>", MALFORMED),
    ("<answer>4 == 4</answer>", MALFORMED),
    ("<answer>f(2) == 4 == 4</answer>", MALFORMED),
    # tags as models spell them, and thoughts before them
    ("[ANSWER]\nassert f(2) == 4\n[/ANSWER]", CORRECT),
    ("< answer >4</ answer >", CORRECT),
    ("<Answer>4</Answer>", CORRECT),
    ("<answer>4<answer>", CORRECT),
    ("<answer>4</answer", CORRECT),
    ("<think>Perhaps <answer>3</answer></think>\n<answer>4</answer>", CORRECT),
    ("<think>Perhaps <answer>4</answer></think>\nThe answer is 3.", WRONG),
    ("<think>The answer is 4.</think>\nI do not know.", MALFORMED),
    ("<think>The answer is 4.", MALFORMED),
    # what is denied, offered beside another, or about something else
    ("The result isn't `4`.", MALFORMED),
    ("The result cannot be 4.", MALFORMED),
    ("The output is `3`, not `4`.", WRONG),
    ("The output is `4`, not `3`.", CORRECT),
    ("It is `3` or `4`.", MALFORMED),
    ("<answer>f(3) == 4</answer>", WRONG),
    ("So f(3) returns 4.", WRONG),
    ("<answer>f(2) != 4</answer>", MALFORMED),
    ("<answer>lambda: 4</answer>", MALFORMED),
]


@pytest.mark.parametrize(
    ("style", "text", "verdict"),
    [("compact", *item) for item in COMPACT_ANSWERS]
    + [("instruct", *item) for item in INSTRUCT_ANSWERS],
)
def test_one_final_answer(sandbox: Sandbox, style: str, text: str, verdict: Verdict) -> None:
    environment = make_code(sandbox, style, code_f_partial_credit=True)
    task = make_task(environment, "code_o", DOUBLE, "2")
    assert only(environment.verify([Attempt(task, text)])).verdict is verdict


def test_a_program_may_hold_fences_and_tags_of_the_other_style(
    environment: CodeEnvironment,
) -> None:
    task = make_task(environment, "code_f", DOUBLE, *SIX)
    answer = "def f(a):\n    '''```python <answer> </answer>'''\n    return a * 2"
    assert judge(environment, task, answer).verdict is CORRECT


@pytest.mark.parametrize("kind", ["code_i", "code_f"])
def test_our_failure_is_no_verdict_on_them(environment: CodeEnvironment, kind: str) -> None:
    task = make_task(environment, kind, DOUBLE, *(SIX if kind == "code_f" else SIX[:1]))
    answer = DOUBLE if kind == "code_f" else "1"
    outcomes = [value("'nope'"), Outcome(OutcomeKind.INFRA_ERROR), value("'nope'")]
    if kind == "code_i":
        outcomes = outcomes[1:]
    broken = make_code(FakeSandbox(lambda _, n: outcomes[n]), "compact")
    assert judge(broken, task, answer).verdict is Verdict.INFRA_ERROR


@pytest.mark.parametrize("kind", sorted(set(OutcomeKind) - {"value", "infra_error", "unsupported"}))
def test_every_other_ending_is_wrong(environment: CodeEnvironment, kind: OutcomeKind) -> None:
    task = make_task(environment, "code_i", DOUBLE, "2")
    fake = FakeSandbox(lambda *_: Outcome(kind))
    ended = make_code(fake, "compact", code_f_partial_credit=True)
    assert judge(ended, task, "2") == Verification(WRONG, "2", 0.0)


def test_a_program_that_runs_out_of_time_at_once_is_run_once(environment: CodeEnvironment) -> None:
    task, answer = make_task(environment, "code_f", DOUBLE, *SIX), "def f(b):\n    return b * 2"
    late, times = Outcome(OutcomeKind.TIMEOUT), [0]

    def outcome(call: Call, number: int) -> Outcome:
        return late if number in times else value(repr(call.args[0] * 2))

    fake = FakeSandbox(outcome)
    judged = judge(make_code(fake, "compact", code_f_partial_credit=True), task, answer)
    assert judged == Verification(WRONG, answer, 0.0)
    assert len(fake.calls) == 1
    times[:] = [2]
    fake = FakeSandbox(outcome)
    judged = judge(make_code(fake, "compact", code_f_partial_credit=True), task, answer)
    assert judged == Verification(WRONG, answer, pytest.approx(2 / 3))
    assert len(fake.calls) == 3


def test_what_the_sandbox_lacks_is_no_verdict(environment: CodeEnvironment) -> None:
    task = make_task(environment, "code_i", DOUBLE, "2")
    lacking = make_code(FakeSandbox(lambda *_: Outcome(OutcomeKind.UNSUPPORTED)), "compact")
    assert judge(lacking, task, "2").verdict is Verdict.INFRA_ERROR


def test_a_code_o_verdict_runs_nothing(environment: CodeEnvironment) -> None:
    task = make_task(environment, "code_o", DOUBLE, "2")
    fake = FakeSandbox(lambda *_: value("4"))
    assert (
        judge(make_code(fake, "compact", code_f_partial_credit=True), task, "4").verdict is CORRECT
    )
    assert fake.calls == []


def test_hidden_cases_alone_are_run_and_shown_cases_alone_are_posed(
    environment: CodeEnvironment,
) -> None:
    task = make_task(environment, "code_f", DOUBLE, *SIX)
    fake = FakeSandbox(lambda *_: value("0"))
    judge(make_code(fake, "compact", code_f_partial_credit=True), task, "def f(b):\n    return 0")
    assert [call.args for call in fake.calls] == [("ab",), ([0],), ((1, 2),)]
    for style in STYLES:
        prompt = make_code(fake, style).prompt(task)[-1].content
        assert "6" in prompt  # f(3)
        assert "'abab'" not in prompt
        assert "a * 2" not in prompt


def test_verdicts_keep_their_order(environment: CodeEnvironment) -> None:
    tasks = [
        make_task(environment, "code_o", DOUBLE, "2"),
        make_task(environment, "code_i", DOUBLE, "2"),
        make_task(environment, "code_f", DOUBLE, *SIX),
    ]
    answers = {"code_o": "4", "code_i": "2", "code_f": "def f(a):\n    return a + a"}
    plan = [(task, right) for right in (True, False, True) for task in tasks]
    attempts = [
        Attempt(task, answer_text(environment.style, answers[task.kind] if right else "7"))
        for task, right in plan
    ]
    made = [item.verdict is CORRECT for item in environment.verify(attempts)]
    assert made == [right for _, right in plan]
    assert environment.verify([]) == []


@pytest.mark.parametrize("kind", ["code_i", "code_f"])
def test_equal_answers_to_a_task_run_once_whatever_was_thought(
    environment: CodeEnvironment, kind: str
) -> None:
    inputs = SIX if kind == "code_f" else SIX[:1]
    tasks = [make_task(environment, kind, program, *inputs) for program in (DOUBLE, TRIPLE)]
    fake = FakeSandbox(lambda *_: value("0"))
    judging = make_code(fake, "instruct")
    answer = DOUBLE if kind == "code_f" else "1"
    texts = [f"{thought}<answer>{answer}</answer>" for thought in ("", "so ", "thus ")]
    attempts = [Attempt(task, text) for task in tasks for text in texts]
    made = judging.verify(attempts)
    assert len(fake.calls) == len(tasks) * (3 if kind == "code_f" else 1)
    assert made == [judging.verify([attempt])[0] for attempt in attempts]


def test_plain_answers_run_as_they_are_and_others_in_canonical_form(
    environment: CodeEnvironment,
) -> None:
    task = make_task(environment, "code_f", DOUBLE, *SIX)
    plain = "def f(a):  # twice\n  return (a*2)"
    canonical = "def f(a):\n    return a * 2"
    for answer, run in [(plain, plain), (plain.replace("a", "\uff41"), canonical)]:
        fake = FakeSandbox(lambda *_: value("0"))
        judge(make_code(fake, "compact", code_f_partial_credit=True), task, answer)
        assert {call.code for call in fake.calls} == {run}
        assert judge(environment, task, answer).verdict is CORRECT


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "1", 1.0, 0.5]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.integers(0, 2), inner),
    max_leaves=3,
)


@given(VALUES, VALUES)
def test_outputs_are_equal_as_python_says(left: object, right: object) -> None:
    returned, output = value_text(left), value_text(right)
    for written in (output, output.replace(", ", ",")):
        assert is_output(returned, written) == (left == right)
    assert not is_output("None", "no literal")


def _tasks(environment: CodeEnvironment, each: int) -> list[Task]:
    rng = Random(3)
    return [
        environment.maker.draw(kind, band, rng).task()
        for kind in environment.kinds
        for band in range(1, 6)
        for _ in range(each)
    ]


def _reference(task: Task) -> str:
    payload = task.payload
    return str(payload[{"code_o": "output", "code_i": "input", "code_f": "program"}[task.kind]])


def test_reference_answers_are_correct(styled: CodeEnvironment) -> None:
    tasks = _tasks(styled, 8)
    made = styled.verify(
        [Attempt(task, answer_text(styled.style, _reference(task))) for task in tasks]
    )
    assert made == [Verification(CORRECT, _reference(task), 1.0) for task in tasks]


def test_verdicts_agree_with_cpython(environment: CodeEnvironment) -> None:
    """Answers of one task tried on another: right exactly where CPython says so."""
    tasks = _tasks(environment, 8)
    attempts, expected = [], []
    for kind in environment.kinds:
        same = [task for task in tasks if task.kind == kind]
        for number, task in enumerate(same):
            for other in (same[number - 1], same[number - 3], task):
                attempts.append(Attempt(task, answer_text(environment.style, _reference(other))))
                expected.append(_right(task, other))
    made = [item.verdict is CORRECT for item in environment.verify(attempts)]
    assert made == expected
    assert 0.3 < sum(expected) / len(expected) < 0.7


def _right(task: Task, other: Task) -> bool:
    payload, arity = task.payload, task.payload["arity"]
    if task.kind == "code_o":
        return bool(_literal(payload["output"]) == _literal(other.payload["output"]))
    if task.kind == "code_i":
        args = parse_arguments(other.payload["input"], arity)
        runs = [(payload["program"], args, payload["output"])]
    else:
        runs = [
            (other.payload["program"], parse_arguments(given, arity), output)
            for given, output in payload["hidden"]
        ]
    try:
        return all(args is not None and cpython(p, args) == _literal(out) for p, args, out in runs)
    except Exception:
        return False


def _literal(text: str) -> object:
    args = parse_arguments(text, 1)
    assert args is not None
    return args[0]


ANSWERS = {
    name: [answer_text(style, text) for text in ("4", "[1, 'a']", DOUBLE, "(1, 2), {'a': 1}")]
    for name, style in STYLES.items()
}


@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.parametrize("style", STYLES)
def test_verify_never_raises(sandbox: Sandbox, style: str, data: st.DataObject) -> None:
    environment = make_code(sandbox, style, code_f_partial_credit=True)
    tasks = [
        make_task(environment, "code_o", DOUBLE, "2"),
        make_task(environment, "code_i", DOUBLE, "2"),
        make_task(environment, "code_f", DOUBLE, *SIX),
    ]
    texts = data.draw(st.lists(damaged(ANSWERS[style]), max_size=6))
    made = environment.verify([Attempt(task, text) for text in texts for task in tasks])
    assert len(made) == 3 * len(texts)
    for item in made:
        assert item.verdict in (CORRECT, WRONG, MALFORMED)
        assert (item.partial_score == 1.0) == (item.verdict is CORRECT)
        assert 0.0 <= item.partial_score <= 1.0
