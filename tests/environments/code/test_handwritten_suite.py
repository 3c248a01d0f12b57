"""The hand-written suite: its values against CPython and the sandbox, its distance from the
generator, and what of all suites is kept from training."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tokenizers import Tokenizer

import redqueen
from recipes.echoes import echoes
from redqueen.config import SandboxConfig
from redqueen.curriculum import HeldOut
from redqueen.environments.base import Draft
from redqueen.environments.code import Code
from redqueen.environments.code.analysis import Parsed, parse_program
from redqueen.environments.code.echo import find_echoes
from redqueen.environments.code.generator import generate_program
from redqueen.environments.code.handwritten import (
    Exercise,
    Functions,
    exercises,
    read_exercises,
    seed_functions,
)
from redqueen.environments.code.normal_form import normal_form
from redqueen.environments.code.texts import value_text
from redqueen.sandbox import Call, OutcomeKind, Sandbox, make_sandbox, parse_arguments
from redqueen.types import Task
from tests.code_cases import make_code

SEED = 20_000_003
CODE = make_code(None, "compact")
LIMITS = Code()


def arity(item: Exercise) -> int:
    parsed = parse_program(item.program, LIMITS.max_program_chars)
    assert isinstance(parsed, Parsed), (item.name, parsed)
    return parsed.arity


def calls(item: Exercise) -> list[tuple[Any, ...]]:
    found = [parse_arguments(args, arity(item)) for args, _ in item.cases]
    assert None not in found, item.name
    return found  # type: ignore[return-value]


@pytest.fixture(scope="module")
def suite() -> list[Task]:
    return CODE.sources["handwritten"].tasks(10_000, SEED)


def test_many_functions_with_several_inputs_within_the_limits() -> None:
    found = exercises()
    assert len(found) >= 150
    assert len({item.name for item in found}) == len(found)
    assert len({normal_form(ast.parse(item.program)) for item in found}) == len(found)
    for item in found:
        assert 6 <= len(item.cases) <= 8, item.name
        assert len({args for args, _ in item.cases}) == len(item.cases), item.name
        assert len({value for _, value in item.cases}) > 1, item.name
        assert len({value for _, value in item.cases[:6]}) > 1, item.name
        assert all(len(t) <= LIMITS.max_value_chars for case in item.cases for t in case)
        assert ast.unparse(ast.parse(item.program)) == item.program
        assert item.message
        assert "\n" not in item.message


def test_values_are_those_of_cpython() -> None:
    for item in (*exercises(), *seed_functions()):
        scope: dict[str, Any] = {}
        exec(item.program, scope)
        for args, (_, value) in zip(calls(item), item.cases, strict=True):
            assert value_text(scope["f"](*args)) == value, (item.name, args)


@pytest.mark.parametrize("functions", [exercises, seed_functions])
def test_values_are_those_of_the_sandbox(functions: Functions) -> None:
    """A few have values that the default sandbox will not answer for."""
    plan = [(item, args, case[1]) for item in functions()
            for args, case in zip(calls(item), item.cases, strict=True)]  # fmt: skip
    with make_sandbox(SandboxConfig(workers=1)) as sandbox:
        outcomes = sandbox.run([Call(item.program, "f", args) for item, args, _ in plan])
    lacking = set()
    for (item, args, value), outcome in zip(plan, outcomes, strict=True):
        if outcome.kind is OutcomeKind.UNSUPPORTED:
            lacking.add(item.name)
        else:
            assert (outcome.kind, outcome.text) == (OutcomeKind.VALUE, value), (item.name, args)
    gaps = {"find_all", "title_case"} if functions is seed_functions else set()
    assert lacking <= gaps


def test_calls_that_their_output_solves_are_known_and_not_asked(suite: list[Task]) -> None:
    with make_sandbox(SandboxConfig(workers=1)) as sandbox:
        for functions, folder in ((exercises(), "exercises"), (seed_functions(), "seeds")):
            known = {item.name: sorted(item.echoes) for item in functions if item.echoes}
            assert known == echoes(functions, sandbox), folder
        posed = [
            (task.payload["program"], task.payload["output"], task.payload["arity"])
            for task in suite
            if task.kind == "code_i"
        ]
        assert not any(find_echoes(sandbox, posed))
    unguarded = make_code(None, "compact", guards=())
    kinds = Counter(task.kind for task in unguarded.sources["handwritten"].tasks(10_000, SEED))
    assert kinds["code_i"] == 2 * len(exercises())


def test_seed_functions_are_many_and_not_those_of_the_suite() -> None:
    programs = [normal_form(ast.parse(item.program)) for item in seed_functions()]
    assert len(set(programs)) == len(programs) >= 48
    assert len({item.theme for item in seed_functions()}) >= 7
    assert not set(programs) & {normal_form(ast.parse(item.program)) for item in exercises()}
    for item in seed_functions():
        assert len(item.cases) >= 6, item.name
        assert len({value for _, value in item.cases[:6]}) > 1, item.name
    source = make_code(None, "instruct").sources["seed"]
    kinds = Counter(task.kind for task in source.tasks(1000, SEED))
    assert kinds["code_o"] == 3 * len(programs)
    assert kinds["code_f"] == len(programs)
    assert len(programs) < kinds["code_i"] <= 2 * len(programs)


def test_reading_a_file() -> None:
    text = (
        '"""A theme."""\n\ndef double_all(numbers, k):\n    """Double, then add.\n\n'
        '    >>> double_all([1, (2,)], -3)\n    {"b": 1}\n    """\n    if not numbers:\n'
        "        return double_all(numbers, k)\n    most = max([n for n in numbers])\n"
        "    return sorted(numbers, key=lambda m: m + most)\n"
    )
    [item] = read_exercises(text, "a")
    assert item.program == (
        "def f(a, b):\n    if not a:\n        return f(a, b)\n    g = max([v for v in a])\n"
        "    return sorted(a, key=lambda w: w + g)"
    )
    assert (item.name, item.message) == ("double_all", "double, then add")
    assert item.cases == (("[1, (2,)], -3", "{'b': 1}"),)
    with pytest.raises(ValueError, match="not a plain call"):
        read_exercises('def f(a):\n    """X.\n\n    >>> 1 + 1\n    2\n    """\n    return a\n', "a")


def test_tasks_of_all_kinds_are_sound(suite: list[Task]) -> None:
    functions = len(exercises())
    kinds = Counter(task.kind for task in suite)
    without = sum(len([place for place in (1, 3, 5) if place not in item.echoes][:2])
                  for item in exercises())  # fmt: skip
    assert kinds == {"code_o": 3 * functions, "code_i": without, "code_f": functions}
    assert len({task.id for task in suite}) == len(suite)
    known = {(item.program, *case) for item in exercises() for case in item.cases}
    for task in suite:
        payload = task.payload
        pairs = (
            [*payload["examples"], *payload["hidden"]]
            if task.kind == "code_f"
            else [(payload["input"], payload["output"])]
        )
        assert all((payload["program"], *pair) in known for pair in pairs)
        if task.kind == "code_f":
            assert len(payload["examples"]) == len(payload["hidden"]) == 3


def test_a_larger_suite_begins_with_the_smaller_and_takes_many_functions(
    suite: list[Task],
) -> None:
    assert CODE.sources["handwritten"].tasks(300, SEED) == suite[:300]
    part = suite[:300]
    kinds = Counter(task.kind for task in part)
    assert kinds["code_o"] >= kinds["code_f"] > 100 > kinds["code_i"] > 80
    assert len({task.payload["program"] for task in part}) == kinds["code_o"]
    other = CODE.sources["handwritten"].tasks(10_000, SEED + 1)
    assert [task.id for task in other] != [task.id for task in suite]
    assert {task.id for task in other} == {task.id for task in suite}


def test_the_seedling_reads_every_prompt(suite: list[Task]) -> None:
    folder = Path(redqueen.__file__).parent / "bases" / "seedling"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    unknown = tokenizer.token_to_id("<unk>")
    for task in suite:
        prompt = CODE.prompt(task)[0].content
        ids = tokenizer.encode(prompt).ids
        assert unknown is None or unknown not in ids
        assert tokenizer.decode(ids, skip_special_tokens=False) == prompt
        assert len(ids) <= 512


class _Unnamed(ast.NodeTransformer):
    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name("x", node.ctx)


def pieces(body: list[ast.stmt], depth: int = 0) -> Iterator[str]:
    """The statements of a program without names; those of branches one by one."""
    for node in body:
        if isinstance(node, ast.If):
            form = f"if {bool(node.orelse)} {depth} "
            yield form + ast.dump(_Unnamed().visit(node.test))
            yield from pieces([*node.body, *node.orelse], depth + 1)
        else:
            yield ast.dump(_Unnamed().visit(node))


def habits(program: str) -> set[str]:
    """What the generator never does: another end than `return name`, a name given twice."""
    function = ast.parse(program).body[0]
    assert isinstance(function, ast.FunctionDef)
    ends = [node for node in ast.walk(function) if isinstance(node, ast.Return)]
    found = set()
    if len(ends) != 1 or not isinstance(ends[0].value, ast.Name):
        found.add("end")
    given = [arg.arg for arg in function.args.args]
    for node in function.body:
        if isinstance(node, ast.Assign):
            given += [name.id if isinstance(name, ast.Name) else "" for name in node.targets]
    if "" in given or len(set(given)) < len(given):
        found.add("twice")
    return found


@pytest.mark.slow
def test_nothing_is_a_program_of_the_generator() -> None:
    """By comparison with 8,000 programs, and because each has something that none can have."""
    ours = {normal_form(ast.parse(item.program)): item.name for item in exercises()}
    rng, seen = Random(3), set[str]()
    for number in range(8_000):
        band = rng.choices((1, 2, 3, 4, 5, 6, 7), (40, 30, 17, 7, 4, 1, 1))[0]
        source = generate_program(band, rng)[0].source
        form = normal_form(ast.parse(source))
        assert form not in ours, (ours[form], source)
        if number % 2:
            continue
        assert not habits(source), source
        function = ast.parse(source).body[0]
        assert isinstance(function, ast.FunctionDef)
        seen.update(pieces(function.body))
    for item in exercises():
        function = ast.parse(item.program).body[0]
        assert isinstance(function, ast.FunctionDef)
        foreign = set(pieces(function.body)) - seen
        assert habits(item.program) or foreign, (item.name, item.program)


def test_every_program_is_held_out_under_any_name_and_input(sandbox: Sandbox) -> None:
    environment = make_code(sandbox)
    held_out = HeldOut(environment, ["handwritten"], seed=SEED)
    text = (
        "def f(text):\n    count = 0\n    for one in text:\n        if one in 'aeiou':\n"
        "            count += 1\n    return count\n<input>\n'abc'"
    )
    original = next(item for item in exercises() if item.name == "count_letter")
    renamed = original.program.replace("a", "p").replace("for h", "for q").replace("h ==", "q ==")
    fresh, copied = environment.validate(
        [
            Draft("code_i", text, (), 1, 1),
            Draft("code_o", f"{renamed.replace('rpnge', 'range')}\n<input>\n'zz', 'z'", (), 1, 1),
        ]
    )
    assert isinstance(fresh, Task)
    assert not held_out.holds(fresh)
    assert isinstance(copied, Task), copied
    assert copied.payload["program"] != original.program
    assert held_out.holds(copied)
    assert all(map(held_out.holds, CODE.sources["handwritten"].tasks(24, SEED)))
