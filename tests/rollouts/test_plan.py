"""Who is asked for what, and who attempts what."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from redqueen.config import build_config
from redqueen.curriculum import Archive
from redqueen.environments.base import Verification
from redqueen.population import Population, RatingSystem, make_matches
from redqueen.rollouts.interactions.independent import Independent
from redqueen.rollouts.plan import plan_posings, plan_proposals, posed_tasks
from redqueen.types import (
    Completion,
    Match,
    Proposal,
    Rejection,
    Request,
    Task,
    Verdict,
    user,
)

DONE = Completion(0, (1,), (2,), (-0.1,), "x", True)


class Words:
    """A task space of two kinds; `b` shows one reference at most."""

    name = "words"
    kinds = ("a", "b")
    measures = ()

    def prompt(self, task: Task) -> Any:
        return user(f"solve {task.id}")

    def ask(self, kind: str, references: Any) -> Any:
        return user(f"write {kind} unlike {[task.id for task in references]}")

    def references_for(self, kind: str, count: int) -> int:
        return min(count, 1) if kind == "b" else count


def task(name: str, kind: str = "a") -> Task:
    return Task(name, "words", kind, {})


def matches_of(config: Any, step: int = 1, seed: int = 0) -> tuple[Match, ...]:
    return make_matches(
        Population.founders(config.population),
        config.population.matchmaking,
        RatingSystem(config.population),
        count=config.rollout.matches,
        students_per_task=config.rollout.students_per_task,
        shares={"words": 1.0},
        step=step,
        rng=np.random.default_rng(seed),
    )


def test_teachers_are_asked_for_kinds_in_turn_with_references_of_the_archive() -> None:
    config = build_config({"population": {"teachers": 2, "students": 2}, "rollout": {"matches": 2}})
    archive = Archive(10, Words())  # type: ignore[arg-type]
    archive.add([task("t1"), task("t2"), task("t3", "b")])
    planned = plan_proposals(
        matches_of(config),
        Population.founders(config.population),
        {"words": Words()},  # type: ignore[dict-item]
        {"words": archive},
        config.curriculum.references,
        tasks_per_match=4,
        reference_count=2,
        step=1,
        seed=0,
    )
    assert [p.kind for p in planned] == ["b", "a", "b", "a", "a", "b", "a", "b"]
    assert [len(p.references) for p in planned] == [1, 2, 1, 2, 2, 1, 2, 1]
    for p in planned:
        assert p.request.messages == Words().ask(p.kind, p.references)
        assert p.request.slot == p.teacher
    assert len({p.request.seed for p in planned}) == 8


def test_references_that_do_not_fit_are_left_out_as_far_as_the_kind_allows() -> None:
    config = build_config({"population": {"teachers": 1, "students": 1}, "rollout": {"matches": 1}})
    archive = Archive(10, Words())  # type: ignore[arg-type]
    archive.add([task("t1"), task("t2"), task("t3")])

    def fewest(longest: int) -> list[int]:
        planned = plan_proposals(
            matches_of(config),
            Population.founders(config.population),
            {"words": Words()},  # type: ignore[dict-item]
            {"words": archive},
            config.curriculum.references,
            tasks_per_match=2,
            reference_count=3,
            step=1,
            seed=0,
            fits=lambda messages: len(messages[0].content) <= longest,
        )
        assert all(p.request.messages == Words().ask(p.kind, p.references) for p in planned)
        return [len(p.references) for p in planned]

    assert fewest(1000) == [1, 3]
    assert fewest(len(Words().ask("a", [task("t1")] * 2)[0].content)) == [1, 2]
    assert fewest(0) == [0, 0]


def test_attempts_of_the_matched_student_come_first_and_seeds_differ() -> None:
    config = build_config(
        {
            "population": {"teachers": 1, "students": 3},
            "rollout": {"matches": 2, "attempts": 3, "students_per_task": "all"},
        }
    )
    population, matches = Population.founders(config.population), matches_of(config)
    tasks = [task(f"t{n}") for n in range(3)]
    bad = Rejection("syntax", malformed=True)
    outcomes = [(0, tasks[0]), (0, bad), (1, tasks[1]), (1, tasks[0])]
    asked = Request(0, user("write"), 1)
    proposals = [Proposal(1, m, 0, "a", (), asked, DONE, outcome) for m, outcome in outcomes]
    posed = posed_tasks(matches, proposals, [])
    assert [(match.index, item.id) for match, item in posed] == [(0, "t0"), (1, "t1"), (1, "t0")]
    posings = plan_posings(posed, matches, population.by_id, {"words": Words()})
    assert len(posings) == 3 * 3
    for start, (root, item) in zip(range(0, 9, 3), posed, strict=True):
        group = posings[start : start + 3]
        assert {(p.task.id, p.match.root) for p in group} == {(item.id, root.index)}
        assert group[0].match.student == root.student
        assert Counter(p.match.student for p in group) == {1: 1, 2: 1, 3: 1}
        assert {p.prompt for p in group} == {Words().prompt(item)}
    interaction = Independent().begin(posings, config.rollout.attempts, 1, 0)
    turns = interaction.ask()
    assert len({turn.request.seed for turn in turns}) == len(turns) == 27
    assert all(turn.task is not None for turn in turns)


def test_a_further_student_changes_nothing_for_the_matched_one() -> None:
    plans = []
    for students in (1, 2):
        config = build_config(
            {
                "population": {"teachers": 2, "students": 3},
                "rollout": {"matches": 3, "students_per_task": students},
            }
        )
        matches = matches_of(config, step=4, seed=9)
        posed = [(match, task("t0")) for match in matches[:3]]
        population = Population.founders(config.population)
        posings = plan_posings(posed, matches, population.by_id, {"words": Words()})
        turns = Independent().begin(posings, 2, 4, 0).ask()
        plans.append(
            [turn for posing, pair in zip(posings, pairs(turns), strict=True)
             if posing.match.tasks_of is None for turn in pair]
        )  # fmt: skip
    assert plans[0] == plans[1]


def pairs(turns: list[Any]) -> list[list[Any]]:
    return [turns[i : i + 2] for i in range(0, len(turns), 2)]


def test_independent_attempts_are_one_round_and_make_a_rollout_each() -> None:
    config = build_config({"population": {"teachers": 1, "students": 1}, "rollout": {"matches": 1}})
    (match,) = matches_of(config)
    population = Population.founders(config.population)
    posings = plan_posings([(match, task("t0"))], [match], population.by_id, {"words": Words()})
    interaction = Independent().begin(posings, 2, 1, 0)
    turns = interaction.ask()
    verdicts = [Verification(Verdict.CORRECT, "7"), Verification(Verdict.WRONG, "8", 0.5)]
    interaction.tell([DONE, DONE], verdicts)
    assert interaction.ask() == []
    rollouts = interaction.rollouts()
    assert [(r.attempt, r.verdict, r.answer, r.partial_score) for r in rollouts] == [
        (0, Verdict.CORRECT, "7", None), (1, Verdict.WRONG, "8", 0.5),
    ]  # fmt: skip
    assert [r.request for r in rollouts] == [turn.request for turn in turns]
    assert len({r.group for r in rollouts}) == 1
    with pytest.raises(ValueError, match="zip"):
        interaction.tell([DONE], verdicts)
