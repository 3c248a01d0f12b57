"""Disputed keys: when one is, what it is worth, and 50 planted ones among 100."""

from collections.abc import Iterator
from random import Random

import pytest

from redqueen.config import LearnerConfig, SandboxConfig
from redqueen.environments.base import Attempt, Services, Verification
from redqueen.environments.math import Math, MathEnvironment, MathGrader
from redqueen.learner import assign_rewards, disputed_tasks
from redqueen.types import Match, Proposal, Request, Rollout, Task, Verdict, user
from tests.learner.records import text

RIGHT, WRONG, LOST = Verdict.CORRECT, Verdict.WRONG, Verdict.INFRA_ERROR
NO_ANSWER = Verdict.MALFORMED


REQUEST, COMPLETION = Request(0, user("ask"), 1), text(0)


Said = list[tuple[Verdict, str | None]]


def match_of(environment: str = "math") -> Match:
    return Match(1, 0, 1, 2, environment=environment)


def proposal_of(task: Task, match: int = 0) -> Proposal:
    return Proposal(1, match, 1, task.kind, (), REQUEST, COMPLETION, task)


def rollouts_of(task: Task, said: Said, match: int = 0) -> list[Rollout]:
    return [
        Rollout(1, match, 2, task.id, task.kind, n, "g", REQUEST, COMPLETION, verdict, answer)
        for n, (verdict, answer) in enumerate(said)
    ]


def disputed(said: Said, environment: str = "math") -> bool:
    task = Task("t", environment, "math", {})
    return bool(
        disputed_tasks(
            [match_of(environment)], [proposal_of(task)], rollouts_of(task, said), {"math"}
        )
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([(WRONG, "5")] * 6 + [(RIGHT, "4")] * 2, True),
        ([(WRONG, "5")] * 6 + [(WRONG, "6"), (NO_ANSWER, None)], True),
        ([(WRONG, "5")] * 5 + [(RIGHT, "4")] * 3, False),
        ([(WRONG, "5")] * 5 + [(WRONG, "6")] * 3, False),
        ([(WRONG, str(n)) for n in range(8)], False),
        ([(NO_ANSWER, None)] * 8, False),
        ([(WRONG, None)] * 8, False),
        ([(RIGHT, "4")] * 8, False),
        ([(WRONG, "5")] * 3, False),
        ([(WRONG, "5")] * 4 + [(LOST, None)] * 4, True),
        ([(LOST, None)] * 8, False),
        ([], False),
    ],
)
def test_when_a_key_is_disputed(said: Said, expected: bool) -> None:
    assert disputed(said) is expected
    assert not disputed(said, environment="code")


def test_a_disputed_key_pays_nobody_and_teaches_nobody() -> None:
    good, bad = Task("good", "math", "math", {}), Task("bad", "math", "math", {})
    rollouts = rollouts_of(good, [(RIGHT, "4"), (WRONG, "5")]) + rollouts_of(
        bad, [(WRONG, "5")] * 6 + [(RIGHT, "4")] * 2
    )
    proposals = [proposal_of(good), proposal_of(bad)]
    rewards = assign_rewards([match_of()], proposals, rollouts, LearnerConfig(), (), {"math"})
    assert rewards.proposals == (0.5, 0.0)
    assert rewards.rollouts == (1.0, -0.5, *8 * (None,))
    trusted = assign_rewards([match_of()], proposals, rollouts, LearnerConfig())
    assert trusted.proposals == (0.5, 0.75)


@pytest.fixture(scope="module")
def math() -> Iterator[MathEnvironment]:
    with MathGrader(SandboxConfig(workers=1)) as grader:
        yield Math().build(Services(pytest.fail, "chat", shared=lambda start: grader))  # type: ignore[arg-type,return-value]


def test_fifty_planted_keys_are_found_and_no_other(math: MathEnvironment) -> None:
    """Students who know 90 % of the answers, and who write them in several forms."""
    rng = Random(5)
    matches, proposals, rollouts, planted = [], [], [], set()
    for number in range(100):
        truth = rng.randint(20, 400)
        key = truth + rng.choice([-10, 1, 7]) if number % 2 else truth
        task = Task(f"t{number}", "math", "math", {"answer": str(key)})
        forms = (f"\\boxed{{{truth}}}", f"\\boxed{{{truth}.0}}", f"The answer is {truth}.")
        knowing = [rng.choice(forms)] * 6 + [rng.choice(forms)]
        texts = [*knowing, f"\\boxed{{{rng.randint(500, 900)}}}"]
        said: list[Verification] = math.verify([Attempt(task, text) for text in texts])
        matches.append(Match(1, number, 1, 2, environment="math"))
        proposals.append(proposal_of(task, number))
        rollouts += rollouts_of(task, [(item.verdict, item.answer) for item in said], number)
        planted |= {(number, task.id)} if number % 2 else set()
    contradicted = disputed_tasks(matches, proposals, rollouts, {"math"})
    assert len(planted) == 50
    assert contradicted == planted
