"""A sandbox that others help: the outcomes of one alone, whoever is slow or lost."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redqueen.cluster.sandboxes import CHUNK, SharedSandbox
from redqueen.config import SandboxConfig
from redqueen.sandbox import Call, Outcome, OutcomeKind, Sandbox, make_sandbox

Run = Callable[[Sequence[Call]], "Future[list[Outcome]]"]


class Echo:
    """A sandbox without an interpreter: a call's outcome is its argument."""

    def __init__(self) -> None:
        self.seen = 0
        self.closed = False

    def run(self, calls: Sequence[Call]) -> list[Outcome]:
        self.seen += len(calls)
        return [Outcome(OutcomeKind.VALUE, text=repr(call.args[0])) for call in calls]

    def close(self) -> None:
        self.closed = True


class Helper:
    def __init__(self, run: Run) -> None:
        self.run = run


class Crowd:
    """Helpers that are all present; a lost one stays, so that it is asked again and again."""

    def __init__(self, *runs: Run) -> None:
        self.helpers = [Helper(run) for run in runs]

    def present(self) -> list[Helper]:
        return self.helpers

    def close(self) -> None:
        self.helpers = []


def at_once(calls: Sequence[Call]) -> "Future[list[Outcome]]":
    future: Future[list[Outcome]] = Future()
    future.set_result(Echo().run(calls))
    return future


def lost(calls: Sequence[Call]) -> "Future[list[Outcome]]":
    future: Future[list[Outcome]] = Future()
    future.set_exception(ConnectionError("gone"))
    return future


def broken(calls: Sequence[Call]) -> "Future[list[Outcome]]":
    future: Future[list[Outcome]] = Future()
    future.set_result([Outcome(OutcomeKind.INFRA_ERROR) for _ in calls])
    return future


def never(calls: Sequence[Call]) -> "Future[list[Outcome]]":
    return Future()


def calls_of(number: int) -> list[Call]:
    return [Call("", "f", (place,)) for place in range(number)]


def texts(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome.text for outcome in outcomes]


@given(
    st.integers(0, 6 * CHUNK),
    st.lists(st.sampled_from([at_once, lost, broken, never]), max_size=4),
)
@settings(max_examples=30, deadline=None)
def test_every_call_has_its_outcome(number: int, runs: list[Run]) -> None:
    with SharedSandbox(Echo(), Crowd(*runs)) as sandbox:  # type: ignore[arg-type]
        for _ in range(2):  # those that never answer are still busy
            assert texts(sandbox.run(calls_of(number))) == [str(n) for n in range(number)]


def test_helpers_take_their_share() -> None:
    own = Echo()
    with SharedSandbox(own, Crowd(at_once, at_once)) as sandbox:  # type: ignore[arg-type]
        sandbox.run(calls_of(30 * CHUNK))
        assert sandbox.helped == 20 * CHUNK
        assert own.seen == 10 * CHUNK
    assert own.closed


def test_few_calls_stay_here() -> None:
    with SharedSandbox(Echo(), Crowd(at_once)) as sandbox:  # type: ignore[arg-type]
        sandbox.run(calls_of(CHUNK))
        assert sandbox.helped == 0


def test_who_does_not_answer_gets_no_more() -> None:
    asked = count()

    def silent(calls: Sequence[Call]) -> "Future[list[Outcome]]":
        next(asked)
        return Future()

    with SharedSandbox(Echo(), Crowd(silent)) as sandbox:  # type: ignore[arg-type]
        for _ in range(3):
            sandbox.run(calls_of(4 * CHUNK))
    assert next(asked) == 1


@pytest.fixture
def sandboxes() -> Iterator[tuple[Sandbox, Sandbox, ThreadPoolExecutor]]:
    config = SandboxConfig(workers=1)
    with make_sandbox(config) as one, make_sandbox(config) as other, ThreadPoolExecutor(1) as pool:
        yield one, other, pool


def test_real_programs_end_as_in_one_sandbox(
    sandboxes: tuple[Sandbox, Sandbox, ThreadPoolExecutor],
) -> None:
    one, other, pool = sandboxes
    programs = ["return x * x", "return [x] * 2", "return x // 0", "return x +"]
    calls = [
        Call(f"def f(x):\n    {programs[place % 4]}", "f", (place,)) for place in range(5 * CHUNK)
    ]
    crowd = Crowd(lambda calls: pool.submit(other.run, calls))
    shared = SharedSandbox(one, crowd)  # type: ignore[arg-type]
    assert shared.run(calls) == one.run(calls)
    assert shared.helped > 0
