"""Proposals: what becomes a task, and the named reason for what does not."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redqueen.curriculum import Archive
from redqueen.environments.code.environment import CodeEnvironment
from redqueen.environments.code.generator import generate_program
from redqueen.environments.code.reasons import MALFORMED_REASONS, WELL_FORMED_REASONS
from redqueen.environments.code.texts import arguments_text, same_value, value_text
from redqueen.sandbox import (
    NOT_A_LITERAL,
    Call,
    Outcome,
    OutcomeKind,
    Sandbox,
    State,
    parse_arguments,
)
from redqueen.types import Rejection, Task
from tests.code_cases import (
    STYLES,
    FakeSandbox,
    cpython,
    damaged,
    draft,
    make_code,
    make_task,
    only,
    proposal_text,
    value,
)

IDENTITY = "def f(a):\n    return a"
PAIR = "def f(a, b):\n    return a + b"
SIX = ("1", "2", "3", "4", "5", "6")

# name: (reason, program, input)
REJECTED = {
    "no function": ("no_function", "def g(a):\n    return a", "1"),
    "two functions f": ("no_function", f"{IDENTITY}\n{IDENTITY}", "1"),
    "syntax": ("syntax_error", "def f(a) return a", "1"),
    "syntax, seen on compiling": ("syntax_error", "def f(a):\n    break", "1"),
    "repeated argument": ("syntax_error", "def f(a, a):\n    return a", "1, 2"),
    "import": ("forbidden", "import os\ndef f(a):\n    return os.name", "1"),
    "code after the input's end": ("bad_input", IDENTITY, "0); import os; (0"),
    "statement after the input": ("bad_input", IDENTITY, "f(0); import os"),
    "call as an input": ("bad_input", IDENTITY, "list((1, 2))"),
    "name as an input": ("bad_input", IDENTITY, "a"),
    "sum as an input": ("bad_input", IDENTITY, "1 + 1"),
    "keyword of another": ("bad_input", IDENTITY, "b=1"),
    "star input": ("bad_input", IDENTITY, "*[1]"),
    "comment in the input": ("bad_input", IDENTITY, "1 # one"),
    "comprehension as an input": ("bad_input", IDENTITY, "[x for x in [1]]"),
    "f-string as an input": ("bad_input", IDENTITY, "f'{1}'"),
    "walrus as an input": ("bad_input", IDENTITY, "(a := 1)"),
    "two lines of input": ("bad_input", IDENTITY, "1\n2"),
    "too many arguments": ("bad_input", IDENTITY, "1, 2"),
    "too few arguments": ("bad_input", PAIR, "1"),
    "nan": ("bad_input", IDENTITY, "nan"),
    "long program": ("too_long", f"{IDENTITY}\n#{'x' * 1200}", "1"),
    "program long once formatted":
        ("too_long", "def f(a):\n" + "".join(f" {'a;' * 70}a\n" for _ in range(8)), "1"),
    "long input": ("too_long", IDENTITY, f"'{'x' * 240}'"),
    "input long once canonical": ("too_long", IDENTITY, f"0x{'f' * 230}"),
    "deep program": ("too_deep", f"def f(a):\n    return {'-' * 60}a", "1"),
    "raises": ("exception", "def f(a):\n    return 1 // a", "0"),
    "exits": ("exception", "def f(a):\n    raise SystemExit", "0"),
    "raises itself as a value": ("exception", "def f(a):\n    raise ValueError('value 3')", "0"),
    "recursion": ("exception", "def f(a):\n    return f(a)", "0"),
    "returns a function": ("no_literal", "def f(a):\n    return f", "0"),
    "returns nan": ("no_literal", "def f(a):\n    return [a - a]", "1e999"),
    "endless": ("timeout", "def f(a):\n    while True:\n        a = 1 - a", "0"),
    "memory": ("memory", "def f(a):\n    return len([a] * 10 ** 9)", "0"),
    "long output": ("output_too_long", "def f(a):\n    return a * 200", "'ab'"),
    "flood": ("output_too_long", "def f(a):\n    return [a] * 100000", "'ab'"),
    "not in this sandbox": ("unsupported", "def f(a):\n    return a.translate({97: 98})", "'ab'"),
}  # fmt: skip


@pytest.mark.parametrize("name", REJECTED)
def test_rejections(styled: CodeEnvironment, name: str) -> None:
    reason, program, given_input = REJECTED[name]
    if styled.style is STYLES["compact"] or "\n" not in given_input:
        text = proposal_text(styled.style, program, given_input)
        made = only(styled.validate([draft("code_o", text)]))
        assert isinstance(made, Rejection), made
        assert made.reason == reason
        assert made.malformed == (reason in MALFORMED_REASONS)
        assert not made.infra


F_REJECTED = {
    "five inputs": ("too_few_inputs", PAIR, tuple(f"{n}, 0" for n in range(5))),
    "one twice": ("too_few_inputs", PAIR, ("0, 0", "0,0", "1, 0", "2, 0", "3, 0", "4, 0")),
    "constant": ("constant", "def f(a):\n    return [0]", SIX),
    "constant to Python": ("constant", "def f(a):\n    return a > 3 or 1.0", SIX),
    "one raises": ("exception", "def f(a):\n    return 1 // (a - 4)", SIX),
    "one bad": ("bad_input", IDENTITY, (*SIX, "x")),
}


@pytest.mark.parametrize("name", F_REJECTED)
def test_code_f_rejections(styled: CodeEnvironment, name: str) -> None:
    reason, program, inputs = F_REJECTED[name]
    base = Task("t", "code", "code_o", {"program": program, "arity": 1, "input": "", "output": ""})
    text = proposal_text(styled.style, program, *inputs)
    assert only(styled.validate([draft("code_f", text, base)])).reason == reason


@pytest.mark.parametrize(
    ("style", "kind", "text"),
    [
        ("compact", "code_o", ""),
        ("compact", "code_o", IDENTITY),
        ("compact", "code_i", f"{IDENTITY}\n<input>\n1\n<input>\n2"),
        ("compact", "code_f", "1\n2\n3\n4\n5\n6"),
        ("compact", "code_f", "a hint\n<input>\n1"),
        ("instruct", "code_o", f"```python\n{IDENTITY}\n```"),
        ("instruct", "code_o", "```input\n1\n```"),
        ("instruct", "code_o", f"```python\n{IDENTITY}\n```input\n1"),
        ("instruct", "code_f", "```input\n1\n```"),
        ("instruct", "code_f", "```message\nhi\n```"),
    ],
)
def test_unparsable(sandbox: Sandbox, style: str, kind: str, text: str) -> None:
    environment = make_code(sandbox, style)
    base = Task("t", "code", "code_o", {"program": IDENTITY, "arity": 1})
    made = only(environment.validate([draft(kind, text, base)]))
    assert (made.reason, made.malformed) == ("unparsable", True)


def _fake(answers: list[Outcome]) -> CodeEnvironment:
    fake = FakeSandbox(lambda _, n: answers[n])
    return make_code(fake, "compact", guards=())


def test_every_input_runs_twice_and_differences_are_rejected() -> None:
    text = proposal_text(STYLES["compact"], IDENTITY, "1")
    assert only(_fake([value("1"), value("2")]).validate([draft("code_o", text)])).reason == (
        "nondeterministic"
    )
    failing = Outcome(OutcomeKind.EXCEPTION, exception="ValueError", message="boom")
    made = only(_fake([value("1"), failing]).validate([draft("code_o", text)]))
    assert (made.reason, made.detail) == ("exception", "ValueError: boom")
    assert isinstance(only(_fake([value("1")] * 2).validate([draft("code_o", text)])), Task)


@pytest.mark.parametrize(
    ("output", "results", "fits"),
    [
        ("True", ("bool",), True),
        ("1", ("bool",), False),
        ("True", ("int",), False),
        ("[1]", ("str", "list"), True),
        ("(1,)", ("list",), False),
        ("None", ("none",), True),
        ("{1: 2}", ("dict",), True),
        ("{1}", ("dict",), False),
        ("1.0", ("int",), False),
        ("1.0", (), True),
    ],
)
def test_values_of_other_types_are_rejected(
    output: str, results: tuple[str, ...], fits: bool
) -> None:
    fake = FakeSandbox(lambda call, n: value(output))
    environment = make_code(fake, "compact", guards=(), results=results)
    made = only(
        environment.validate([draft("code_o", proposal_text(STYLES["compact"], IDENTITY, "1"))])
    )
    assert isinstance(made, Task) if fits else made.reason == "other_result"


@pytest.mark.parametrize("place", [0, 1])
def test_our_failure_is_no_rejection_of_theirs(place: int) -> None:
    text = proposal_text(STYLES["compact"], IDENTITY, "1")
    other = Outcome(OutcomeKind.EXCEPTION, exception="ValueError")
    answers = [other, other]
    answers[place] = Outcome(OutcomeKind.INFRA_ERROR, message="worker died")
    made = only(_fake(answers).validate([draft("code_o", text)]))
    assert made == Rejection("infra_error", malformed=False, infra=True, detail="worker died")


def test_every_reason_is_reached_above() -> None:
    reached = {reason for reason, *_ in (*REJECTED.values(), *F_REJECTED.values())}
    reached |= {"unparsable", "nondeterministic", "other_result"}
    reached |= {"huge_constant", "leak", "lookup", "echo"}  # test_code_guards
    reached |= {"other_payload"}  # tests/swarm/test_node.py
    assert reached == {*MALFORMED_REASONS, *WELL_FORMED_REASONS}
    assert not MALFORMED_REASONS.keys() & WELL_FORMED_REASONS.keys()


def test_every_outcome_of_a_sandbox_has_a_reason() -> None:
    text = proposal_text(STYLES["compact"], IDENTITY, "1")
    for kind in set(OutcomeKind) - {OutcomeKind.VALUE}:
        made = only(_fake([Outcome(kind)] * 2).validate([draft("code_o", text)]))
        assert made.infra == (kind is OutcomeKind.INFRA_ERROR)
    named = Outcome(OutcomeKind.EXCEPTION, exception=NOT_A_LITERAL)
    assert only(_fake([named] * 2).validate([draft("code_o", text)])).reason == "no_literal"


def test_a_good_proposal_becomes_a_task(styled: CodeEnvironment) -> None:
    program = "def f(a, b):\n  return [b]+a   # add"
    for kind in ("code_o", "code_i"):
        text = proposal_text(styled.style, program, "[1,2],  3")
        task = only(styled.validate([draft(kind, text)]))
        assert task.payload == {
            "program": "def f(a, b):\n    return [b] + a",
            "arity": 2,
            "input": "[1, 2], 3",
            "output": "[3, 1, 2]",
        }
        assert (task.kind, task.author, task.step, task.environment) == (kind, 3, 7, "code")
        types = {"int": 1, "bool": 0, "str": 0, "list": 1, "tuple": 0, "dict": 0}
        assert task.features == {
            "ast_depth": 6, "cyclomatic": 1, "lines": 2, "types": 2,
            **{f"type_{name}": flag for name, flag in types.items()},
        }  # fmt: skip


def test_a_good_code_f_proposal_shows_half_and_hides_half(styled: CodeEnvironment) -> None:
    inputs = [f"{n}, [{n}]" for n in (5, 3, 1, 4, 9, 2, 6)]
    base = make_task(styled, "code_o", "def f(a, b):\n    return b * (a % 3)", "1, [1]")
    text = proposal_text(styled.style, "ignored", *inputs, message=" repeat ")
    task = only(styled.validate([draft("code_f", text, base)]))
    assert task.payload == {
        "program": base.payload["program"],
        "arity": 2,
        "message": "repeat",
        "examples": [["5, [5]", "[5, 5]"], ["3, [3]", "[]"], ["1, [1]", "[1]"]],
        "hidden": [["4, [4]", "[4]"], ["9, [9]", "[]"], ["2, [2]", "[2, 2]"]],
    }


def test_results_keep_their_order_when_some_do_not_run(environment: CodeEnvironment) -> None:
    texts = [proposal_text(STYLES["compact"], IDENTITY, str(n)) for n in range(5)]
    texts[1], texts[3] = "", proposal_text(STYLES["compact"], "def f(a):\n    return 1 // 0", "1")
    made = environment.validate([draft("code_o", text) for text in texts])
    assert [item.reason for item in (made[1], made[3])] == ["unparsable", "exception"]
    assert [item.payload["output"] for item in (made[0], made[2], made[4])] == ["0", "2", "4"]
    assert environment.validate([]) == []


def test_inputs_reach_the_sandbox_as_values_not_as_text() -> None:
    fake = FakeSandbox(lambda call, n: value("1"))
    environment = make_code(fake, "compact", guards=())
    text = proposal_text(STYLES["compact"], PAIR, "'0); import os', {'k': (1,)}")
    assert isinstance(only(environment.validate([draft("code_o", text)])), Task)
    args = ("0); import os", {"k": (1,)})
    assert fake.calls == [Call(PAIR, "f", args, State.NAMESPACE)] * 2


def test_ids_are_those_of_the_content(environment: CodeEnvironment) -> None:
    task = make_task(environment, "code_o", IDENTITY, "1")
    assert task.id == "c37c2e73b801b7018ef0"
    again = only(
        environment.validate(
            [draft("code_o", proposal_text(STYLES["compact"], f"{IDENTITY} ;", " 1 "))]
        )
    )
    assert again.id == task.id
    others = [
        make_task(environment, "code_i", IDENTITY, "1"),
        make_task(environment, "code_o", IDENTITY, "2"),
        make_task(environment, "code_o", "def f(b):\n    return b", "1"),
    ]
    assert len({task.id, *(item.id for item in others)}) == 4


@pytest.mark.parametrize("text", ["{'b', 'a', 'c'}", "1e999", "[-1e400, {1: {3, 2}}]", "set()"])
def test_inputs_are_stored_so_that_they_can_be_read_again(
    environment: CodeEnvironment, text: str
) -> None:
    task = make_task(environment, "code_o", "def f(a):\n    return [a]", text)
    args = parse_arguments(text, 1)
    assert args is not None
    assert parse_arguments(task.payload["input"], 1) == args
    assert task.payload["input"] == value_text(args[0])


PLAIN = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5),
        st.binary(max_size=5),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(st.integers(), st.text(max_size=3)), inner, max_size=3),
        st.sets(st.one_of(st.integers(), st.text(max_size=3)), max_size=3),
    ),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(PLAIN, min_size=1, max_size=3))
def test_arguments_survive_their_text(args: list[object]) -> None:
    assert parse_arguments(arguments_text(args), len(args)) == tuple(args)


@settings(max_examples=200, deadline=None)
@given(PLAIN, PLAIN)
def test_same_value_is_python_equality(a: object, b: object) -> None:
    assert same_value(value_text(a), value_text(a))
    assert same_value(value_text(a), value_text(b)) == (a == b)
    assert not same_value(value_text(a), "nonsense")


def test_values_without_literal_are_refused() -> None:
    with pytest.raises(ValueError, match="function has no literal"):
        value_text(value_text)


def _valid_texts(style: str, count: int) -> list[str]:
    rng = Random(5)
    texts = []
    for index in range(count):
        program, args = generate_program(1 + index % 5, rng)
        texts.append(proposal_text(STYLES[style], program.source, arguments_text(args)))
    return [*texts, proposal_text(STYLES[style], IDENTITY, *SIX)]


TEXTS = {style: _valid_texts(style, 10) for style in STYLES}
KINDS = st.sampled_from(["code_o", "code_i", "code_f"])


@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.parametrize("style", STYLES)
def test_validate_never_raises(sandbox: Sandbox, style: str, data: st.DataObject) -> None:
    environment = make_code(sandbox, style)
    base = Task("t", "code", "code_o", {"program": PAIR, "arity": 2, "input": "", "output": ""})
    pairs = data.draw(st.lists(st.tuples(KINDS, damaged(TEXTS[style])), max_size=6))
    made = environment.validate([draft(kind, text, base) for kind, text in pairs])
    assert len(made) == len(pairs)
    for item in made:
        if isinstance(item, Rejection):
            assert item.reason in {*MALFORMED_REASONS, *WELL_FORMED_REASONS}
        else:
            assert Archive(1, environment).cell(item)
            assert environment.prompt(item)[0].content


def test_generated_programs_validate_to_what_cpython_says(styled: CodeEnvironment) -> None:
    rng = Random(11)
    made = [generate_program(1 + index % 5, rng) for index in range(100)]
    texts = [proposal_text(styled.style, p.source, arguments_text(args)) for p, args in made]
    tasks = styled.validate([draft("code_o", text) for text in texts])
    for (program, args), task in zip(made, tasks, strict=True):
        assert isinstance(task, Task), task
        assert task.payload["program"] == program.source
        assert task.payload["output"] == repr(cpython(program.source, args))


@pytest.mark.parametrize("kind", ["code_o", "code_i"])
def test_a_task_written_as_a_proposal_is_that_task(styled: CodeEnvironment, kind: str) -> None:
    for seed in range(12):
        task = styled.maker.draw(kind, 1 + seed % 5, Random(seed)).task()
        text = styled.proposal(task)
        assert text is not None
        made = only(styled.validate([draft(kind, text)]))
        assert made.id == task.id if isinstance(made, Task) else made.reason == "constant"


def test_the_program_of_code_f_is_not_the_teachers_to_write(environment: CodeEnvironment) -> None:
    task = environment.maker.draw("code_f", 1, Random(0)).task()
    assert environment.proposal(task) is None
