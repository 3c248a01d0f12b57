"""The archive, against a slow model of what it promises."""

import itertools
import json
from collections import Counter
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from redqueen.curriculum.archive import Archive, Cell
from redqueen.environments.base import Draft, Measure
from redqueen.environments.code.styles import COMPACT
from redqueen.sandbox import Sandbox
from redqueen.types import Rejection, Task
from tests.code_cases import make_code, proposal_text
from tests.toy_environments import Sums, TaughtSums, sum_task


class Letters(Sums):
    """Four kinds, one cell each."""

    kinds: tuple[str, ...] = ("a", "b", "c", "d")
    measures: tuple[Measure, ...] = ()


def task(number: int, kind: str = "a") -> Task:
    return Task(f"t{number}", "letters", kind, {"n": number})


def archive(size: int) -> Archive:
    return Archive(size, Letters())


def ids(of: Archive) -> list[str]:
    return [item["id"] for item in of.state()["tasks"]]


batches = st.lists(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abcd")), max_size=6), max_size=8
)


@settings(max_examples=200, deadline=None)
@given(batches, st.integers(1, 8))
def test_eviction_and_coverage(plan: list[list[tuple[int, str]]], size: int) -> None:
    kept, cells = archive(size), {}
    model: list[str] = []
    filled: set[str] = set()
    coverage = 0.0
    for batch in plan:
        fresh = 0
        for number, cell in batch:
            if f"t{number}" not in model:
                model.append(f"t{number}")
                cells[f"t{number}"] = cell
                filled.add(cell)
                fresh += 1
        while len(model) > size:
            counts = Counter(cells[name] for name in model)
            most = max(counts.values())
            model.remove(next(name for name in model if counts[cells[name]] == most))
        assert kept.add([task(number, cell) for number, cell in batch]) == fresh
        assert ids(kept) == model
        assert len(kept) == len(model) <= size
        assert all(name in kept for name in model)
        assert kept.coverage >= coverage
        coverage = kept.coverage
        assert coverage == len(filled) / 4


def test_no_cell_is_preferred_for_its_name() -> None:
    """Four kinds by turns, one place too few: each is missing as often as the others."""
    kept, missing = archive(3), Counter[str]()
    for number in range(400):
        kept.add([task(number, "abcd"[number % 4])])
        missing.update({"a", "b", "c", "d"} - {cell.kind for cell in kept.by_cell()})
    assert max(missing.values()) - min(missing.values()) <= 2


def test_the_oldest_of_the_fullest_cell_goes() -> None:
    kept = archive(3)
    kept.add([task(1, "b"), task(2, "a"), task(3, "a")])
    kept.add([task(4, "c")])
    assert ids(kept) == ["t1", "t3", "t4"]
    assert "t2" not in kept
    assert kept.coverage == 3 / 4


def test_sample_without_replacement_and_deterministic() -> None:
    kept = archive(20)
    kept.add([task(n, "ab"[n % 2]) for n in range(10)])

    def draw(count: int, seed: int = 0) -> list[str]:
        return [item.id for item in kept.sample(count, np.random.default_rng(seed))]

    assert draw(4) == draw(4)
    assert draw(4) != draw(4, seed=1)
    assert len(set(draw(4))) == 4
    assert sorted(draw(50)) == sorted(ids(kept))
    assert archive(3).sample(2, np.random.default_rng(0)) == []


def test_sample_is_uniform() -> None:
    kept = archive(20)
    kept.add([task(n) for n in range(5)])
    rng = np.random.default_rng(0)
    counts = Counter(item.id for _ in range(2000) for item in kept.sample(2, rng))
    assert all(abs(count - 800) < 5 * (2000 * 0.4 * 0.6) ** 0.5 for count in counts.values())


def test_state_survives_json() -> None:
    environment = make_code(None, "compact")
    kept = Archive(12, environment)
    kept.add(environment.sources["seed"].tasks(24, seed=1))
    kept.add([Task("x", "code", "code_o", {"program": "é\n"}, {"lines": 4.0},
                   author=4, step=9)])  # fmt: skip
    again = Archive(12, environment)
    again.restore(json.loads(json.dumps(kept.state())))
    assert again.state() == kept.state()
    assert again.coverage == kept.coverage
    seen = [item.sample(12, np.random.default_rng(3)) for item in (kept, again)]
    assert seen[0] == seen[1]
    assert len(seen[0]) == 12
    more = environment.sources["seed"].tasks(40, seed=5)
    assert kept.add(more) == again.add(more)
    assert again.state() == kept.state()


def test_coverage_of_each_kind_is_of_its_own_cells() -> None:
    kept = Archive(2, Letters(kinds=("x", "y"), measures=(Measure("n", "N", (1, 2)),)))
    kept.add([replace(task(n, "x"), features={"n": n}) for n in (0, 1, 4)])
    kept.add([replace(task(5, "y"), features={"n": 2})])
    assert kept.kind_coverage() == {"x": 1.0, "y": 1 / 3}
    assert kept.metrics() == {
        "coverage": 4 / 6,
        "archive_size": 2.0,
        "coverage/x": 1.0,
        "coverage/y": 1 / 3,
    }


def test_cells_are_bins_of_the_measures_with_edges() -> None:
    kept = Archive(2, TaughtSums())
    assert [kept.cell(sum_task(n, 0)) for n in (4, 5, 9, 10)] == [
        Cell("sum", (0,)), Cell("sum", (1,)), Cell("sum", (1,)), Cell("sum", (2,)),
    ]  # fmt: skip
    assert kept.cell(Task("t", "sums", "other", {})) == Cell("other", (0,))
    assert kept.cells_of_a_kind == 3


def test_an_environment_without_measures_and_kinds_has_a_cell_for_each_kind_that_comes() -> None:
    kept = Archive(5, Sums())
    assert kept.coverage == 0.0
    kept.add([task(1, "a"), task(2, "a"), task(3, "b")])
    assert kept.coverage == 1.0
    assert kept.metrics() == {"coverage": 1.0, "archive_size": 3.0}


def test_tasks_and_cells_are_views_of_what_is_kept() -> None:
    kept = archive(3)
    kept.add([task(1, "b"), task(2, "a"), task(3, "a"), task(4, "c")])
    assert list(kept.tasks) == ["t1", "t3", "t4"]
    names = {cell.kind: [t.id for t in filed] for cell, filed in kept.by_cell().items()}
    assert names == {"b": ["t1"], "a": ["t3"], "c": ["t4"]}
    kept.by_cell()[Cell("a", ())].clear()
    assert len(kept.by_cell()[Cell("a", ())]) == 1


def witness(lines: int, cyclomatic: int, depth: int) -> str:
    """A program with these features that depends on its argument, whatever that is, and does not
    pass it on."""
    value = " or ".join("b" * cyclomatic)
    wraps = depth - 4 - (cyclomatic > 1)
    filling = "".join("    b = [a]\n" for _ in range(lines - 2))
    return f"def f(a):\n{filling}    return {'[' * wraps}{value}{']' * wraps}"


WITNESS_INPUTS = {
    1: ("[]", "[[]]", "[[], []]", "[[[]]]", "[[[]], []]", "[[], [[]]]"),
    2: ("[1]", "[2]", "[3, 4]", "[5]", "[6, 1]", "[7]"),
    3: ("[1, 'a']", "[2, 'b']", "[3, 'c']", "[4, 'd']", "[5, 'e']", "[6, 'f']"),
}


def test_every_cell_can_be_reached_with_all_guards_on(sandbox: Sandbox) -> None:
    environment = make_code(sandbox, "compact")
    kept = Archive(10**4, environment)
    axes = (3, 4, 6, 8, 11), (1, 2, 3, 4), (5, 6, 7, 8), (1, 2, 3)
    drafts = []
    for lines, cyclomatic, depth, types in itertools.product(*axes):
        program = witness(lines, cyclomatic, depth)
        inputs = WITNESS_INPUTS[types]
        drafts += [
            Draft(kind, proposal_text(COMPACT, program, inputs[-1]), (), 0, 0)
            for kind in ("code_o", "code_i")
        ]
        shown = Task("t", "code", "code_o", {"program": program})
        drafts.append(Draft("code_f", proposal_text(COMPACT, program, *inputs), (shown,), 0, 0))
    made = environment.validate(drafts)
    assert {item.reason for item in made if isinstance(item, Rejection)} == set()
    kept.add(item for item in made if isinstance(item, Task))
    assert kept.coverage == 1.0
    assert kept.kind_coverage() == {"code_o": 1.0, "code_i": 1.0, "code_f": 1.0}
