"""Majority votes: who is elected, what is kept of it, and what a result shows."""

from pathlib import Path

import pytest

from redqueen.benchmarks import Subject, measure
from redqueen.benchmarks.votes import elected, votes
from redqueen.config import build_config
from redqueen.report.benchmarks import benchmark_lines
from redqueen.report.heldout import summarize
from redqueen.store import EvaluationAttempt, EvaluationStore, RunStore
from redqueen.types import Completion, Member, Request, Role, StepRecord, Verdict, user
from tests.benchmarks.test_evaluate import Scripted, Sums

C, W, M = Verdict.CORRECT, Verdict.WRONG, Verdict.MALFORMED


def ballots(subject: str, task: str, *answers: str | None) -> list[EvaluationAttempt]:
    return [
        EvaluationAttempt(
            "six", subject, "sampled", task, number, 1.0, Request(0, user(task), number),
            Completion(0, (1,), (2,), (-0.1,), f"{subject} says {answer}", True),
            M if answer is None else C if answer == "7" else W, answer,
        )
        for number, answer in enumerate(answers)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("answers", "place"),
    [
        (("8", "7", "7"), 1),
        (("8", "7", "7", "8"), 0),  # a tie goes to the answer that came first
        ((None, None, "7"), 2),  # what could not be read has no vote
        ((None, None), 0),
        (("8",), 0),
    ],
)
def test_the_first_attempt_with_the_most_frequent_answer_is_elected(
    answers: tuple[str | None, ...], place: int
) -> None:
    some = ballots("base", "t", *answers)
    assert elected(some) is some[place]


def test_every_subject_votes_and_all_students_together() -> None:
    rows = [
        *ballots("base", "t", "7", "7", "8"),
        *ballots("member:1", "t", "8", "8", "7"),
        *ballots("member:2", "t", "7", "9", "7"),
    ]
    made = {row.subject: row for row in votes(rows)}
    assert {name: row.verdict for name, row in made.items()} == {
        "base": C, "member:1": W, "member:2": C, "team": C,
    }  # fmt: skip
    assert made["team"].completion.text == "member:1 says 7"  # the base has no vote
    assert {(row.mode, row.attempt) for row in made.values()} == {("vote", 0)}
    assert votes(votes(rows)) == []


def test_an_evaluation_with_votes_shows_them(tmp_path: Path) -> None:
    config = build_config({"rollout": {"interaction": {"type": "vote", "voters": 5}}})
    assert config.rollout.interaction.evaluation_votes() == 5
    roles = (Role.STUDENT,)
    members = tuple(Member(n, n, roles, 25.0, 8.0) for n in (0, 1))
    with RunStore.create(tmp_path / "run", config) as store:
        store.write_step(StepRecord(1, (), (), (), (), (), members, (), {}, {}))

    def write(request: Request, temperature: float) -> str:
        """Right two times in five, with wrong answers that differ; student 1 is always right."""
        right = request.slot == 1 or request.seed % 5 < 2
        n = int(request.messages[0].content)
        return str(n + 1) if right else f"{request.seed}"

    environment = Sums()
    subjects = [Subject("base", None), Subject("member:0", 0), Subject("member:1", 1)]
    with EvaluationStore.open(tmp_path / "run") as store:
        measure(
            store, Scripted(write), {"sums": environment}, "six",  # type: ignore[arg-type]
            environment.tasks(6, 0), subjects, step=1, samples=15, max_new_tokens=8, seed=1,
            vote=True,
        )  # fmt: skip
        rows = store.load_evaluations("six")
        result = summarize(store, "six")
        assert benchmark_lines(store) == []
    assert result is not None
    assert result.modes == ("sampled", "greedy", "vote")
    of_mode = {mode: [r for r in rows if r.mode == mode] for mode in result.modes}
    assert {r.samples for r in of_mode["vote"]} == {1}
    assert {r.subject for r in of_mode["vote"]} == {"base", "member:0", "member:1", "team"}
    line = result.standing("all students")
    assert line is not None
    assert line.rates["vote", "all"].value == 1.0
    assert ("sampled", "all") not in line.rates
    base = result.standing("base")
    assert base is not None
    assert base.rates["sampled", "all"].value < 0.6 < base.rates["vote", "all"].value
