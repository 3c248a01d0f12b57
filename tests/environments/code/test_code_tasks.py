"""Tasks of the domain's own, prompts, cells, and how a domain is built."""

import itertools
from collections import Counter
from random import Random

import pytest

from redqueen.config import DomainConfig, build_config
from redqueen.environments import build_domain
from redqueen.environments.code.analysis import features, parse_program
from redqueen.environments.code.environment import CodeDomain
from redqueen.environments.code.texts import arguments_text
from redqueen.errors import ConfigError
from redqueen.sandbox import Call, OutcomeKind, Sandbox, parse_arguments
from redqueen.types import Task
from tests.code_cases import STYLES, cpython, make_task


def _cases(task: Task) -> list[tuple[str, str]]:
    payload = task.payload
    if task.kind == "code_f":
        return [tuple(pair) for pair in (*payload["examples"], *payload["hidden"])]
    return [(payload["input"], payload["output"])]


def test_seed_tasks_are_right_in_cpython_and_in_the_sandbox(
    domain: CodeDomain, sandbox: Sandbox
) -> None:
    calls, expected = [], []
    for task in domain.seed_tasks(150, seed=4):
        for given, output in _cases(task):
            args = parse_arguments(given, task.payload["arity"])
            assert args is not None
            assert repr(cpython(task.payload["program"], args)) == output
            calls.append(Call(task.payload["program"], "f", args))
            expected.append((OutcomeKind.VALUE, output))
    assert [(item.kind, item.text) for item in sandbox.run(calls)] == expected


def test_seed_tasks_are_deterministic_and_spread(domain: CodeDomain) -> None:
    tasks = domain.seed_tasks(30, seed=0)
    assert tasks == domain.seed_tasks(30, seed=0)
    assert [task.id for task in tasks] != [task.id for task in domain.seed_tasks(30, seed=1)]
    assert domain.seed_tasks(10, seed=0) == tasks[:10]
    assert Counter(task.kind for task in tasks) == dict.fromkeys(domain.kinds, 10)
    bands = Counter((task.kind, task.features["band"]) for task in tasks)
    assert all(bands[kind, band] == 2 for kind in ("code_o", "code_i") for band in range(1, 6))
    assert [bands["code_f", band] for band in (1, 2, 3)] == [4, 4, 2]
    assert all((task.author, task.step, task.domain) == (None, 0, "code") for task in tasks)


def test_generated_tasks_carry_the_features_of_their_program(domain: CodeDomain) -> None:
    for kind in domain.kinds:
        task = domain.generated_task(kind, 3, Random(0))
        values = [cpython(f"def f(x):\n    return {text}", [0]) for pair in _cases(task)
                  for text in (f"[{pair[0]}]", pair[1])]  # fmt: skip
        parsed = parse_program(task.payload["program"], 1200)
        inner = [item for given in values[::2] for item in given]
        expected = features(parsed, [*inner, *values[1::2]])
        assert task.features == {**expected, "band": 3.0}


def test_code_f_tasks_have_hidden_cases_of_their_own(domain: CodeDomain) -> None:
    task = domain.generated_task("code_f", 1, Random(0))
    inputs = [given for given, _ in _cases(task)]
    assert len(task.payload["examples"]) == len(task.payload["hidden"]) == 3
    assert len(set(inputs)) == 6


def test_limits_without_room_are_named(sandbox: Sandbox) -> None:
    domain = CodeDomain(DomainConfig(max_program_chars=16), sandbox, STYLES["compact"])
    with pytest.raises(ConfigError, match=r"domain\.max_program_chars = 16"):
        domain.generated_task("code_f", 1, Random(0))


@pytest.mark.parametrize("limits", [{"max_program_chars": 50}, {"max_value_chars": 8}])
def test_limits_hold_for_generated_tasks(sandbox: Sandbox, limits: dict[str, int]) -> None:
    domain = CodeDomain(DomainConfig(**limits), sandbox, STYLES["compact"])
    for kind in ("code_o", "code_i"):
        for seed in range(10):
            task = domain.generated_task(kind, 1, Random(seed))
            assert len(task.payload["program"]) <= domain.config.max_program_chars
            texts = (task.payload["input"], task.payload["output"])
            assert all(len(text) <= domain.config.max_value_chars for text in texts)


def test_cells_count_kinds_and_bins(domain: CodeDomain) -> None:
    assert domain.cells == 3 * 5 * 4 * 4 * 3
    assert CodeDomain(DomainConfig(kinds=("code_o",)), None, STYLES["compact"]).cells == 240

    def cell(lines: int, cyclomatic: int, depth: int, types: int) -> str:
        numbers = {"lines": lines, "cyclomatic": cyclomatic, "ast_depth": depth, "types": types}
        return domain.cell(Task("t", "code", "code_o", {}, numbers))

    axes = range(2, 15), range(1, 8), range(4, 12), range(7)
    assert len({cell(*point) for point in itertools.product(*axes)}) == 240
    assert cell(3, 1, 5, 1) == "code_o:0:0:0:0"
    assert cell(4, 2, 6, 2) == "code_o:1:1:1:1"
    assert cell(11, 4, 8, 3) == cell(99, 99, 49, 6) == "code_o:4:3:3:2"


COMPACT_PROMPTS = {
    "code_o": "<code_o>\ndef f(a):\n    return a * 2\n<input>\n1\n<think>\n",
    "code_i": "<code_i>\ndef f(a):\n    return a * 2\n<output>\n2\n<think>\n",
    "code_f": "<code_f>\n<message>\na hint\n<examples>\n1 -> 2\n2 -> 4\n3 -> 6\n<think>\n",
}
DOUBLE = "def f(a):\n    return a * 2"


def _double(domain: CodeDomain, kind: str) -> Task:
    return make_task(domain, kind, DOUBLE, *("123456" if kind == "code_f" else "1"))


@pytest.mark.parametrize("kind", COMPACT_PROMPTS)
def test_compact_prompts(domain: CodeDomain, kind: str) -> None:
    assert domain.pose(_double(domain, kind)) == COMPACT_PROMPTS[kind]


def test_compact_proposal_prompts(domain: CodeDomain) -> None:
    assert domain.ask("code_o", []) == "<propose_o>\n<answer>\n"
    shown = [_double(domain, "code_i"), _double(domain, "code_f")]
    task = f"<task>\n{DOUBLE}\n<input>\n1\n"
    assert domain.ask("code_i", shown) == f"<propose_i>\n{task}{task}<answer>\n"
    assert domain.ask("code_f", shown[:1]) == f"<propose_f>\n{DOUBLE}\n<answer>\n"
    assert domain.references_for("code_f", 5) == 1
    assert domain.references_for("code_o", 5) == 5


def test_instruct_prompts_hold_all_that_is_needed(sandbox: Sandbox) -> None:
    domain = CodeDomain(DomainConfig(), sandbox, STYLES["instruct"])
    for kind in domain.kinds:
        task = _double(domain, kind)
        prompt = domain.pose(task)
        assert "<answer> and </answer>" in prompt
        shown = {
            "code_o": [DOUBLE, "```input\n1\n```"],
            "code_i": [DOUBLE, "```output\n2\n```"],
            "code_f": ["a hint", "f(1) == 2\nf(2) == 4\nf(3) == 6"],
        }[kind]
        assert all(part in prompt for part in shown)
    first, second = _double(domain, "code_o"), _double(domain, "code_f")
    asked = domain.ask("code_i", [first, second])
    assert asked.count(DOUBLE) == 2
    assert "find an input" in asked
    assert "exist already" not in domain.ask("code_o", [])
    assert "6 ```input blocks" in domain.ask("code_f", [first])


def test_the_example_of_the_instruct_prompt_is_a_valid_proposal(sandbox: Sandbox) -> None:
    domain = CodeDomain(DomainConfig(), sandbox, STYLES["instruct"])
    program, args = STYLES["instruct"].read_program_and_input(domain.ask("code_o", []))
    assert make_task(domain, "code_o", program, args).payload["output"] == "'ababab'"


class _ChatTokenizer:
    chat_template = "something"

    def apply_chat_template(self, turns: list[dict[str, str]], **options: bool) -> str:
        assert options == {"tokenize": False, "add_generation_prompt": True}
        [turn] = turns
        return f"<{turn['role']}>{turn['content']}<assistant>"


class _PlainTokenizer:
    chat_template = None


@pytest.mark.parametrize(
    ("base", "style", "chats"),
    [
        ("seedling", "auto", False),
        ("seedling", "instruct", True),
        ("some/model", "auto", True),
        ("some/model", "compact", False),
    ],
)
def test_build_domain_picks_the_style(sandbox: Sandbox, base: str, style: str, chats: bool) -> None:
    config = build_config({"policy": {"base": base}, "domain": {"style": style}})
    task = _double(CodeDomain(config.domain, sandbox, STYLES["compact"]), "code_o")
    chat = build_domain(config, sandbox, _ChatTokenizer())
    plain = build_domain(config, sandbox, _PlainTokenizer())
    inner = plain.pose(task)
    assert inner.startswith("Here is a Python function." if chats else "<code_o>\n")
    assert chat.pose(task) == (f"<user>{inner}<assistant>" if chats else inner)
    assert chat.ask("code_o", []).startswith("<user>") == chats


def test_arguments_text() -> None:
    assert arguments_text([]) == ""
    assert arguments_text([(1,), "a", {"k": [1.5]}]) == "(1,), 'a', {'k': [1.5]}"
