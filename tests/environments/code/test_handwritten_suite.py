"""The hand-written suite: its values against CPython and the sandbox, its distance from the
generator, and what of all suites is kept from training."""

import ast
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from redqueen.benchmarks import SUITES, Reserved, handwritten_tasks, suite_tasks
from redqueen.benchmarks.suites import BEYOND_LINES
from redqueen.config import DomainConfig, EvalConfig, PolicyConfig, SandboxConfig, SuiteName
from redqueen.environments.base import Draft
from redqueen.environments.code.analysis import Parsed, parse_program
from redqueen.environments.code.environment import CodeDomain, value_text
from redqueen.environments.code.generator import generate_program
from redqueen.environments.code.handwritten import Exercise, exercises, read_exercises
from redqueen.environments.code.normal_form import normal_form
from redqueen.environments.code.styles import COMPACT
from redqueen.errors import ConfigError
from redqueen.models.loading import load_base
from redqueen.sandbox import Call, OutcomeKind, make_sandbox, parse_arguments
from redqueen.types import Task

SEED = EvalConfig().seed
DOMAIN = CodeDomain(DomainConfig(), None, COMPACT)  # type: ignore[arg-type]
LIMITS = DomainConfig()


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
    return handwritten_tasks(DOMAIN, 10_000, SEED)


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
    for item in exercises():
        scope: dict[str, Any] = {}
        exec(item.program, scope)
        for args, (_, value) in zip(calls(item), item.cases, strict=True):
            assert value_text(scope["f"](*args)) == value, (item.name, args)


def test_values_are_those_of_the_sandbox() -> None:
    plan = [(item, args, case[1]) for item in exercises()
            for args, case in zip(calls(item), item.cases, strict=True)]  # fmt: skip
    with make_sandbox(SandboxConfig(workers=1)) as sandbox:
        outcomes = sandbox.run([Call(item.program, "f", args) for item, args, _ in plan])
    for (item, args, value), outcome in zip(plan, outcomes, strict=True):
        assert outcome.kind is OutcomeKind.VALUE, (item.name, args, outcome)
        assert outcome.text == value, (item.name, args)


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
    assert kinds == {"code_o": 3 * functions, "code_i": 2 * functions, "code_f": functions}
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
    assert handwritten_tasks(DOMAIN, 300, SEED) == suite[:300]
    part = suite[:300]
    assert Counter(task.kind for task in part) == dict.fromkeys(DOMAIN.kinds, 100)
    assert len({task.payload["program"] for task in part}) == 100
    other = handwritten_tasks(DOMAIN, 10_000, SEED + 1)
    assert [task.id for task in other] != [task.id for task in suite]
    assert {task.id for task in other} == {task.id for task in suite}


def test_the_seedling_reads_every_prompt(suite: list[Task]) -> None:
    tokenizer = load_base(PolicyConfig()).tokenizer
    prompts = [DOMAIN.pose(task) for task in suite]
    for prompt, ids in zip(prompts, tokenizer(prompts)["input_ids"], strict=True):
        assert tokenizer.unk_token_id is None or tokenizer.unk_token_id not in ids
        assert tokenizer.decode(ids) == prompt
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


def test_nothing_is_a_program_of_the_generator() -> None:
    """By comparison with 20,000 programs, and because each has something that none can have."""
    ours = {normal_form(ast.parse(item.program)): item.name for item in exercises()}
    rng, seen = Random(3), set[str]()
    for number in range(20_000):
        band = rng.choices((1, 2, 3, 4, 5, 6, 7), (40, 30, 17, 7, 4, 1, 1))[0]
        source = generate_program(band, rng)[0].source
        form = normal_form(ast.parse(source))
        assert form not in ours, (ours[form], source)
        if number % 5:
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


def test_every_suite_is_registered_and_named_in_the_configuration() -> None:
    assert set(SUITES) == set(SuiteName.__args__)  # type: ignore[attr-defined]
    for name, build in SUITES.items():
        tasks = suite_tasks(name, DOMAIN, 12, SEED)
        assert tasks == build(DOMAIN, 12, SEED)
        assert len({task.id for task in tasks}) == 12
    with pytest.raises(ConfigError, match="no suite 'nope'"):
        suite_tasks("nope", DOMAIN, 3, SEED)
    with pytest.raises(ConfigError, match="2001 beyond tasks: at most 2000"):
        suite_tasks("beyond", DOMAIN, 2001, SEED)


def test_beyond_is_longer_deeper_and_apart() -> None:
    tasks = suite_tasks("beyond", DOMAIN, 120, SEED)
    cells = Counter((task.kind, task.features["band"]) for task in tasks)
    assert cells == {(kind, band): 30 for kind in ("code_o", "code_i") for band in (6.0, 7.0)}
    assert min(task.features["lines"] for task in tasks) >= BEYOND_LINES
    hardest = [DOMAIN.generated_task("code_o", 5, Random(seed)) for seed in range(100)]
    for name in ("lines", "ast_depth", "cyclomatic"):
        ours, theirs = (
            sum(task.features[name] for task in group) / len(group) for group in (tasks, hardest)
        )
        assert ours > 1.1 * theirs, name
    assert suite_tasks("beyond", DOMAIN, 20, SEED) == tasks[:20]
    only = CodeDomain(DomainConfig(kinds=("code_f",)), None, COMPACT)  # type: ignore[arg-type]
    assert {task.kind for task in suite_tasks("beyond", only, 2, SEED)} == {"code_f"}


def test_seed_tasks_of_runs_never_have_the_new_bands() -> None:
    for seed in range(5):
        assert all(task.features["band"] <= 5 for task in DOMAIN.seed_tasks(60, seed))


@pytest.fixture(scope="module")
def reserved() -> Reserved:
    return Reserved(DOMAIN, SEED)


@pytest.mark.parametrize("name", list(SUITES))
def test_every_suite_is_reserved(name: str, reserved: Reserved) -> None:
    assert all(reserved.holds(task) for task in suite_tasks(name, DOMAIN, 24, SEED))


def test_the_ends_of_the_generators_suites_are_reserved_too(reserved: Reserved) -> None:
    assert reserved.holds(suite_tasks("held-out", DOMAIN, 2000, SEED)[-1])


def test_hand_written_programs_under_other_names_are_reserved(reserved: Reserved) -> None:
    with make_sandbox(SandboxConfig(workers=1)) as sandbox:
        domain = CodeDomain(DomainConfig(), sandbox, COMPACT)
        text = (
            "def f(text):\n    count = 0\n    for one in text:\n        if one in 'aeiou':\n"
            "            count += 1\n    return count\n<input>\n'abc'"
        )
        known = next(item for item in exercises() if item.name == "count_letter")
        renamed = known.program.replace("a", "p").replace("for h", "for q").replace("h ==", "q ==")
        drafts = [
            Draft("code_i", text, (), 1, 1),
            Draft("code_o", f"{renamed.replace('rpnge', 'range')}\n<input>\n'zz', 'z'", (), 1, 1),
        ]
        fresh, copied = domain.validate(drafts)
    assert isinstance(fresh, Task)
    assert not reserved.holds(fresh)
    assert isinstance(copied, Task), copied
    assert copied.payload["program"] != known.program
    assert reserved.holds(copied)


def test_seed_tasks_are_not_reserved(reserved: Reserved) -> None:
    assert not any(reserved.holds(task) for task in DOMAIN.seed_tasks(60, 5))
