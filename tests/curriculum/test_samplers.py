"""The rules by which references are drawn, against the shares that they promise."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from redqueen.config import CurriculumConfig
from redqueen.curriculum.archive import Archive
from redqueen.curriculum.samplers import (
    AzrReferences,
    RareReferences,
    RecentReferences,
    UniformReferences,
    VariedReferences,
)
from redqueen.environments.base import Measure
from redqueen.types import Rejection, Task
from tests.toy_environments import Sums

DRAWS = 3000


def task(number: int, kind: str = "code_o", cell: int = 0, step: int = 0) -> Task:
    return Task(f"t{number}", "code", kind, {}, {"cell": cell}, step=step)


class Rooms(Sums):
    measures: tuple[Measure, ...] = (Measure("cell", "Cell", (1,)),)


RULES = {
    "uniform": UniformReferences(),
    "rare": RareReferences(),
    "recent": RecentReferences(),
    "azr": AzrReferences(),
}


def filed(*tasks: Task) -> Archive:
    archive = Archive(100, Rooms())
    archive.add(tasks)
    return archive


def shares(rule: str, archive: Archive, kind: str = "code_o", count: int = 1) -> Counter[str]:
    rng = np.random.default_rng(5)
    drawn = (RULES[rule](archive, kind, count, rng) for _ in range(DRAWS))
    return Counter(item.id for several in drawn for item in several)


def near(count: int, share: float) -> bool:
    """Within five standard deviations of a binomial count."""
    return abs(count - DRAWS * share) < 5 * (DRAWS * share * (1 - share)) ** 0.5 + 1e-9


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_draws_distinct_tasks_by_the_generator_alone(rule: str) -> None:
    archive = filed(*(task(n, f"code_{'oif'[n % 3]}", n % 2, n) for n in range(12)))

    def draw(count: int, seed: int) -> list[str]:
        rng = np.random.default_rng(seed)
        return [item.id for item in RULES[rule](archive, "code_f", count, rng)]

    assert draw(4, 1) == draw(4, 1)
    assert any(draw(4, 1) != draw(4, seed) for seed in range(2, 6))
    assert len(set(draw(4, 1))) == 4
    assert draw(0, 1) == []
    everything = draw(99, 1)
    assert len(set(everything)) == len(everything) == (8 if rule == "azr" else 12)
    assert [item.id for item in archive.tasks.values()] == [f"t{n}" for n in range(12)]
    assert RULES[rule](filed(), "code_f", 2, np.random.default_rng(0)) == []


def test_uniform_draws_what_the_archive_samples() -> None:
    archive = filed(*(task(n) for n in range(9)))
    for seed in range(5):
        drawn = RULES["uniform"](archive, "code_i", 3, np.random.default_rng(seed))
        assert drawn == archive.sample(3, np.random.default_rng(seed))


def test_rare_draws_cells_first() -> None:
    archive = filed(task(0, cell=0), *(task(n, cell=1) for n in range(1, 10)))
    counts = shares("rare", archive)
    assert near(counts["t0"], 1 / 2)
    assert all(near(counts[f"t{n}"], 1 / 18) for n in range(1, 10))
    # Two draws: the lone task is left out only if both go to the crowd.
    assert near(shares("rare", archive, count=2)["t0"], 3 / 4)


def test_recent_draws_by_step_plus_one() -> None:
    archive = filed(task(0, step=0), task(1, step=1), task(2, step=6))
    counts = shares("recent", archive)
    assert all(near(counts[f"t{n}"], weight / 10) for n, weight in enumerate((1, 2, 7)))


@pytest.mark.parametrize(
    ("kind", "pool"),
    [("code_o", ("t0", "t1")), ("code_i", ("t2",)), ("code_f", ("t0", "t1", "t2"))],
)
def test_azr_draws_from_the_kind_and_for_code_f_from_the_others(
    kind: str, pool: tuple[str, ...]
) -> None:
    archive = filed(task(0), task(1), task(2, "code_i"), task(3, "code_f"))
    counts = shares("azr", archive, kind)
    assert set(counts) == set(pool)
    assert all(near(counts[name], 1 / len(pool)) for name in pool)


def test_azr_takes_any_task_when_none_fits() -> None:
    archive = filed(task(0, "code_f"), task(1, "code_f"))
    assert set(shares("azr", archive, "code_f")) == {"t0", "t1"}
    assert set(shares("azr", archive, "code_i")) == {"t0", "t1"}


def test_azr_can_be_told_which_kinds_build_on_others() -> None:
    rule = AzrReferences(builds_on_others=("proof",))
    archive = filed(task(0), task(1, "proof"), task(2, "code_f"))
    drawn = {kind: rule(archive, kind, 9, np.random.default_rng(0)) for kind in ("proof", "code_f")}
    assert {item.id for item in drawn["proof"]} == {"t0", "t2"}
    assert {item.id for item in drawn["code_f"]} == {"t2"}


def test_every_rule_can_be_configured() -> None:
    assert CurriculumConfig().references == UniformReferences()
    for name, rule in RULES.items():
        config = CurriculumConfig(references=name)
        assert config.references == rule
        assert CurriculumConfig.model_validate(config.model_dump()) == config


class Shifting(Rooms):
    """Varies every task but the first; says of whom it took parts."""

    def vary(self, task: Task, donors: Sequence[Task], rng: np.random.Generator) -> Task | None:
        return None if task.id == "t0" else replace(task, id=f"{task.id}+{len(donors)}")


def test_varied_references_change_a_share_of_what_another_rule_draws() -> None:
    archive = Archive(100, Shifting())
    archive.add([task(number) for number in range(4)])
    rule = VariedReferences(by="rare", share=0.25, donors=2)
    rng = np.random.default_rng(1)
    drawn = Counter(rule(archive, "code_o", 1, rng)[0].id for _ in range(DRAWS))
    assert drawn.keys() == {"t0", "t1", "t2", "t3", "t1+2", "t2+2", "t3+2"}
    assert near(drawn["t0"], 1 / 4)
    assert near(sum(drawn[name] for name in ("t1+2", "t2+2", "t3+2")), 3 / 4 / 4)
    plain = filed(*(task(number) for number in range(4)))
    assert {t.id for t in rule(plain, "code_o", 9, rng)} == {"t0", "t1", "t2", "t3"}


def test_novelty_falls_with_the_tasks_in_a_cell() -> None:
    archive = filed(task(0), task(1), task(2), task(3, cell=1))
    assert archive.novelty(task(9)) == 4**-0.5
    assert archive.novelty(task(9, cell=1)) == 2**-0.5
    assert archive.novelty(task(9, "code_i")) == 1.0
    assert archive.novelty(Rejection("unparsable", malformed=True)) == 1.0
