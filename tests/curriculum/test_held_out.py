"""What is kept from training: sources by fingerprint, by id, by keys of their own."""

import pytest

from redqueen.curriculum import HeldOut, check_sources, suite_tasks
from redqueen.environments.code.environment import CodeEnvironment
from redqueen.errors import ConfigError
from redqueen.types import Task
from tests.code_cases import make_code
from tests.toy_environments import Listed, Sums, TaughtSums, TenSums, sum_task

SEED = 20_000_003


def test_all_sources_but_seed_and_stream_are_held_out_by_id() -> None:
    held_out = HeldOut(TenSums(), seed=0)
    assert [held_out.holds(sum_task(n, 1)) for n in range(6)] == [True] * 4 + [False] * 2
    assert not held_out.holds(sum_task(1, 3))


def test_an_environment_with_fingerprints_holds_out_copies_too() -> None:
    held_out = HeldOut(TaughtSums(), seed=0)
    assert held_out.holds(sum_task(1, 3))
    assert not held_out.holds(sum_task(3, 3))


def test_named_sources_alone_are_held_out() -> None:
    assert HeldOut(TenSums(), ["seed"], seed=0).holds(sum_task(9, 1))
    assert not HeldOut(TenSums(), [], seed=0).holds(sum_task(0, 1))
    assert not HeldOut(TenSums(), ["of another environment"], seed=0).holds(sum_task(0, 1))


def test_an_environment_without_sources_holds_nothing_out() -> None:
    assert not HeldOut(Sums(), seed=0).holds(sum_task(0, 1))


def test_only_the_head_of_a_source_is_held_out() -> None:
    source = Listed([sum_task(n, 1) for n in range(50)])

    class Long(Sums):
        @property
        def sources(self) -> dict[str, Listed]:
            return {"exam": source}

    held_out = HeldOut(Long(), seed=3, count=20)
    held = {task.id for task in source.all if held_out.holds(task)}
    assert held == {task.id for task in source.tasks(20, 3)}


class Counting:
    """A keyed source that counts how often its tasks are made."""

    def __init__(self) -> None:
        self.made = 0

    def tasks(self, count: int, seed: int) -> list[Task]:
        return [sum_task(seed, 50)][:count]

    def key(self, task: Task) -> str | None:
        return str(task.payload["b"]) if task.payload["b"] >= 50 else None

    def keys(self, count: int, seed: int) -> frozenset[str]:
        self.made += 1
        return frozenset(map(str, (task.payload["b"] for task in self.tasks(count, seed))))


def test_a_source_with_keys_is_asked_once_and_only_when_a_task_could_be_its_own() -> None:
    source = Counting()

    class Keyed(TenSums):
        @property
        def sources(self) -> dict[str, Counting]:
            return {"exam": source}

    held_out = HeldOut(Keyed(), seed=1)
    assert not held_out.holds(sum_task(1, 2))
    assert source.made == 0
    assert held_out.holds(sum_task(7, 50))
    assert not held_out.holds(sum_task(7, 51))
    assert source.made == 1


def test_names_of_sources_are_checked_over_all_environments() -> None:
    environments = {"sums": TenSums(), "plain": Sums()}
    check_sources(environments, ["held-out"], "eval.suites")
    with pytest.raises(ConfigError, match=r"eval\.suites: .* 'nope'; there are: held-out, seed"):
        check_sources(environments, ["held-out", "nope"], "eval.suites")
    with pytest.raises(ConfigError, match="there are: none"):
        check_sources({"plain": Sums()}, ["nope"], "eval.suites")


def test_suites_have_at_most_what_is_kept_from_training() -> None:
    assert len(suite_tasks(TenSums(), "held-out", 2000, 0)) == 4
    with pytest.raises(ConfigError, match="2001 held-out tasks: at most 2000"):
        suite_tasks(TenSums(), "held-out", 2001, 0)
    with pytest.raises(ConfigError, match="'nope'"):
        suite_tasks(TenSums(), "nope", 1, 0)


@pytest.fixture(scope="module")
def code() -> CodeEnvironment:
    return make_code(None)


def test_every_suite_of_code_is_held_out_and_what_training_draws_is_not(
    code: CodeEnvironment,
) -> None:
    held_out = HeldOut(code, seed=SEED, count=60)
    for name in ("held-out", "beyond", "handwritten"):
        assert all(map(held_out.holds, code.sources[name].tasks(60, SEED)))
    assert not any(map(held_out.holds, code.sources["seed"].tasks(60, 5)))
    assert not any(map(held_out.holds, code.sources["held-out"].tasks(61, SEED)[60:]))
