"""Each guard with tasks that must fall, and near misses that must pass."""

import ast
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from redqueen.environments.code import Code
from redqueen.environments.code.guards import has_huge_constant, passes_through
from redqueen.environments.code.lookup import paths_of
from redqueen.sandbox import Outcome, OutcomeKind, Sandbox
from redqueen.types import Rejection, Task
from tests.code_cases import STYLES, FakeSandbox, draft, make_code, only, proposal_text, value


def settle(
    sandbox: Sandbox, guards: Sequence[str], kind: str, program: str, *inputs: str, hint: str = "h"
) -> str:
    """`valid`, or the reason for which a proposal is turned down."""
    environment = make_code(sandbox, "instruct", guards=tuple(guards))
    base = Task("t", "code", "code_o", {"program": program, "arity": 1, "input": "", "output": ""})
    text = proposal_text(STYLES["instruct"], program, *inputs, message=hint)
    made = only(environment.validate([draft(kind, text, base if kind == "code_f" else None)]))
    return made.reason if isinstance(made, Rejection) else "valid"


def body(*lines: str) -> str:
    return "\n".join(["def f(a):", *(f"    {line}" for line in lines)])


LONG = "abcdefghijklmnopqrstuvwxyz" * 2
HUGE = {
    "int": (body("return a + 1000001"), "1"),
    "negative": (body("return a + -1000001"), "1"),
    "float": (body("return a * 2e6"), "1"),
    "complex": (body("return a * 5e9j"), "1"),
    "power": (body("return a % 9 ** 20"), "1"),
    "power of a power": (body("return a % 9 ** 9 ** 9"), "1"),
    "shift": (body("return a + (1 << 40)"), "1"),
    "shift far": (body("return (1 << 99999999999) > a"), "1"),
    "product": (body("return a + 1000 * 1000 * 1000"), "1"),
    "text": (body(f"return a + '{LONG}{'1' * 13}'"), "'a'"),
    "text in an f-string": (body(f"return f'{LONG}{'1' * 13}{{a}}'"), "1"),
    "in a table": (body("return [1, (2, 3000000)][a][0]"), "1"),
    "in a default": (f"def g(x=7777777):\n    return x\n{body('return g() - a')}", "1"),
    "input": (body("return a % 7"), "1000001"),
    "nested input": (body("return len(a)"), "[(1, {'k': -2000000})]"),
    "key of an input": (body("return len(a)"), "{2000000: 1}"),
    "text as an input": (body("return len(a)"), f"'{LONG}{'1' * 13}'"),
    "bytes as an input": (body("return len(a)"), f"b'{LONG}{'1' * 13}'"),
}
NOT_HUGE = {
    "int": (body("return a + 1000000"), "1"),
    "float": (body("return a * 1e6"), "1"),
    "long fraction": (body("return a * 3.141592653589793"), "1"),
    "infinity": (body("return min(a[0], 1e999)"), "[1, 1e999]"),
    "power": (body("return a % 10 ** 6"), "1"),
    "power of the input": (body("return (a ** 50) % 7"), "3"),
    "shift": (body("return a + (1 << 19)"), "1"),
    "product of names": (body("b = 999999", "return (a * b * b) % 7"), "3"),
    "repeated text": (body("return len('ab' * 1000) - a"), "1"),
    "text": (body(f"return a + '{LONG}{'1' * 12}'"), "'a'"),
    "docstring": (body(f"'''{LONG * 3}'''", "return a + 1"), "1"),
    "input": (body("return a % 7"), "-1000000"),
}


@pytest.mark.parametrize("name", HUGE)
def test_huge_constants_fall(sandbox: Sandbox, name: str) -> None:
    assert settle(sandbox, ["huge_constant"], "code_o", *HUGE[name]) == "huge_constant"


@pytest.mark.parametrize("name", NOT_HUGE)
def test_constants_of_a_usual_size_pass(sandbox: Sandbox, name: str) -> None:
    assert settle(sandbox, ["huge_constant"], "code_o", *NOT_HUGE[name]) == "valid"


def test_every_input_of_a_code_f_task_is_measured(sandbox: Sandbox) -> None:
    inputs = ["1", "2", "3", "4", "5", "1000001"]
    program = body("return a * 2")
    assert settle(sandbox, ["huge_constant"], "code_f", program, *inputs) == "huge_constant"
    assert settle(sandbox, ["leak"], "code_f", program, *inputs) == "valid"


NUMBERS = st.recursive(
    st.integers(1, 2000).map(str),
    lambda inner: st.tuples(inner, st.sampled_from(["*", "**", "<<"]), inner).map(
        lambda item: f"({item[0]} {item[1]} {item[2]})"
    ),
    max_leaves=3,
)


def exact(node: ast.expr) -> int:
    """The value of a product, power or shift of positive integers, capped far above any bound."""
    if isinstance(node, ast.Constant):
        return int(node.value)
    assert isinstance(node, ast.BinOp)
    left, right = exact(node.left), exact(node.right)
    if isinstance(node.op, ast.Mult):
        return min(left * right, 10**40)
    if isinstance(node.op, ast.LShift):
        return min(left << min(right, 200), 10**40)
    return min(left ** min(right, 200), 10**40)


@settings(max_examples=200, deadline=None)
@given(NUMBERS)
@example("10 ** 6")
@example("1000 * 1001")
def test_products_powers_and_shifts_count_by_their_value(text: str) -> None:
    tree = ast.parse(body(f"return {text}"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Constant | ast.BinOp)]
    assert has_huge_constant(tree, [], 10**6, 64) == any(exact(node) > 10**6 for node in nodes)


# name: (kind, program, input)
NUMBERED = "[12, 25, 31, 44, 5]"  # 19 characters
LEAKS = {
    "literal": ("code_o", body("return 7"), "3"),
    "literal list": ("code_i", body("return [1, (2, 'x')]"), "3"),
    "literal through a name": ("code_o", body("b = 7", "return b"), "3"),
    "nothing": ("code_o", body("a + 1", "return"), "3"),
    "parameter": ("code_o", body("return a"), "3"),
    "parameter, to be found": ("code_i", body("return a"), "3"),
    "second parameter": ("code_o", "def f(a, b):\n    return b", "3, 4"),
    "parameter through names": ("code_o", body("b = a", "c = b", "return c"), "[2, 1]"),
    "code around it": ("code_o", body("b = [x * x for x in a]", "b.sort()", "return a"), "[2, 1]"),
    "branches around it": ("code_o", body("b = 1", "if a > 2:", "    b = 3", "return a"), "3"),
    "answer in the program":
        ("code_o", body(f"b = {NUMBERED}", "return b if a > 2 else [a]"), "3"),
    "answer in a docstring":
        ("code_o", body("'''f(3) is [3, 6, 9, 12, 15, 18]'''",
                        "return [a * i for i in range(1, 7)]"), "3"),
    "answer in the input": ("code_o", body("return a[1]"), f"[1, {NUMBERED}]"),
    "text in the input": ("code_o", body("return a[0]"), "('a longer answer', 'b')"),
    "input in the output": ("code_i", body("return [len(a), a]"), NUMBERED),
    "both arguments in the output":
        ("code_i", "def f(a, b):\n    return (b, a)", f"{NUMBERED}, 'some text'"),
    "input in the program": ("code_i", body(f"return a == {NUMBERED}"), NUMBERED),
}  # fmt: skip
NO_LEAKS = {
    "small output in the input": ("code_o", body("return max(a)"), "[1, 9, 3]"),
    "short text in the input": ("code_o", body("return a[1:-1]"), "'xabcx'"),
    "fifteen characters": ("code_o", body("return a[1]"), "[1, [10, 20, 30, 4]]"),
    "small input in the output": ("code_i", body("return [a, a + 1]"), "3"),
    "sorted input": ("code_o", body("return sorted(a)"), "[1, 2, 3]"),
    "one of two by a test": ("code_o", "def f(a, b):\n    return a if a > b else b", "9, 2"),
    "one of two by two returns":
        ("code_o", "def f(a, b):\n    if a > b:\n        return a\n    return b", "9, 2"),
    "bound again": ("code_o", body("a = a + 1", "return a"), "3"),
    "bound by a loop": ("code_o", body("for a in a:", "    pass", "return a"), "[1, 2]"),
    "counted up": ("code_o", body("a += 0", "return a"), "3"),
    "sorted in place": ("code_o", body("a.sort()", "return a"), "[1, 2, 3]"),
    "item set": ("code_o", body("a[0] = 1", "return a"), "[1, 2]"),
    "inner item set": ("code_o", body("a[0][1] = 2", "return a"), "[[1, 2]]"),
    "helper changes it":
        ("code_o", "def g(x):\n    x.append(1)\n    x.pop()\n" + body("g(a)", "return a"), "[2]"),
    "inner function's return":
        ("code_o", body("def g(x):", "    return x * 2", "return g(a)"), "3"),
    "list filled in a loop":
        ("code_o", body("b = []", "for x in a:", "    b.append(x)", "return b"), "[1, 2]"),
    "long answer that must be put together": ("code_o", body("return a[::-1]"), NUMBERED),
    "long input whose image is shown": ("code_i", body("return a[::-1]"), NUMBERED),
    "one argument shown, one not":
        ("code_i", "def f(a, b):\n    return [a, b * 2]", f"{NUMBERED}, 7777"),
}  # fmt: skip


@pytest.mark.parametrize("name", LEAKS)
def test_leaks_fall(sandbox: Sandbox, name: str) -> None:
    assert settle(sandbox, ["leak"], *LEAKS[name]) == "leak"
    assert settle(sandbox, [], *LEAKS[name]) == "valid"


@pytest.mark.parametrize("name", NO_LEAKS)
def test_what_only_looks_like_a_leak_passes(sandbox: Sandbox, name: str) -> None:
    assert settle(sandbox, ["leak"], *NO_LEAKS[name]) == "valid"


DOUBLE = body("b = a * 2", "return b + 100")


@pytest.mark.parametrize(
    ("inputs", "hint", "reason"),
    [
        (["1", "2", "3", "4", "5", "6"], "double, add", "valid"),
        (["1", "2", "3", "4", "5", "1.0"], "double, add", "leak"),
        (["1", "2", "3", "4", "5", "True"], "double, add", "leak"),
        (["1", "2", "3", "4", "5", "4.0"], "double, add", "valid"),  # twice hidden
        (["1", "2", "3", "4", "5", "'1'"], "double, add", "exception"),
        (["1", "2", "3", "4", "5", "6"], "It does b=a*2  then\nreturn b + 100.", "valid"),
        (["1", "2", "3", "4", "5", "6"], "It does b=a*2\nreturn  b + 100.", "leak"),
    ],
)
def test_leaks_of_code_f(sandbox: Sandbox, inputs: list[str], hint: str, reason: str) -> None:
    assert settle(sandbox, ["leak"], "code_f", DOUBLE, *inputs, hint=hint) == reason


def test_a_message_may_quote_a_short_program(sandbox: Sandbox) -> None:
    inputs = ["1", "2", "3", "4", "5", "6"]
    program = body("return a + 1")
    assert settle(sandbox, ["leak"], "code_f", program, *inputs, hint="return a+1") == "valid"


def test_passing_through_survives_a_circle_of_names() -> None:
    assert passes_through(ast.parse(body("b = c", "c = b", "return b"))) is None


TABLES = {
    "chain": body("if a == 1:", "    return 5", "if a == 2:", "    return 9", "if a == 3:",
                  "    return 2", "return 0"),
    "elif": body("if a == 'x':", "    return 1", "elif 'y' == a:", "    return 4",
                 "elif a in ('z', 'w'):", "    return 7", "else:", "    return a"),
    "bound name": body("if a == 1:", "    b = 5", "elif a == 2:", "    b = 9", "elif a == 3:",
                       "    b = 1", "else:", "    b = 0", "return b"),
    "dict": body("return {1: 5, 2: 9, 3: 2}[a]"),
    "dict with a default": body("b = {1: 5, 2: 9, 3: 2}", "return b.get(a, 0)"),
    "dict through a name": body("b = {1: 5, 2: 9, 3: 2}", "c = b[a]", "return c"),
    "list": body("return [4, 8, 1, 5][a]"),
    "conditional expression":
        body("return 5 if a == 1 else 9 if a == 2 else 2 if a == 3 else 0"),
    "match": body("match a:", "    case 1:", "        return 5", "    case 2 | 4:",
                  "        return 9", "    case 3:", "        return 2", "    case _:",
                  "        return 0"),
    "two parameters": body("if a == 1 and b == 2:", "    return 5", "if a == 2 and b == 2:",
                           "    return 7", "if a == 3:", "    return 1",
                           "return 0").replace("a)", "a, b)"),
    "many entries and one computed": body(*(f"if a == {n}:\n        return {n * n % 7}"
                                            for n in range(5)), "return a + 1"),
}  # fmt: skip
NO_TABLES = {
    "base cases": body("if a == 0:", "    return 0", "if a == 1:", "    return 0", "if a == 2:",
                       "    return 1", "return f(a - 1) + f(a - 2) + f(a - 3)"),
    "two entries": body("if a == 1:", "    return 5", "if a == 2:", "    return 9", "return 0"),
    "grades": body("if a > 90:", "    return 'A'", "if a > 80:", "    return 'B'", "if a > 70:",
                   "    return 'C'", "return 'D'"),
    "remainders": body("if a % 3 == 0:", "    return 'x'", "if a % 5 == 0:", "    return 'y'",
                       "if a % 7 == 0:", "    return 'z'", "return 'w'"),
    "computed key": body("return {0: 5, 1: 9, 2: 2}[a % 3]"),
    "roman numerals": body("b = {'i': 1, 'v': 5, 'x': 10}", "c = 0", "for d in a:", "    c += b[d]",
                           "return c"),
    "entry used further": body("b = {1: 5, 2: 9, 3: 2}[a]", "return b * a"),
    "computed values": body("return {1: a + 1, 2: a * 2, 3: a - 1}[a]"),
    "computed after a comparison": body("if a == 1:", "    return a + 1", "if a == 2:",
                                        "    return a * 7", "if a == 3:", "    return -a",
                                        "return 0"),
    "loop with exits": body("for b in [1, 2, 3]:", "    if a == b:", "        return 5",
                            "    if a == b + 1:", "        return 6", "return 7"),
    "match on shape": body("match a:", "    case [1, b]:", "        return 5", "    case [2]:",
                           "        return 9", "    case []:", "        return 2", "    case _:",
                           "        return 0"),
    "counter": body("b = 0", "if a == 1:", "    b = 1", "if a == 2:", "    b = 2", "if a == 3:",
                    "    b = 4", "b += a", "return b"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["code_o", "code_i"])
@pytest.mark.parametrize("name", TABLES)
def test_tables_fall(sandbox: Sandbox, name: str, kind: str) -> None:
    given_input = {"elif": "'y'", "two parameters": "2, 2"}.get(name, "2")
    assert settle(sandbox, ["lookup"], kind, TABLES[name], given_input) == "lookup"
    assert settle(sandbox, [], kind, TABLES[name], given_input) == "valid"


@pytest.mark.parametrize("name", NO_TABLES)
def test_what_only_looks_like_a_table_passes(sandbox: Sandbox, name: str) -> None:
    given_input = {"roman numerals": "'xvi'", "match on shape": "[2]"}.get(name, "3")
    assert settle(sandbox, ["lookup"], "code_o", NO_TABLES[name], given_input) == "valid"


def test_paths_are_counted() -> None:
    paths = paths_of(ast.parse(TABLES["many entries and one computed"]))
    assert (len(paths.keys), paths.defaults, paths.computed) == (5, 0, 1)
    paths = paths_of(ast.parse(TABLES["elif"]))
    assert paths.keys == (("x",), ("y",), ("z", "w"))
    assert (paths.defaults, paths.computed) == (1, 0)


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        (["9", "8", "7", "0", "1", "6"], "lookup"),  # two of three hidden ones are base cases
        (["9", "8", "7", "0", "5", "6"], "valid"),  # one of three
        (["0", "1", "2", "7", "5", "6"], "valid"),  # shown, not hidden
    ],
)
def test_hidden_entries_of_code_f_fall(sandbox: Sandbox, inputs: list[str], reason: str) -> None:
    program = NO_TABLES["base cases"]
    assert settle(sandbox, ["lookup"], "code_f", program, *inputs) == reason


UNMOVED = {
    "difference": (body("b = a + 4", "return b - a"), "3"),
    "length of a pair": (body("return len([a, a])"), "'x'"),
    "product with zero": (body("return [x * 0 for x in range(len(a) - len(a) + 3)]"), "[1, 2]"),
    "absent key": (body("return a.get('zz', 0)"), "{'a': 1}"),
    "literal": (body("return 7"), "[3]"),
    "equal to Python": (body("return 1 if a == a else 1.0"), "3"),
}
MOVED = {
    "far threshold": (body("return a > 9"), "3"),
    "sign": (body("return a < 0"), "9"),
    "one of two arguments": ("def f(a, b):\n    return b + 1", "3, 4"),
    "last item": (body("return a[-1] > 5"), "[1, 2, 3]"),
    "membership": (body("return 3 in a"), "[1, 2]"),
    "length of a dict": (body("return len(a)"), "{'a': 1, 'b': 2}"),
    "fails elsewhere": (body("return {3: 1}[a]"), "3"),
    "only None fits": (body("return a is None"), "None"),
}


@pytest.mark.parametrize("kind", ["code_o", "code_i"])
@pytest.mark.parametrize("name", UNMOVED)
def test_constant_functions_fall(sandbox: Sandbox, name: str, kind: str) -> None:
    assert settle(sandbox, ["constant"], kind, *UNMOVED[name]) == "constant"
    assert settle(sandbox, [], kind, *UNMOVED[name]) == "valid"


@pytest.mark.parametrize("name", MOVED)
def test_functions_of_their_input_pass(sandbox: Sandbox, name: str) -> None:
    assert settle(sandbox, ["constant"], "code_o", *MOVED[name]) == "valid"


ECHOED = {
    "passed on": (body("b = a[:]", "return b"), "[1]"),
    "already there": (body("return sorted(a)"), "[2, 1]"),
    "equal to Python": (body("return abs(a) * 1.0"), "-2"),
    "of two arguments": ("def f(a, b):\n    return max(a, b)", "3, 4"),
    "another type": (body("return str(a)"), "3"),
    "no alias": ("def f(a, b):\n    a.append(0)\n    return b", "[], [5]"),
}
SILENT = {
    "moved": (body("return a + 1"), "3"),
    "cannot be put in": (body("return a.upper().split()"), "'ab'"),
    "its own type alone": (body("return len(a)"), "[1]"),
    "runs on": (body("while a != 8:", "    a *= 2", "return a - 9"), "4"),
}


@pytest.mark.parametrize("name", ECHOED)
def test_outputs_that_are_answers_fall(sandbox: Sandbox, name: str) -> None:
    assert settle(sandbox, ["echo"], "code_i", *ECHOED[name]) == "echo"
    assert settle(sandbox, ["echo"], "code_o", *ECHOED[name]) == "valid"
    assert settle(sandbox, [], "code_i", *ECHOED[name]) == "valid"


@pytest.mark.parametrize("name", SILENT)
def test_outputs_that_are_no_answers_pass(sandbox: Sandbox, name: str) -> None:
    assert settle(sandbox, ["echo"], "code_i", *SILENT[name]) == "valid"


def test_a_sandbox_that_fails_on_an_echo_says_nothing_of_the_task() -> None:
    broken = Outcome(OutcomeKind.INFRA_ERROR, message="gone")
    fake = FakeSandbox(lambda call, n: value("8") if n < 2 else broken)
    assert settle(fake, ["echo"], "code_i", *SILENT["moved"]) == "infra_error"


def test_all_guards_are_on_by_default_and_named_once() -> None:
    config = Code()
    assert set(config.guards) == {"huge_constant", "leak", "constant", "lookup", "echo"}
    with pytest.raises(ValueError, match="twice"):
        Code(guards=("leak", "leak"))


def test_guards_before_the_run_save_the_run() -> None:
    fake = FakeSandbox(lambda call, n: value("1"))
    environment = make_code(fake, "compact")
    for program, text in (*HUGE.values(), (TABLES["dict"], "1")):
        made = only(environment.validate([draft("code_o", f"{program}\n<input>\n{text}")]))
        assert isinstance(made, Rejection)
        assert not made.malformed
    assert fake.calls == []


def test_limits_are_configured(sandbox: Sandbox) -> None:
    program, text = body("return a[1] + 50"), "[1, 200]"
    tight = {"max_constant": 100}, {"max_constant": 49}
    assert [_reason(sandbox, c, program, text) for c in tight] == ["huge_constant"] * 2
    assert _reason(sandbox, {"max_constant": 200}, program, text) == "valid"
    program, text = body("return a[0]"), "['abc', 2]"
    assert _reason(sandbox, {"leak_chars": 5}, program, text) == "leak"
    assert _reason(sandbox, {"leak_chars": 6}, program, text) == "valid"
    assert _reason(sandbox, {"max_constant_chars": 2}, program, text) == "huge_constant"


def _reason(sandbox: Sandbox, keys: dict[str, int], program: str, text: str) -> str:
    environment = make_code(sandbox, "instruct", **keys)
    made = only(
        environment.validate([draft("code_o", proposal_text(STYLES["instruct"], program, text))])
    )
    return made.reason if isinstance(made, Rejection) else "valid"
