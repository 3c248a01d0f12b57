"""The stream of generated tasks, and who attempts what."""

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest

from redqueen.config import Config, build_config
from redqueen.environments import CodeDomain
from redqueen.environments.base import Domain
from redqueen.environments.code.styles import COMPACT
from redqueen.errors import ConfigError
from redqueen.population import Population, make_matches
from redqueen.rollouts.plan import check_stream, plan_attempts, posed_tasks, stream_tasks
from redqueen.sandbox import Call, Outcome
from redqueen.types import Completion, Match, Proposal, Rejection, Task


class NoSandbox:
    """Generated tasks need no sandbox."""

    def run(self, calls: list[Call]) -> list[Outcome]:
        raise AssertionError("nothing runs here")

    def close(self) -> None: ...


def stream_config(**over: Any) -> Config:
    rollout = {"matches": 4, "tasks_per_match": 5, "attempts": 3} | over.pop("rollout", {})
    population = {"teachers": 0, "students": 3} | over.pop("population", {})
    return build_config({"population": population, "rollout": rollout, **over})


def code(config: Config) -> CodeDomain:
    return CodeDomain(config.domain, NoSandbox(), COMPACT)


def streamed(config: Config, step: int, held_out: frozenset[str] = frozenset()) -> list[Any]:
    population = Population.founders(config.population)
    matches = make_matches(population, config, step, np.random.default_rng(step))
    return stream_tasks(matches, code(config), config, step, lambda task: task.id in held_out)


def test_the_stream_follows_from_seed_step_match_and_number_alone() -> None:
    config = stream_config()
    ids = [(match.index, task.id) for match, task in streamed(config, 3)]
    assert [index for index, _ in ids] == [0] * 5 + [1] * 5 + [2] * 5 + [3] * 5
    assert ids == [(match.index, task.id) for match, task in streamed(config, 3)]
    assert {id_ for _, id_ in ids}.isdisjoint(task.id for _, task in streamed(config, 4))
    other = stream_config(seed=1)
    assert {id_ for _, id_ in ids}.isdisjoint(task.id for _, task in streamed(other, 3))
    assert {(task.author, task.step) for _, task in streamed(config, 3)} == {(None, 3)}


@pytest.mark.parametrize(("students", "matches", "tasks"), [(3, 4, 5), (5, 1, 3), (4, 4, 8)])
def test_every_student_walks_through_kinds_and_bands_alike(
    students: int, matches: int, tasks: int
) -> None:
    """code_o and code_i have five bands, code_f three: 45 tasks are a whole round."""
    config = stream_config(
        population={"students": students}, rollout={"matches": matches, "tasks_per_match": tasks}
    )
    seen: dict[int, Counter[tuple[str, float]]] = {s: Counter() for s in range(students)}
    steps = 45 * students // matches
    for step in range(steps):
        for match, task in streamed(config, step):
            seen[match.student][task.kind, task.features["band"]] += 1
    for counts in seen.values():
        for kind, bands in (("code_o", 5), ("code_i", 5), ("code_f", 3)):
            own = [count for (k, _), count in counts.items() if k == kind]
            assert len(own) == bands
            assert max(own) - min(own) <= 1


def test_bands_that_are_kept_out_never_come() -> None:
    config = stream_config(rollout={"stream_bands": [2, 4], "tasks_per_match": 9})
    found = {
        (task.kind, task.features["band"]) for s in range(4) for _, task in streamed(config, s)
    }
    assert found == {("code_o", 2), ("code_o", 4), ("code_i", 2), ("code_i", 4), ("code_f", 2)}


def test_a_held_out_task_is_drawn_again() -> None:
    config = stream_config()
    plain = [task.id for _, task in streamed(config, 1)]
    taken = frozenset((plain[0], plain[7]))
    again = [task.id for _, task in streamed(config, 1, taken)]
    assert [a == b for a, b in zip(plain, again, strict=True)] == [
        i not in (0, 7) for i in range(20)
    ]
    assert taken.isdisjoint(again)


class Monotone(CodeDomain):
    """Its generator knows two tasks."""

    def generated_task(self, kind: str, band: int, rng: Random) -> Task:
        return Task(f"only-{rng.randrange(2)}", "code", kind, {})


def test_an_exhausted_generator_is_a_clear_error() -> None:
    config = stream_config(rollout={"tasks_per_match": 2})
    match = (Match(1, 0, None, 0),)
    domain: Domain = Monotone(config.domain, NoSandbox(), COMPACT)
    both = {task.id for _, task in stream_tasks(match, domain, config, 1, lambda _: False)}
    assert both == {"only-0", "only-1"}
    with pytest.raises(ConfigError, match=r"no further code_\w task .* rollout.tasks_per_match"):
        stream_tasks(match, domain, config, 1, lambda task: task.id == "only-0")


def test_only_matches_against_the_stream_are_served() -> None:
    config = stream_config()
    matches = (Match(1, 0, 5, 0), Match(1, 1, None, 1), Match(1, 2, None, 0, tasks_of=1))
    found = stream_tasks(matches, code(config), config, 1, lambda _: False)
    assert {match.index for match, _ in found} == {1}


def test_bands_are_checked_where_the_stream_is_used() -> None:
    values: dict[str, Any] = {"rollout": {"stream_bands": [5]}}
    fitting = stream_config(**values, domain={"kinds": ["code_o"]})
    check_stream(fitting, code(fitting))
    taught = build_config(values)
    check_stream(taught, code(taught))
    config = stream_config(**values)
    with pytest.raises(ConfigError, match="no band of code_f tasks, whose bands are 1, 2, 3"):
        check_stream(config, code(config))


def test_bands_are_those_that_the_generator_makes() -> None:
    domain = code(Config())
    for kind in domain.kinds:
        made = {b: domain.generated_task(kind, b, Random(b)).features["band"] for b in range(1, 6)}
        assert tuple(b for b, found in made.items() if b == found) == domain.bands(kind)


DONE = Completion(0, (1,), (2,), (-0.1,), "x", True)


def test_attempts_of_the_matched_student_come_first_and_seeds_differ() -> None:
    config = build_config(
        {
            "population": {"teachers": 1, "students": 3},
            "rollout": {"matches": 2, "attempts": 3, "students_per_task": "all"},
        }
    )
    population, domain = Population.founders(config.population), code(config)
    matches = make_matches(population, config, 1, np.random.default_rng(0))
    tasks = domain.seed_tasks(3, seed=1)
    bad = Rejection("syntax", malformed=True)
    outcomes = [(0, tasks[0]), (0, bad), (1, tasks[1]), (1, tasks[0])]
    proposals = [Proposal(1, m, 0, "code_o", (), DONE, outcome) for m, outcome in outcomes]
    posed = posed_tasks(matches, proposals, [])
    assert [(match.index, task.id) for match, task in posed] == [
        (0, tasks[0].id), (1, tasks[1].id), (1, tasks[0].id),
    ]  # fmt: skip
    planned = plan_attempts(posed, matches, population, domain, config, 1)
    assert len(planned) == 3 * 3 * 3
    for start, (root, task) in zip(range(0, 27, 9), posed, strict=True):
        own = planned[start : start + 9]
        assert {(a.task.id, a.match.root) for a in own} == {(task.id, root.index)}
        students = [a.match.student for a in own]
        assert students[:3] == [root.student] * 3
        assert Counter(students) == {1: 3, 2: 3, 3: 3}
        assert [a.number for a in own] == [0, 1, 2] * 3
        assert all(a.request.slot == a.match.student for a in own)
        assert {a.request.prompt for a in own} == {domain.pose(task)}
    assert len({a.request.seed for a in planned}) == 27


def test_a_further_student_changes_nothing_for_the_matched_one() -> None:
    config = build_config({"population": {"teachers": 2, "students": 3}, "rollout": {"matches": 3}})
    wide = config.model_copy(
        update={"rollout": config.rollout.model_copy(update={"students_per_task": 2})}
    )
    population, domain = Population.founders(config.population), code(config)
    task = domain.seed_tasks(1, seed=1)[0]
    plans = []
    for chosen in (config, wide):
        matches = make_matches(population, chosen, 4, np.random.default_rng(9))
        posed = [(match, task) for match in matches[:3]]
        plans.append(plan_attempts(posed, matches, population, domain, chosen, 4))
    alone, shared = plans
    kept = [a for a in shared if a.match.tasks_of is None]
    assert kept == [replace(a) for a in alone]
    assert len(shared) == 2 * len(alone)
