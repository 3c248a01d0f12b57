"""How subjects are measured on a suite: counts, seeds, our failures, interrupted evaluations."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from redqueen.benchmarks import Subject, evaluate, measure, tasks_of_suite
from redqueen.config import Config
from redqueen.engines.base import OnFinished, Sampling, ignore
from redqueen.environments.base import Attempt, Elicited, TaskSource, Verification
from redqueen.errors import ConfigError, InfrastructureError
from redqueen.store import EvaluationAttempt, EvaluationStore, RunStore
from redqueen.types import Completion, Messages, Request, Suppression, Task, Verdict, user


class Sums:
    """Tasks `n`, whose answer is n + 1; a suite of six."""

    name = "sums"

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    @property
    def sources(self) -> dict[str, TaskSource]:
        return {"six": self, "stream": self}

    def tasks(self, count: int, seed: int) -> list[Task]:
        return [Task(f"sum-{n}", "sums", "sum", {"n": n}, {"band": n % 2}) for n in range(6)][
            :count
        ]

    def prompt(self, task: Task) -> Messages:
        return user(str(task.payload["n"]))

    def verify(self, attempts: Sequence[Attempt]) -> list[Verification]:
        self.calls.append([attempt.text for attempt in attempts])
        return [
            Verification(
                Verdict.CORRECT if a.text == str(a.task.payload["n"] + 1) else Verdict.WRONG, a.text
            )
            for a in attempts
        ]


Writer = Callable[[Request, float], str]


class Scripted:
    """An engine that writes what a function of the request says, and notes the requests."""

    def __init__(self, write: Writer) -> None:
        self.write = write
        self.requests: list[Request] = []

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, on_finished: OnFinished = ignore
    ) -> list[Completion]:
        self.requests += requests
        texts = [
            Completion(r.slot, (1,), (2,), (-0.1,), self.write(r, sampling.temperature), True)
            for r in requests
        ]
        on_finished(dict(enumerate(texts)))
        return texts


def right(request: Request, temperature: float) -> str:
    return str(int(request.messages[0].content) + 1)


def right_if_greedy(request: Request, temperature: float) -> str:
    return right(request, temperature) if temperature == 0 else "?"


BASE, STUDENT = Subject("base", None), Subject("member:3", 1)


def run(write: Writer, environment: Sums, samples: int = 2) -> list[EvaluationAttempt]:
    return evaluate(
        Scripted(write),  # type: ignore[arg-type]
        environment.verify,
        {"sums": environment},
        "six",
        environment.tasks(6, 0),
        [BASE, STUDENT],
        samples=samples,
        max_new_tokens=8,
        seed=1,
    )


def test_every_attempt_is_kept_with_its_verdict() -> None:
    rows = run(right_if_greedy, Sums())
    assert len(rows) == 2 * 6 * (1 + 2)
    by_mode = {mode: [r for r in rows if r.mode == mode] for mode in ("greedy", "sampled")}
    assert {r.verdict for r in by_mode["greedy"]} == {Verdict.CORRECT}
    assert {r.verdict for r in by_mode["sampled"]} == {Verdict.WRONG}
    assert {(r.mode, r.temperature) for r in rows} == {("greedy", 0.0), ("sampled", 1.0)}
    assert {r.attempt for r in by_mode["sampled"]} == {0, 1}
    assert {r.answer for r in by_mode["sampled"]} == {"?"}


def test_subjects_draw_with_common_random_numbers_and_attempts_do_not() -> None:
    rows = run(right, Sums())
    seeds = {
        name: [(r.mode, r.task_id, r.attempt, r.request.seed) for r in rows if r.subject == name]
        for name in ("base", "member:3")
    }
    assert seeds["base"] == seeds["member:3"]
    sampled = [seed for mode, *_, seed in seeds["base"] if mode == "sampled"]
    assert len(set(sampled)) == len(sampled)
    assert {r.request.slot for r in rows if r.subject == "member:3"} == {1}


def test_no_samples_is_greedy_alone() -> None:
    assert {row.mode for row in run(right, Sums(), samples=0)} == {"greedy"}


class Flaky(Sums):
    """Loses every answer `lost` times before it verifies it."""

    def __init__(self, lost: int) -> None:
        super().__init__()
        self.lost = lost
        self.seen: dict[str, int] = {}

    def verify(self, attempts: Sequence[Attempt]) -> list[Verification]:
        verified = super().verify(attempts)
        for place, attempt in enumerate(attempts):
            self.seen[attempt.task.id] = self.seen.get(attempt.task.id, 0) + 1
            if self.seen[attempt.task.id] <= self.lost:
                verified[place] = replace(verified[place], verdict=Verdict.INFRA_ERROR)
        return verified


def test_attempts_that_the_verifier_lost_are_tried_once_more() -> None:
    assert {row.verdict for row in run(right, Flaky(lost=1))} == {Verdict.CORRECT}
    with pytest.raises(InfrastructureError, match="sandbox failed on six task sum-0"):
        run(right, Flaky(lost=4))  # both subjects' attempts, twice


def test_a_suite_is_a_source_of_some_environment() -> None:
    one, two = Sums(), Sums()
    environments = {"one": one, "two": two}
    assert len(tasks_of_suite(environments, "six", 6, 0)) == 6
    assert [t.id for t in tasks_of_suite(environments, "two/six", 2, 0)] == ["sum-0", "sum-1"]
    assert len(tasks_of_suite({"one": one}, "six", 100, 0)) == 6
    with pytest.raises(ConfigError, match="no environment has a source 'seven'"):
        tasks_of_suite(environments, "seven", 6, 0)
    with pytest.raises(ConfigError, match="at most 2000"):
        tasks_of_suite({"one": one}, "six", 2001, 0)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    declared = {"sums": {"difficulty": {"name": "band", "title": "Band", "edges": []}}}
    RunStore.create(tmp_path / "run", Config(), declared).close()
    return tmp_path / "run"


def measured(directory: Path, write: Writer, step: int = 0) -> Scripted:
    engine, environment = Scripted(write), Sums()
    with EvaluationStore.open(directory) as store:
        measure(
            store,
            engine,  # type: ignore[arg-type]
            {"sums": environment},
            "six",
            environment.tasks(6, 0),
            [BASE, STUDENT],
            step=step,
            samples=1,
            max_new_tokens=8,
            seed=1,
            batch=2,
        )
    return engine


def stops_at(task: int) -> Writer:
    def write(request: Request, temperature: float) -> str:
        if request.messages[0].content == str(task):
            raise KeyboardInterrupt
        return right(request, temperature)

    return write


def test_subjects_write_side_by_side_and_an_interrupted_evaluation_is_taken_up(
    directory: Path,
) -> None:
    with pytest.raises(KeyboardInterrupt):
        measured(directory, stops_at(3))
    with RunStore.open(directory, read_only=True) as store:
        assert store.load_evaluations() == []
    engine = measured(directory, right)
    asked = [(request.messages[0].content, request.slot) for request in engine.requests]
    both = [(str(n), slot) for n in range(6) for slot in (None, 1)]
    assert asked == [*both[6:], *both]  # the rest of the greedy attempts, then the sampled ones
    with RunStore.open(directory, read_only=True) as store:
        rows = store.load_evaluations()
    assert len(rows) == 2 * 2 * 6
    assert {(row.correct, row.samples) for row in rows} == {(1, 1)}
    assert {row.band for row in rows} == {0, 1}


def test_parts_of_another_step_are_not_used(directory: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        measured(directory, stops_at(3))
    engine = measured(directory, right, step=1)
    assert len(engine.requests) == 2 * 2 * 6


def test_a_new_evaluation_replaces_the_old_one(directory: Path) -> None:
    measured(directory, right)
    measured(directory, lambda request, temperature: "?")
    with RunStore.open(directory, read_only=True) as store:
        assert {row.correct for row in store.load_evaluations()} == {0}


def test_the_elicited_base_gets_the_environments_help_and_twice_the_room() -> None:
    class Helped(Sums):
        def elicit(self, task: Task) -> Elicited:
            return Elicited((*user("1 + 1 = 2"), *self.prompt(task)), ("4",))

    asked: list[tuple[Request, Sampling]] = []

    class Noting(Scripted):
        def generate(self, requests, sampling, on_finished=ignore):  # type: ignore[no-untyped-def]
            asked.extend((request, sampling) for request in requests)
            return super().generate(requests, sampling, on_finished)

    for environment, suppression, turns in (
        (Helped(), Suppression(opening=("4",)), 2),
        (Sums(), None, 1),
    ):
        asked.clear()
        tasks = environment.tasks(2, 0)
        evaluate(
            Noting(lambda request, temperature: "1"), environment.verify, {"sums": environment},
            "six", tasks, [Subject("base", None), Subject("elicited", None)],
            samples=0, max_new_tokens=8, seed=3,
        )  # fmt: skip
        (base, plain), (helped, doubled) = asked[0], asked[2]
        assert (plain.max_new_tokens, doubled.max_new_tokens) == (8, 16)
        assert (base.suppression, helped.suppression) == (None, suppression)
        assert (len(base.messages), len(helped.messages)) == (1, turns)
        assert (base.slot, helped.slot, base.seed) == (None, None, helped.seed)
