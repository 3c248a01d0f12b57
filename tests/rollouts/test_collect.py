"""Texts and checks side by side; attempts of several environments; turns without an answer."""

from collections.abc import Callable, Iterator, Sequence

import pytest

from redqueen.background import Background
from redqueen.engines.base import OnFinished, Sampling, ignore
from redqueen.environments.base import Attempt, Verification
from redqueen.errors import InfrastructureError
from redqueen.rollouts.collect import generate_and_check, run_interaction, verifier_of
from redqueen.rollouts.interactions.base import Turn
from redqueen.types import Completion, Messages, Request, Rollout, Task, Verdict, user


class Echo:
    """An engine that finishes its texts one after the other, and notes what happens between."""

    def __init__(self, events: list[str]) -> None:
        self.events = events

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, on_finished: OnFinished = ignore
    ) -> list[Completion]:
        completions = []
        for number, request in enumerate(requests):
            text = request.messages[0].content
            completions.append(Completion(request.slot, (1,), (2,), (-0.5,), text, True))
            on_finished({number: completions[-1]})
            self.events.append("written")
        return completions


@pytest.fixture
def background() -> Iterator[Background]:
    made = Background("checks")
    yield made
    made.close()


def requests(count: int) -> list[Request]:
    return [Request(0, user(str(number)), number) for number in range(count)]


def test_texts_are_checked_while_others_are_written_and_results_keep_their_order(
    background: Background,
) -> None:
    events: list[str] = []

    def check(items: Sequence[str]) -> list[int]:
        events.append("checked")
        return [int(item) for item in items]

    progress: list[tuple[int, int]] = []
    completions, checks = generate_and_check(
        Echo(events), requests(40), Sampling(4, 1.0), background, check,  # type: ignore[arg-type]
        lambda number, completion: completion.text,
        lambda done, total: progress.append((done, total)),
    )  # fmt: skip
    assert checks.results() == list(range(40))
    assert [completion.text for completion in completions] == [str(n) for n in range(40)]
    assert "checked" in events[: events.index("written") + 39]
    assert progress == [(n, 40) for n in range(1, 41)]
    assert checks.busy_seconds > 0


class Prefix:
    """Accepts answers that begin with its own name."""

    def __init__(self, name: str, verdict: Verdict = Verdict.CORRECT) -> None:
        self.name, self.verdict = name, verdict

    def prompt(self, task: Task) -> Messages:
        return user(task.id)

    def verify(self, attempts: Sequence[Attempt]) -> list[Verification]:
        assert {attempt.task.environment for attempt in attempts} == {self.name}
        return [Verification(self.verdict, f"{self.name}:{a.text}") for a in attempts]


def test_every_attempt_goes_to_the_environment_of_its_task() -> None:
    verify = verifier_of({"x": Prefix("x"), "y": Prefix("y")})
    attempts = [Attempt(Task(str(n), name, "k", {}), str(n)) for n, name in enumerate("xyyx")]
    assert [item.answer for item in verify(attempts)] == ["x:0", "y:1", "y:2", "x:3"]
    assert verify([]) == []


class TwoRounds:
    """A question without a verdict, then an answer with one."""

    def __init__(self, environment: str = "x") -> None:
        self.task = Task("t", environment, "k", {})
        self.told: list[list[Verification | None]] = []

    def ask(self) -> list[Turn]:
        rounds = [[(None, 2)], [(self.task, 2), (None, 1)]]
        if len(self.told) == 2:
            return []
        return [
            Turn(request, task, (0, "t", request.seed, len(self.told)))
            for task, count in rounds[len(self.told)]
            for request in requests(count)
        ]

    def tell(
        self, completions: Sequence[Completion], verifications: Sequence[Verification | None]
    ) -> None:
        self.told.append(list(verifications))

    def rollouts(self) -> list[Rollout]:
        request, completion = requests(1)[0], Completion(0, (1,), (2,), (-0.5,), "a", True)
        return [
            Rollout(1, 0, 0, "t", "k", n, "g", request, completion, item.verdict)
            for n, item in enumerate(item for item in self.told[1] if item is not None)
        ]


def run(background: Background, verdict: Verdict) -> tuple[TwoRounds, Callable[[], object]]:
    interaction = TwoRounds()
    verify = verifier_of({"x": Prefix("x", verdict)})
    return interaction, lambda: run_interaction(
        interaction, Echo([]), Sampling(4, 1.0), background, verify, lambda done, total: None  # type: ignore[arg-type]
    )  # fmt: skip


def test_only_turns_that_name_a_task_are_verified(background: Background) -> None:
    interaction, go = run(background, Verdict.WRONG)
    rollouts, seconds = go()  # type: ignore[misc]
    assert interaction.told[0] == [None, None]
    assert [None if v is None else v.answer for v in interaction.told[1]] == ["x:0", "x:1", None]
    assert len(rollouts) == 2
    assert seconds >= 0


def test_a_verifier_that_fails_on_everything_stops_the_step(background: Background) -> None:
    _, go = run(background, Verdict.INFRA_ERROR)
    with pytest.raises(InfrastructureError, match="all 2 attempts"):
        go()
