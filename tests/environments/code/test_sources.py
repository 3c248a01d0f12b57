"""What the generator feeds: seed tasks, the suites `held-out` and `beyond`."""

import ast
import hashlib
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from redqueen.environments.code import Code
from redqueen.environments.code.echo import find_echoes
from redqueen.environments.code.small_python import LEAST_LINES_BEYOND, SmallPython
from redqueen.environments.code.sources import Suite
from redqueen.environments.code.tasks import TaskMaker
from redqueen.errors import ConfigError
from redqueen.sandbox import Sandbox
from redqueen.types import Task
from tests.code_cases import make_code

SEED = 20_000_003
CODE = make_code(None)


@pytest.fixture(scope="module")
def suite() -> list[Task]:
    return CODE.sources["held-out"].tasks(300, SEED)


def test_deterministic_distinct_and_a_larger_suite_begins_with_the_smaller(
    suite: list[Task],
) -> None:
    assert CODE.sources["held-out"].tasks(37, SEED) == suite[:37]
    assert len({task.id for task in suite}) == 300
    other = CODE.sources["held-out"].tasks(60, SEED + 1)
    assert not {task.id for task in other} & {task.id for task in suite}


@pytest.mark.parametrize(
    ("name", "count", "digest"),
    [
        ("held-out", 60, "997b1700cc4ece116d8c989edf12a4ed"),
        ("beyond", 20, "f824a37d18b2c726f27f6702559703ff"),
    ],
)
def test_keys_are_the_ids_of_tasks_that_were_not_made(name: str, count: int, digest: str) -> None:
    """Runs of another version hold out the same tasks."""
    keys = CODE.sources[name].keys(count, SEED)
    assert keys == {task.id for task in CODE.sources[name].tasks(count, SEED)}
    text = "".join(sorted(keys))
    assert hashlib.blake2b(text.encode(), digest_size=16).hexdigest() == digest


def test_spread_over_kinds_and_bands(suite: list[Task]) -> None:
    assert Counter(task.kind for task in suite) == dict.fromkeys(CODE.kinds, 100)
    bands = Counter((task.kind, task.features["band"]) for task in suite)
    assert all(bands[kind, band] == 20 for kind in ("code_o", "code_i") for band in range(1, 6))
    assert [bands["code_f", band] for band in range(1, 6)] == [40, 40, 20, 0, 0]


class Narrow:
    """A program of a language that knows few: its number times its argument."""

    def __init__(self, band: int, number: int) -> None:
        self.band = band
        self.source = f"def f(a):\n    return a * {number}"
        self.message = "multiply"

    def value(self, args: Sequence[Any]) -> Any:
        """The number times the argument."""
        return args[0] * int(self.source.rpartition(" ")[2])

    def calls(self, count: int, rng: Random) -> list[tuple[tuple[int], int]]:
        factor = int(self.source.rpartition(" ")[2])
        return [((n,), n * factor) for n in range(1, count + 1)]


class FewPrograms(SmallPython):
    """A generator with `size` programs in a band, most draws of them the same one."""

    def __init__(self, size: int) -> None:
        self.size = size

    def draw(  # type: ignore[override]
        self, band: int, rng: Random, results: Sequence[str] = ()
    ) -> Narrow:
        return Narrow(band, 100 * band + min(rng.randrange(4 * self.size), self.size - 1))


def few(size: int) -> Suite:
    maker = TaskMaker("code", Code(kinds=("code_o", "code_i")), FewPrograms(size))
    return Suite(maker, maker.language.bands, "few")


def test_a_crowded_cell_still_gets_its_share() -> None:
    tasks = few(11).tasks(57, 0)
    assert len({task.id for task in tasks}) == 57
    counts = Counter((task.kind, task.features["band"]) for task in tasks)
    assert set(counts.values()) == {5, 6}


def test_a_language_with_few_programs_gives_what_it_has() -> None:
    assert len(few(1).tasks(100, 0)) == 10
    assert len(few(1).keys(2000, 0)) == 10


def test_seed_tasks_are_of_the_bands_of_the_config() -> None:
    code = make_code(None, seed_bands=(2, 4), kinds=("code_o",))
    bands = Counter(task.features["band"] for task in code.sources["seed"].tasks(20, 0))
    assert bands == {2: 10, 4: 10}
    with pytest.raises(ConfigError, match=r"seed_bands names 0.*1, 2, 3, 4, 5"):
        make_code(None, seed_bands=(0, 1))


def test_only_values_of_the_types_of_the_config() -> None:
    code = make_code(None, results=("str", "list"), kinds=("code_o", "code_f"))
    for name in ("seed", "stream", "held-out", "beyond", "handwritten"):
        for task in code.sources[name].tasks(12, 0):
            pairs = (
                [*task.payload["examples"], *task.payload["hidden"]]
                if task.kind == "code_f"
                else [(task.payload["input"], task.payload["output"])]
            )
            assert {type(ast.literal_eval(output)) for _, output in pairs} <= {str, list}, name


def test_no_stream_task_is_solved_by_its_output(sandbox: Sandbox) -> None:
    for guards, clean in ((("echo",), True), ((), False)):
        code = make_code(None, kinds=("code_i",), guards=guards)
        tasks = [*code.sources["stream"].tasks(60, 1), *code.sources["seed"].tasks(40, 1)]
        asked = [(t.payload["program"], t.payload["output"], t.payload["arity"]) for t in tasks]
        assert any(find_echoes(sandbox, asked)) is not clean


def test_seed_tasks_of_runs_are_not_in_the_suite_and_have_no_harder_bands(
    suite: list[Task],
) -> None:
    held_out = {task.id for task in suite}
    for seed in range(20):
        tasks = CODE.sources["seed"].tasks(24, seed)
        assert not held_out & {task.id for task in tasks}
        assert all(task.features["band"] <= 5 for task in tasks)


def test_beyond_is_longer_deeper_and_apart() -> None:
    tasks = CODE.sources["beyond"].tasks(120, SEED)
    cells = Counter((task.kind, task.features["band"]) for task in tasks)
    assert cells == {(kind, band): 30 for kind in ("code_o", "code_i") for band in (6.0, 7.0)}
    assert min(t.features["lines"] for t in tasks) >= LEAST_LINES_BEYOND
    hardest = [CODE.maker.draw("code_o", 5, Random(seed)).task() for seed in range(100)]
    for name in ("lines", "ast_depth", "cyclomatic"):
        beyond, within = (
            sum(task.features[name] for task in group) / len(group) for group in (tasks, hardest)
        )
        assert beyond > 1.1 * within, name
    assert CODE.sources["beyond"].tasks(20, SEED) == tasks[:20]
    only = make_code(None, kinds=("code_f",))
    assert {task.kind for task in only.sources["beyond"].tasks(2, SEED)} == {"code_f"}
