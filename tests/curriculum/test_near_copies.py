"""Normal forms under renaming, and the index of near copies against a slow model."""

import ast
from collections import Counter
from collections.abc import Mapping
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redqueen.curriculum.archive import Archive
from redqueen.curriculum.near_copies import CopyIndex
from redqueen.environments.base import Fingerprint
from redqueen.environments.code.environment import CodeEnvironment
from redqueen.environments.code.generator import generate_program
from redqueen.environments.code.normal_form import normal_form
from redqueen.types import Task
from tests.code_cases import FakeSandbox, make_code, make_task, value

WORDS = ("total", "item", "xs", "left", "acc", "value", "n", "key", "k2", "out", "tmp", "best")


class Rename(ast.NodeTransformer):
    """Another name for every name that a generated program binds."""

    def __init__(self, names: Mapping[str, str]):
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.names.get(node.id, node.id), node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(self.names.get(node.arg, node.arg))


def renamed(source: str, rng: Random) -> str:
    tree = ast.parse(source)
    bound = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and not _loads(n)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    names = dict(zip(sorted(bound), rng.sample([*WORDS, *(f"v{i}" for i in range(20))],
                                               len(bound)), strict=True))  # fmt: skip
    return ast.unparse(Rename(names).visit(tree))


def _loads(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)


def form(source: str, keep: bool = True) -> str:
    return normal_form(ast.parse(source), keep)


def test_renamed_programs_have_one_form_and_others_another() -> None:
    rng = Random(3)
    sources = {generate_program(1 + index % 5, rng)[0].source for index in range(200)}
    forms: dict[str, str] = {}
    for source in sources:
        again = renamed(source, rng)
        assert again != source
        assert form(again) == form(source)
        forms.setdefault(form(source), source)
    # Programs of one form are renamings of each other: equal once names are numbered by a scan.
    for source in sources:
        assert scan(source) == scan(forms[form(source)])


def scan(source: str) -> str:
    """Names numbered by a scan over the text (generated names are one letter, not in quotes)."""
    numbers: dict[str, str] = {}
    out = []
    parts = source.replace("f(", "F(").split("'")
    for index, part in enumerate(parts):
        if index % 2:
            out.append(part)
            continue
        for word in _words(part):
            bound = len(word) == 1 and word.isalpha() and word.islower()
            out.append(numbers.setdefault(word, f"${len(numbers)}") if bound else word)
    return "".join(out)


def _words(text: str) -> list[str]:
    words: list[str] = []
    for char in text:
        if char.isalnum() and words and words[-1][-1].isalnum():
            words[-1] += char
        else:
            words.append(char)
    return words


BASE = "def f(a, b):\n    c = a + 1\n    return [x * c for x in b if x != 'a']"
SAME = {
    "names": "def f(p, q):\n    r = p + 1\n    return [s * r for s in q if s != 'a']",
    "swapped names": "def f(b, a):\n    c = b + 1\n    return [x * c for x in a if x != 'a']",
    "docstring": BASE.replace("    c =", "    '''text'''\n    c ="),
    "annotations": BASE.replace("a, b)", "a: int, b: list) -> list").replace("c =", "c ="),
}
OTHER = {
    "constant": BASE.replace("+ 1", "+ 2"),
    "text": BASE.replace("'a'", "'b'"),
    "operator": BASE.replace("a + 1", "a - 1"),
    "operands": BASE.replace("x * c", "c * x"),
    "order of parameters": BASE.replace("a, b", "b, a"),
    "another name": BASE.replace("x * c", "x * a"),
    "type of a constant": BASE.replace("+ 1", "+ 1.0"),
    "builtin": BASE.replace("a + 1", "max(a)"),
}


@pytest.mark.parametrize("name", SAME)
def test_names_docstrings_and_annotations_do_not_matter(name: str) -> None:
    assert SAME[name] != BASE
    assert form(SAME[name]) == form(BASE)


@pytest.mark.parametrize("name", OTHER)
def test_everything_else_matters(name: str) -> None:
    assert OTHER[name] != BASE
    assert form(OTHER[name]) != form(BASE)
    assert (form(OTHER[name], False) == form(BASE, False)) == (name in ("constant", "text"))


def cases(first: str, *rest: str) -> str:
    return f"def f({first}):\n    match {first}:\n" + "\n".join(f"        {line}" for line in rest)


PAIRS = [
    ("def f(a):\n    return max(a)", "def f(a):\n    return min(a)", False),
    ("def f(a):\n    return a.lower()", "def f(a):\n    return a.upper()", False),
    ("import math\ndef f(a):\n    return math.pi",
     "import math\ndef f(a):\n    return math.e", False),
    ("import math as m\ndef f(a):\n    return m.e",
     "import math as k\ndef f(b):\n    return k.e", True),
    ("from math import pi as p\ndef f(a):\n    return p",
     "from math import e as p\ndef f(a):\n    return p", False),
    ("def g(x):\n    return x\ndef f(a):\n    return g(x=a)",
     "def h(y):\n    return y\ndef f(a):\n    return h(y=a)", True),
    ("def f(a):\n    return f(a - 1)", "def f(a):\n    return g(a - 1)", False),
    (cases("a", "case [x, *y]:", "    return x", "case {**z}:", "    return z"),
     cases("b", "case [p, *q]:", "    return p", "case {**r}:", "    return r"), True),
    (cases("a", "case [x, *y]:", "    return x"),
     cases("b", "case [p, *q]:", "    return q"), False),
    ("def f(a):\n    try:\n        return a\n    except KeyError as e:\n        return e",
     "def f(a):\n    try:\n        return a\n    except KeyError as b:\n        return b", True),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right", "same"), PAIRS)
def test_forms_of_what_generated_programs_lack(left: str, right: str, same: bool) -> None:
    assert (form(left) == form(right)) is same


def test_the_form_leaves_the_tree_as_it_was() -> None:
    tree = ast.parse(BASE)
    before = ast.dump(tree)
    normal_form(tree, keep_constants=False)
    assert ast.dump(tree) == before


DOUBLE, TWICE = "def f(a):\n    return a * 2", "def f(z):\n    return z * 2"


def test_forms_of_tasks(environment: CodeEnvironment) -> None:
    first = environment.fingerprint(make_task(environment, "code_o", DOUBLE, "1"))
    assert environment.fingerprint(make_task(environment, "code_o", TWICE, " 1 ")) == first
    other_input = environment.fingerprint(make_task(environment, "code_o", TWICE, "2"))
    assert (other_input.family, other_input.task == first.task) == (first.family, False)
    other_kind = environment.fingerprint(make_task(environment, "code_i", DOUBLE, "1"))
    assert other_kind.family != first.family
    assert other_kind.task != first.task


def test_the_order_of_a_code_f_tasks_inputs_and_its_message_do_not_matter(
    environment: CodeEnvironment,
) -> None:
    task = make_task(environment, "code_f", DOUBLE, *"123456")
    again = make_task(environment, "code_f", TWICE, *"634521")
    assert task.id != again.id
    assert environment.fingerprint(task) == environment.fingerprint(again)
    assert environment.fingerprint(task).family is None
    assert environment.fingerprint(
        make_task(environment, "code_f", DOUBLE, *"123457")
    ) != environment.fingerprint(task)


def test_constants_can_be_left_out(environment: CodeEnvironment) -> None:
    loose = make_code(FakeSandbox(lambda call, n: value("1")), near_copy_constants=False)
    first = make_task(environment, "code_o", DOUBLE, "1")
    second = make_task(environment, "code_o", DOUBLE.replace("2", "3"), "1")
    assert environment.fingerprint(first).family != environment.fingerprint(second).family
    assert loose.fingerprint(first) == loose.fingerprint(second)


def toy(number: int) -> Task:
    """Tasks 0 to 29: ten programs, with three forms each; two ids to a form."""
    return Task(f"t{number}", "code", "code_o", {"n": number})


def toy_fingerprint(task: Task) -> Fingerprint:
    number = int(task.payload["n"]) // 2
    return Fingerprint(str(number), None if number % 5 == 0 else f"family {number % 5}")


moves = st.lists(
    st.one_of(st.integers(0, 29), st.frozensets(st.integers(0, 29), max_size=12)), max_size=12
)


FORMS = [toy_fingerprint(toy(number)) for number in range(30)]


@given(moves, st.integers(0, 3))
def test_the_index_is_what_the_tasks_say(plan: list[int | frozenset[int]], repeats: int) -> None:
    index = CopyIndex(toy_fingerprint, repeats)
    model: set[int] = set()
    for move in plan:
        if isinstance(move, frozenset):
            index.follow({toy(n).id: toy(n) for n in move})
            model = set(move)
        else:
            index.add(toy(move))
            model.add(move)
        assert len(index) == len(model)
        there = {FORMS[n].task for n in model}
        families = Counter(FORMS[n].family for n in model)
        for number, form in enumerate(FORMS):
            full = form.family is not None and families[form.family] >= repeats
            assert index.is_copy(toy(number)) == (form.task in there or full)


def test_an_index_made_from_a_restored_archive_is_the_same(environment: CodeEnvironment) -> None:
    archive = Archive(20, environment)
    index = CopyIndex(environment.fingerprint, 1)
    tasks = environment.sources["seed"].tasks(60, seed=3)
    for begin in range(0, 60, 10):
        archive.add(tasks[begin : begin + 10])
        index.follow(archive.tasks)
    again = Archive(20, environment)
    again.restore(archive.state())
    fresh = CopyIndex(environment.fingerprint, 1)
    fresh.follow(again.tasks)
    known = [index.is_copy(task) for task in tasks]
    assert known == [fresh.is_copy(task) for task in tasks]
    assert all(index.is_copy(task) for task in archive.tasks.values())
    assert not all(known)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("def f(a):\n    b = a + 1\n    return b", "def f(x):\n    y = x + 1\n    return y", True),
        ("def f(a):\n    return len(a)", "def f(len):\n    return len(len)", False),
        ("def f(a):\n    return len(a)", "def f(a):\n    return sum(a)", False),
        ("def f(a):\n    return a + 1", "def f(a):\n    return a + 2", False),
        ("def f(a, b):\n    return a - b", "def f(b, a):\n    return b - a", True),
        ("def f(a, b):\n    return a - b", "def f(a, b):\n    return b - a", False),
        ("def f(a: int) -> int:\n    'Doc.'\n    return a", "def f(g):\n    return (g)", True),
        ("def f(a):\n    return [v for v in a]", "def f(v):\n    return [a for a in v]", True),
        ("def f(a):\n    return f(a)", "def f(a):\n    return a(a)", False),
    ],
)
def test_programs_that_are_alike_up_to_names(left: str, right: str, same: bool) -> None:
    assert (form(left) == form(right)) is same
