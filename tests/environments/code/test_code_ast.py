"""The policy and the features, against tables worked out by hand."""

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redqueen.environments.code.analysis import (
    MAX_DEPTH,
    TYPES,
    Parsed,
    Runnable,
    cyclomatic,
    depth,
    features,
    is_one_function,
    parse_program,
    runnable,
    types_in,
)
from redqueen.sandbox import State

ALLOWED = {
    "plain": "def f(a, b):\n    return a + b",
    "positional only": "def f(a, /, b):\n    return a",
    "helper with defaults":
        "def g(x, y=[1], *z, k=2, **w):\n    return x\ndef f(a):\n    return g(a)",
    "nested function named f": "def f(a):\n    def f(x):\n        return x\n    return f(a)",
    "local variable named f": "def f(a):\n    f = 1\n    return f",
    "lambda with default": "def f(a):\n    return (lambda x, y=2: x + y)(a)",
    "walrus": "def f(a):\n    if (n := len(a)) > 2:\n        return n\n    return 0",
    "comprehensions": "def f(a):\n    return {x: {y for y in a if y} for x in a if x if not x > 3}",
    "f-string": "def f(a):\n    return f'{a!r:>{a}}'",
    "format on a literal": "def f(a):\n    return '{} {0:>{w}} {w!r}'.replace('0', '1').upper()",
    "plain format": "def f(a):\n    return '{:>5} {:{}} {{}}'.format(a, a, 3)",
    "named format": "def f(a):\n    return '{x_y}'.format(x_y=a)",
    "import": "import math\nfrom collections import Counter, deque as d\n"
    "def f(a):\n    return math.gcd(a, 3) + Counter(str(a))['1'] + d([a])[0]",
    "import inside": "def f(a):\n    import re as r\n    return r.sub('a', 'b', a)",
    "string constants": "import string\ndef f(a):\n    return string.ascii_lowercase[a]",
    "methods": "def f(a):\n    return a.strip().split(',').index('x') + {}.get(a, 0)",
    "try": "def f(a):\n    try:\n        return 1 // a\n    except ZeroDivisionError as e:\n"
    "        return e.args[0]",
    "match": "def f(a):\n    match a:\n        case [1, *rest]:\n            return rest\n"
    "        case int() | {'k': _}:\n            return 1\n        case _:\n            return 2",
    "recursion": "def f(a):\n    return 1 if a < 1 else a * f(a - 1)",
    "assert": "def f(a):\n    assert a\n    return a",
    "annotations": "def f(a: int) -> int:\n    b: list = [a]\n    return b[0]",
}  # fmt: skip

FORBIDDEN = {
    "import inside": "def f(a):\n    import random\n    return a",
    "star import": "from math import *\ndef f(a):\n    return sqrt(a)",
    "attribute walk through a module": "import re\ndef f(a):\n    return re.enum.sys.modules",
    "module out of collections": "import collections\ndef f(a):\n    return collections.abc.sys",
    "module under another name": "import re\ndef f(a):\n    r = re\n    return r.enum.sys",
    "module as an argument": "import re\ndef f(a):\n    return [x.enum for x in [re]]",
    "module through an alias": "import re as b\ndef f(a):\n    return b.enum",
    "module written to": "import math\ndef f(a):\n    math.pi = 3\n    return a",
    "open": "def f(a):\n    return open(a).read()",
    "print": "def f(a):\n    print(a)\n    return a",
    "input": "def f(a):\n    return input()",
    "eval": "def f(a):\n    return eval(a)",
    "exec": "def f(a):\n    exec(a)\n    return a",
    "compile": "def f(a):\n    return compile(a, '', 'eval')",
    "getattr": "def f(a):\n    return getattr(a, '__class__')",
    "getattr unused": "def f(a):\n    g = getattr\n    return a",
    "setattr": "def f(a):\n    setattr(f, 'x', a)\n    return a",
    "globals": "def f(a):\n    return globals()",
    "locals": "def f(a):\n    return locals()",
    "vars": "def f(a):\n    return vars()",
    "dir": "def f(a):\n    return dir(a)",
    "type": "def f(a):\n    return type(a)('1')",
    "three-argument type": "def f(a):\n    return type('X', (), {})",
    "object": "def f(a):\n    return object()",
    "super": "def f(a):\n    return super()",
    "hash": "def f(a):\n    return hash(a)",
    "id": "def f(a):\n    return id(a)",
    "license reads a file": "def f(a):\n    return license()",
    "__import__": "def f(a):\n    return __import__('os')",
    "__builtins__": "def f(a):\n    return __builtins__",
    "__name__": "def f(a):\n    return __name__",
    "dunder attribute": "def f(a):\n    return a.__class__",
    "private attribute": "def f(a):\n    return a._x",
    "attribute in an f-string": "def f(a):\n    return f'{a.__class__}'",
    "attribute in a nested spec": "def f(a):\n    return f'{a:{a.__doc__}}'",
    "frames of a generator": "def f(a):\n    return (x for x in a).gi_frame.f_builtins",
    "mro": "def f(a):\n    return int.mro()",
    "traceback": "def f(a):\n    return ValueError().with_traceback(None)",
    "state on the function": "def f(a):\n    f.calls = 1\n    return a",
    "format walk": "def f(a):\n    return '{0.__class__}'.format(a)",
    "format item walk": "def f(a):\n    return '{0[x]}'.format(a)",
    "format walk in a spec": "def f(a):\n    return '{0:{1.real}}'.format(a, a)",
    "format of a variable": "def f(a):\n    return a.format(a)",
    "format of a sum": "def f(a):\n    return ('{0.__cl' + 'ass__}').format(a)",
    "format by the type": "def f(a):\n    return str.format('{0.__class__}', a)",
    "format_map": "def f(a):\n    return '{a.__class__}'.format_map({'a': a})",
    "broken template": "def f(a):\n    return '{'.format(a)",
    "attribute through a pattern":
        "def f(a):\n    match a:\n        case int(__class__=c):\n            return c",
    "format through a pattern":
        "def f(a):\n    match a:\n        case str(format=g):\n            return g(a)",
    "class inside": "def f(a):\n    class X:\n        pass\n    return a",
    "decorated inner": "def f(a):\n    @max\n    def g(x):\n        return x\n    return a",
    "global": "def f(a):\n    global x\n    x = a\n    return x",
    "nonlocal": "def f(a):\n    def g():\n        nonlocal a\n        a = 1\n    g()\n    return a",
    "async comprehension": "def f(a):\n    return [x async for x in a]",
    "await": "def f(a):\n    return await a",
    "generator": "def f(a):\n    yield a",
    "yield in a lambda": "def f(a):\n    return list((lambda: (yield))())",
    "yield from": "def f(a):\n    yield from a",
    "with": "def f(a):\n    with a as b:\n        return b",
    "del": "def f(a):\n    del a",
    "statement at the top": "x = 1\ndef f(a):\n    return x",
    "import in use": "import os\ndef f(a):\n    return os.name",
    "submodule in use": "import os.path\ndef f(a):\n    return os.path.join(a)",
    "member in use": "from time import time\ndef f(a):\n    return time()",
    "private member in use": "from re import _compiler\ndef f(a):\n    return _compiler",
    "module's module in use": "from re import enum\ndef f(a):\n    return enum.sys",
    "class in use": "class X:\n    pass\ndef f(a):\n    return X()",
    "decorated helper in use":
        "def d(g):\n    return g\n@d\ndef h(x):\n    return x\ndef f(a):\n    return h(a)",
    "constant in use": "x = [1]\nx.append(2)\ndef f(a):\n    return x",
}  # fmt: skip

DROPPED = {
    "import": "import os\ndef f(a):\n    return a",
    "import submodule": "import os.path\ndef f(a):\n    return a",
    "import of a package member": "import collections.abc\ndef f(a):\n    return a",
    "from import": "from time import time\ndef f(a):\n    return a",
    "relative import": "from . import x\ndef f(a):\n    return a",
    "private member": "from re import _compiler\ndef f(a):\n    return a",
    "module out of a module": "from re import enum\ndef f(a):\n    return a",
    "update_wrapper": "from functools import update_wrapper\ndef f(a):\n    return a",
    "Formatter": "from string import Fingerprintatter\ndef f(a):\n    return a",
    "walrus in a default": "def f(a):\n    return a\ndef g(x=(f := max)):\n    return x",
    "walrus in an annotation": "def f(a):\n    return a\ndef g(x: (f := max)):\n    return x",
    "walrus in a comprehension default":
        "def f(a):\n    return a\ndef g(x=[f := max for _ in '1']):\n    return x",
    "class": "class X:\n    pass\ndef f(a):\n    return a",
    "decorated helper":
        "def d(g):\n    return g\n@d\ndef h(x):\n    return x\ndef f(a):\n    return a",
    "dunder function": "def __getattr__(n):\n    return n\ndef f(a):\n    return a",
    "async helper": "async def g(x):\n    return x\ndef f(a):\n    return a",
    "call at the top": "def f(a):\n    return a\nf(0)",
    "f replaced by a loop": "def f(a):\n    return a\nfor f in [max]:\n    pass",
    "text at the top": "'docstring'\ndef f(a):\n    return a",
    "test": "def f(a):\n    return a\nassert f(1) == 1",
    "example": "def f(a):\n    return a\na = [1]\nprint(f(a))",
    "main": "def f(a):\n    return a\nif __name__ == '__main__':\n    f(1)",
    "loop over tests": "def f(a):\n    return a\nfor x in [1]:\n    print(f(x))",
    "constant of another": "x = 1\ndef g():\n    return x\ndef f(a):\n    return a",
}  # fmt: skip
"""Programs of which `f` needs nothing but itself."""

NO_FUNCTION = {
    "f replaced at the top": "def f(a):\n    return a\nf = max",
    "import f over f": "def f(a):\n    return a\nimport math as f",
    "import as f": "from math import sqrt as f\ndef f(a):\n    return a",
    "empty": "",
    "blank": "  \n\n",
    "comment": "# def f(a): return a",
    "other name": "def g(a):\n    return a",
    "lambda": "f = lambda a: a",
    "class": "class f:\n    pass",
    "async": "async def f(a):\n    return a",
    "twice": "def f(a):\n    return 1\ndef f(a):\n    return 2",
    "hidden under if": "if True:\n    def f(a):\n        return a",
    "no argument": "def f():\n    return 1",
    "default": "def f(a, b=1):\n    return a",
    "star": "def f(*a):\n    return a",
    "keywords": "def f(a, **k):\n    return a",
    "keyword only": "def f(a, *, k):\n    return a",
    "keyword only with default": "def f(a, *, k=1):\n    return a",
    "decorated": "@max\ndef f(a):\n    return a",
}

SYNTAX_ERROR = [
    "def f(a) return a", "def f(a):", "def f(a):\nreturn a", "def f(a):\n    return 'x",
    "def f(a):\n    return a\n  x", "\x00", "def f(a):\n    return '\x00'", "\ud800",
    "def f(a):\n    return 0777", "def f(a):\n\treturn a\n        return b", "f(0); import os os",
]  # fmt: skip


@pytest.mark.parametrize("name", ALLOWED)
def test_allowed(name: str) -> None:
    parsed = parse_program(ALLOWED[name], 1200)
    assert isinstance(parsed, Parsed), parsed
    assert ast.dump(ast.parse(parsed.source)) == ast.dump(ast.parse(ALLOWED[name]))
    assert parse_program(parsed.source, 1200).source == parsed.source


@pytest.mark.parametrize("name", FORBIDDEN)
def test_forbidden(name: str) -> None:
    assert parse_program(FORBIDDEN[name], 1200) == "forbidden"


@pytest.mark.parametrize("name", DROPPED)
def test_what_f_does_not_need_is_left_out(name: str) -> None:
    parsed, program = parse_program(DROPPED[name], 1200), runnable(DROPPED[name], 1200)
    assert isinstance(parsed, Parsed), parsed
    assert isinstance(program, Runnable)
    assert parsed.source == program.source == "def f(a):\n    return a"


NEEDED = {
    "constant": "x = 2\ndef f(a):\n    return a * x",
    "table made in a loop": "t = []\nfor i in [1]:\n    t.append(i)\ndef f(a):\n    return t",
    "item set": "t = {}\nt[1] = 2\ndef f(a):\n    return t[a]",
    "call that changes": "t = [3, 1]\nt.sort()\ndef f(a):\n    return t[a]",
    "constant of a helper": "x = 2\ndef g(a):\n    return a * x\ndef f(a):\n    return g(a)",
    "class": "class A:\n    b = 2\ndef f(a):\n    return a * A.b",
    "typing": "from typing import List\ndef f(a: List[int]) -> int:\n    return sum(a)",
    "default": "def f(a, b=2):\n    return a * b",
    "lambda": "f = lambda a: a * 2",
    "last of two": "def f(a):\n    return 0\ndef f(a):\n    return a * 2",
    "future": "from __future__ import annotations\ndef f(a: B) -> C:\n    return a",
    "try to import": "try:\n    from math import prod\nexcept ImportError:\n    pass\n"
    "def f(a):\n    return prod(a)",
    "name of a local": "import math\ndef f(input):\n    id = math.prod(input)\n    return id",
}


@pytest.mark.parametrize("name", NEEDED)
def test_answers_keep_what_f_needs(name: str) -> None:
    program = runnable(NEEDED[name] + "\nassert f(1) == 3", 1200)
    assert isinstance(program, Runnable)
    assert program.source == ast.unparse(ast.parse(NEEDED[name]))


@pytest.mark.parametrize("name", NO_FUNCTION)
def test_no_function(name: str) -> None:
    assert parse_program(NO_FUNCTION[name], 1200) == "no_function"


@pytest.mark.parametrize("text", SYNTAX_ERROR)
def test_syntax_error(text: str) -> None:
    assert parse_program(text, 1200) == "syntax_error"


@pytest.mark.parametrize("text", ALLOWED.values(), ids=ALLOWED)
def test_what_runs_is_the_program_that_was_read(text: str) -> None:
    program, parsed = runnable(text, 1200), parse_program(text, 1200)
    assert isinstance(program, Runnable)
    assert isinstance(parsed, Parsed)
    assert ast.dump(ast.parse(program.source)) == ast.dump(parsed.tree)
    assert program.state is not State.INTERPRETER


KEEPS_NOTHING = {
    "one line": "def f(a): return a",
    "canonical": "def f(a, b):\n    c = [a]\n    return c + b",
    "blank lines": "def f(a):\n\n    return a\n\n",
    "positional only": "def f(a, /, b):\n    return a",
    "functions inside": "def f(a):\n    def g(b=[]):\n        return b\n    return g()",
    "text over lines": "def f(a):\n    return '''\n  a\n '''",
    "comment": "def f(a):  # import math\n    return a",
}
MAY_KEEP_SOMETHING = {
    "statement before": "import math\ndef f(a):\n    return math.pi",
    "statement after": "def f(a):\n    return a\ndef g(b=[]):\n    return b",
    "after a line continued": "def f(a): return \\\n  a\ndef g(b=[]): return b",
    "after a form feed": "def f(a): return a\n \fdef g(b=[]): return b",
    "text that begins a line": "def f(a):\n    return '''\na'''",
    "annotation": "def f(a: (b := [])):\n    return b",
    "name in a default inside": "def f(a):\n    return (lambda b=(m := a): b)()",
    "name in what is caught": "def f(a):\n    try:\n        return 1 // a\n"
    "    except (m := ZeroDivisionError):\n        return m",
    "annotated result": "def f(a) -> (b := []):\n    return b",
    "other letters": "def f(a):\n    return 'ä'",
    "tabs": "def f(a):\n\treturn a",
}


@pytest.mark.parametrize("text", KEEPS_NOTHING.values(), ids=KEEPS_NOTHING)
def test_a_function_alone_is_known(text: str) -> None:
    assert is_one_function(text)


@pytest.mark.parametrize("text", MAY_KEEP_SOMETHING.values(), ids=MAY_KEEP_SOMETHING)
def test_whatever_may_hold_more_than_one_function_is_not(text: str) -> None:
    assert not is_one_function(text)


HEADS = ["def f(a):", "def f(a, /):", "def f(a: [a]):", "def f(a: (b := [])):", "def f(a) -> []:"]
LINES = [
    " return a", " a = [a]", " if a: a = 1", " g = lambda b=[]: b", " '''", " 'a' \\", " (a,",
    " a)", " # c", "# c", "", " ", "\f", " \f", "\t", "\treturn a", "def g(b=[]): return b",
    " a; b = a", "import math", "x = []", "a", "'''", ";",
]  # fmt: skip


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(HEADS), st.lists(st.sampled_from(LINES), min_size=1, max_size=6))
def test_a_program_taken_for_one_function_is_one(head: str, lines: list[str]) -> None:
    text = "\n".join([head, *lines])
    parsed = parse_program(text, 1200)
    for program in (text, parsed.source) if isinstance(parsed, Parsed) else ():
        if is_one_function(program):
            [function] = parsed.tree.body
            assert isinstance(function, ast.FunctionDef)
            assert function.returns is None
            assert not any(arg.annotation for arg in function.args.args)


def test_arity_counts_all_positional_arguments() -> None:
    assert parse_program("def f(a, /, b, c):\n    return a", 1200).arity == 3


def test_length_limits_the_text_and_its_canonical_form() -> None:
    short = "def f(a):\n return a"
    formatted = "def f(a):\n    return a"
    assert parse_program(short, len(formatted)).source == formatted
    assert parse_program(short, len(formatted) - 1) == "too_long"
    assert parse_program("#" * 101, 100) == "too_long"


@pytest.mark.parametrize("count", [60, 400, 1100])
@pytest.mark.parametrize("shape", ["minus", "sum", "attribute", "lambda"])
def test_deep_trees_are_named(shape: str, count: int) -> None:
    body = {
        "minus": "-" * count + "1",
        "sum": "+".join("1" * count),
        "attribute": "a" + ".real" * count,
        "lambda": "lambda:" * count + "1",
    }[shape]
    assert parse_program(f"def f(a):\n    return {body}", 10_000) == "too_deep"


def test_the_deepest_tree_that_is_read_does_not_depend_on_the_caller() -> None:
    program = f"def f(a):\n    return {'-' * (MAX_DEPTH - 4)}1"
    assert depth(ast.parse(program)) == MAX_DEPTH

    def from_below(frames: int) -> object:
        return parse_program(program, 1200) if frames == 0 else from_below(frames - 1)

    assert isinstance(from_below(0), Parsed)
    assert isinstance(from_below(400), Parsed)
    assert parse_program(program.replace("-1", "--1"), 1200) == "too_deep"


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(), max_size=120))
def test_never_raises(text: str) -> None:
    assert isinstance(parse_program(text, 100), str | Parsed)
    assert isinstance(parse_program(f"def f(a):\n    return {text}", 100), str | Parsed)


CYCLOMATIC = [
    ("def f(a):\n    return a", 1),
    ("def f(a):\n    if a:\n        return 1\n    return 2", 2),
    ("def f(a):\n    if a:\n        b = 1\n    elif a > 2:\n        b = 2\n"
     "    else:\n        b = 3", 3),
    ("def f(a):\n    for x in a:\n        while x:\n            x -= 1\n    return a", 3),
    ("def f(a):\n    return 1 if a and a > 2 or a < 0 else 2", 4),
    ("def f(a):\n    return a and a and a", 3),
    ("def f(a):\n    return [x for x in a if x if x > 1 for y in x]", 5),
    ("def f(a):\n    try:\n        a()\n    except KeyError:\n        pass\n"
     "    except ValueError:\n        pass", 3),
    ("def f(a):\n    assert a\n    return a", 2),
    ("def f(a):\n    match a:\n        case 1:\n            pass\n"
     "        case _:\n            pass", 3),
    ("def f(a):\n    return not a", 1),
    ("def f(a):\n    return 1 < a < 3", 1),
]  # fmt: skip


@pytest.mark.parametrize(("program", "expected"), CYCLOMATIC)
def test_cyclomatic(program: str, expected: int) -> None:
    assert cyclomatic(ast.parse(program)) == expected


DEPTH = [
    ("def f(a):\n    return a", 4),  # module, function, return, name
    ("def f(a):\n    return a + 1", 5),
    ("def f(a):\n    return -(a + 1)", 6),
    ("def f(a):\n    return a and 1", 5),
    ("def f(a):\n    if a:\n        return [1, [2]]\n    return a", 7),  # if, return, list, list, 2
    ("pass", 2),
    ("", 1),
]


@pytest.mark.parametrize(("program", "expected"), DEPTH)
def test_depth(program: str, expected: int) -> None:
    assert depth(ast.parse(program)) == expected


def test_features() -> None:
    program = "def f(a):\n b = [x for x in a if x]; c = (1, {2: 3})\n return f'{b}', c"
    parsed = parse_program(program, 1200)
    assert isinstance(parsed, Parsed)
    # Module, function, return, tuple, f-string, its field, name; a comprehension with a condition;
    # four lines once formatted; values of four types.
    values = [[True, {"a": None}], 1.5]
    assert features(parsed, values) == {
        "ast_depth": 7.0, "cyclomatic": 3.0, "lines": 4.0, "types": 4.0, "type_int": 0.0,
        "type_bool": 1.0, "type_str": 1.0, "type_list": 1.0, "type_tuple": 0.0, "type_dict": 1.0,
    }  # fmt: skip


TYPED = [
    ([], set()),
    ([None, 1.5, b"x", {1.5}], set()),
    ([True], {"bool"}),
    ([3, "a"], {"int", "str"}),
    ([({"k": [0]},)], {"tuple", "dict", "str", "list", "int"}),
    ([{(1, "a"): False}], {"dict", "tuple", "int", "str", "bool"}),
]


@pytest.mark.parametrize(("values", "expected"), TYPED)
def test_types_that_occur_at_any_depth(values: list[object], expected: set[str]) -> None:
    found = types_in(values)
    assert found.pop("types") == len(expected)
    assert {name.removeprefix("type_") for name, flag in found.items() if flag} == expected
    assert len(found) == len(TYPES)
