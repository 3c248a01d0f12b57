"""Generated tasks, prompts, cells, the description, and how the environment is built."""

import itertools
import json
from collections import Counter
from random import Random

import pytest
from pydantic import ValidationError

from redqueen.curriculum import Archive, Cell
from redqueen.environments.base import REASONS, Attempt, Services, describe
from redqueen.environments.code import Code
from redqueen.environments.code.analysis import features, parse_program
from redqueen.environments.code.environment import CodeEnvironment
from redqueen.environments.code.reasons import MALFORMED_REASONS, WELL_FORMED_REASONS
from redqueen.environments.code.texts import arguments_text
from redqueen.errors import ConfigError
from redqueen.sandbox import Call, OutcomeKind, Sandbox, parse_arguments
from redqueen.types import Task, Verdict
from tests.code_cases import cpython, draft, make_code, make_task


def _cases(task: Task) -> list[tuple[str, str]]:
    payload = task.payload
    if task.kind == "code_f":
        return [tuple(pair) for pair in (*payload["examples"], *payload["hidden"])]
    return [(payload["input"], payload["output"])]


def test_seed_tasks_are_right_in_cpython_and_in_the_sandbox(
    environment: CodeEnvironment, sandbox: Sandbox
) -> None:
    calls, expected = [], []
    for task in environment.sources["seed"].tasks(150, seed=4):
        for given, output in _cases(task):
            args = parse_arguments(given, task.payload["arity"])
            assert args is not None
            assert repr(cpython(task.payload["program"], args)) == output
            calls.append(Call(task.payload["program"], "f", args))
            expected.append((OutcomeKind.VALUE, output))
    assert [(item.kind, item.text) for item in sandbox.run(calls)] == expected


def test_seed_tasks_are_deterministic_and_spread(environment: CodeEnvironment) -> None:
    tasks = environment.sources["seed"].tasks(30, seed=0)
    assert tasks == environment.sources["seed"].tasks(30, seed=0)
    assert [task.id for task in tasks] != [
        task.id for task in environment.sources["seed"].tasks(30, seed=1)
    ]
    assert environment.sources["seed"].tasks(10, seed=0) == tasks[:10]
    assert Counter(task.kind for task in tasks) == dict.fromkeys(environment.kinds, 10)
    bands = Counter((task.kind, task.features["band"]) for task in tasks)
    assert all(bands[kind, band] == 2 for kind in ("code_o", "code_i") for band in range(1, 6))
    assert [bands["code_f", band] for band in (1, 2, 3)] == [4, 4, 2]
    assert all((task.author, task.step, task.environment) == (None, 0, "code") for task in tasks)


def test_generated_tasks_carry_the_features_of_their_program(environment: CodeEnvironment) -> None:
    for kind in environment.kinds:
        task = environment.maker.draw(kind, 3, Random(0)).task()
        values = [cpython(f"def f(x):\n    return {text}", [0]) for pair in _cases(task)
                  for text in (f"[{pair[0]}]", pair[1])]  # fmt: skip
        parsed = parse_program(task.payload["program"], 1200)
        inner = [item for given in values[::2] for item in given]
        expected = features(parsed, [*inner, *values[1::2]])
        assert task.features == {**expected, "band": 3.0}


def test_code_f_tasks_have_hidden_cases_of_their_own(environment: CodeEnvironment) -> None:
    task = environment.maker.draw("code_f", 1, Random(0)).task()
    inputs = [given for given, _ in _cases(task)]
    assert len(task.payload["examples"]) == len(task.payload["hidden"]) == 3
    assert len(set(inputs)) == 6


def test_limits_without_room_are_named(sandbox: Sandbox) -> None:
    environment = make_code(sandbox, "compact", max_program_chars=16)
    with pytest.raises(ConfigError, match=r"environments\.code\.max_program_chars = 16"):
        environment.maker.draw("code_f", 1, Random(0))


@pytest.mark.parametrize("limits", [{"max_program_chars": 50}, {"max_value_chars": 8}])
def test_limits_hold_for_generated_tasks(sandbox: Sandbox, limits: dict[str, int]) -> None:
    environment = make_code(sandbox, "compact", **limits)
    for kind in ("code_o", "code_i"):
        for seed in range(10):
            task = environment.maker.draw(kind, 1, Random(seed)).task()
            assert len(task.payload["program"]) <= environment.config.max_program_chars
            texts = (task.payload["input"], task.payload["output"])
            assert all(len(text) <= environment.config.max_value_chars for text in texts)


def test_cells_count_kinds_and_bins(environment: CodeEnvironment) -> None:
    archive = Archive(1, environment)
    assert archive.cells_of_a_kind == 240
    assert archive.kinds == ("code_o", "code_i", "code_f")

    def cell(lines: int, cyclomatic: int, depth: int, types: int) -> Cell:
        numbers = {"lines": lines, "cyclomatic": cyclomatic, "ast_depth": depth, "types": types}
        return archive.cell(Task("t", "code", "code_o", {}, numbers))

    axes = range(2, 15), range(1, 8), range(4, 12), range(7)
    assert len({cell(*point) for point in itertools.product(*axes)}) == 240
    assert str(cell(3, 1, 5, 1)) == "code_o:0:0:0:0"
    assert cell(4, 2, 6, 2) == Cell("code_o", (1, 1, 1, 1))
    assert cell(11, 4, 8, 3) == cell(99, 99, 49, 6) == Cell("code_o", (4, 3, 3, 2))


COMPACT_PROMPTS = {
    "code_o": "<code_o>\ndef f(a):\n    return a * 2\n<input>\n1\n<think>\n",
    "code_i": "<code_i>\ndef f(a):\n    return a * 2\n<output>\n2\n<think>\n",
    "code_f": "<code_f>\n<message>\na hint\n<examples>\n1 -> 2\n2 -> 4\n3 -> 6\n<think>\n",
}
DOUBLE = "def f(a):\n    return a * 2"


def _double(environment: CodeEnvironment, kind: str) -> Task:
    return make_task(environment, kind, DOUBLE, *("123456" if kind == "code_f" else "1"))


@pytest.mark.parametrize("kind", COMPACT_PROMPTS)
def test_compact_prompts(environment: CodeEnvironment, kind: str) -> None:
    assert environment.prompt(_double(environment, kind))[0].content == COMPACT_PROMPTS[kind]


def test_compact_proposal_prompts(environment: CodeEnvironment) -> None:
    assert environment.ask("code_o", [])[0].content == "<propose_o>\n<answer>\n"
    shown = [_double(environment, "code_i"), _double(environment, "code_f")]
    task = f"<task>\n{DOUBLE}\n<input>\n1\n"
    assert environment.ask("code_i", shown)[0].content == f"<propose_i>\n{task}{task}<answer>\n"
    assert environment.ask("code_f", shown[:1])[0].content == f"<propose_f>\n{DOUBLE}\n<answer>\n"
    assert environment.references_for("code_f", 5) == 1
    assert environment.references_for("code_o", 5) == 5


def test_instruct_prompts_hold_all_that_is_needed(sandbox: Sandbox) -> None:
    environment = make_code(sandbox, "instruct")
    shown = {
        "code_o": [DOUBLE, "f(1)", "<answer> and </answer>"],
        "code_i": [DOUBLE, "value is `2`", "<answer> and </answer>"],
        "code_f": ["a hint", "f(1) == 2\nf(2) == 4\nf(3) == 6", "standard library"],
    }
    for kind, parts in shown.items():
        *earlier, prompt = environment.prompt(_double(environment, kind))
        assert all(part in prompt.content for part in parts)
        assert [message.role for message in earlier] == ["user", "assistant"]
    first, second = _double(environment, "code_o"), _double(environment, "code_f")
    asked = environment.ask("code_i", [first, second])[-1].content
    assert asked.count(DOUBLE) == 2
    assert "find a call" in asked
    assert "taken" not in environment.ask("code_o", [])[-1].content
    assert "6 different calls" in environment.ask("code_f", [first])[-1].content


@pytest.mark.parametrize("kind", ["code_o", "code_i", "code_f"])
def test_the_worked_examples_of_the_instruct_style_are_right(sandbox: Sandbox, kind: str) -> None:
    environment = make_code(sandbox, "instruct")
    words = "def f(words, size):\n    return [w.upper() for w in words if len(w) > size]"
    inputs = ["['to', 'tree', 'sky'], 2", *(f"['a', 'bc'], {n}" for n in range(5))]
    reference = make_task(environment, "code_o", words, inputs[0])
    shown = environment.ask(kind, [reference])[1].content
    [made] = environment.validate([draft(kind, shown, reference)])
    assert isinstance(made, Task), made
    task = {
        "code_o": reference,
        "code_i": make_task(environment, "code_i", PARTS, "'a,b,c', ','"),
        "code_f": make_task(environment, "code_f", words, *inputs),
    }[kind]
    [verified] = environment.verify([Attempt(task, environment.prompt(task)[1].content)])
    assert verified.verdict is Verdict.CORRECT


PARTS = "def f(text, mark):\n    parts = text.split(mark)\n    return (len(parts), parts[-1])"


@pytest.mark.parametrize(
    ("dialect", "style", "begin"),
    [
        ("seedling", "auto", "<code_o>\n"),
        ("seedling", "instruct", "What is the value of"),
        ("chat", "auto", "What is the value of"),
        ("chat", "compact", "<code_o>\n"),
    ],
)
def test_the_style_is_what_the_base_speaks_unless_the_config_names_it(
    environment: CodeEnvironment, dialect: str, style: str, begin: str
) -> None:
    built = Code(style=style).build(Services(pytest.fail, dialect, name="easy"))
    *_, message = built.prompt(_double(environment, "code_o"))
    assert (message.role, message.content[: len(begin)]) == ("user", begin)
    assert built.name == built.sources["seed"].tasks(1, 0)[0].environment == "easy"


def test_a_base_that_speaks_something_else_is_a_clear_error() -> None:
    with pytest.raises(
        ConfigError, match="no style for 'esperanto'; it has: seedling, seedling2, chat"
    ):
        Code().build(Services(pytest.fail, "esperanto"))


def test_keys_that_do_not_work() -> None:
    with pytest.raises(ValidationError, match=r"near_copy .* it is curriculum\.near_copies"):
        Code(guards=("leak", "near_copy"))  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="names 'code_o' twice"):
        Code(kinds=("code_o", "code_o"))
    with pytest.raises(ValidationError, match="share"):
        Code(share=0)


def test_the_description_covers_all_that_the_environment_has(environment: CodeEnvironment) -> None:
    said = describe(environment)
    assert json.loads(json.dumps(said)) == said
    assert [kind["name"] for kind in said["kinds"]] == ["code_o", "code_i", "code_f"]
    assert [suite["name"] for suite in said["suites"]] == ["held-out", "beyond", "handwritten"]
    assert all(item["title"] != item["name"] and item["text"] for item in said["suites"])
    assert {m["name"] for m in said["measures"]} == {"lines", "cyclomatic", "ast_depth", "types"}
    assert said["difficulty"]["name"] == "band"
    reasons = {*MALFORMED_REASONS, *WELL_FORMED_REASONS, *REASONS}
    assert reasons == said["reasons"].keys()
    assert all(text.endswith(".") for text in said["reasons"].values())
    for task in environment.sources["seed"].tasks(3, 0):
        assert said["payload"][task.kind].keys() == task.payload.keys() - {"arity"}


def test_arguments_text() -> None:
    assert arguments_text([]) == ""
    assert arguments_text([(1,), "a", {"k": [1.5]}]) == "(1,), 'a', {'k': [1.5]}"
