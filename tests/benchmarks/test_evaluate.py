"""The held-out suite: which tasks, and how subjects are measured on them."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from redqueen.benchmarks import SUITE, Subject, evaluate, heldout_tasks, measure
from redqueen.config import Code, Config, EvalConfig
from redqueen.environments.base import Attempt, Verification
from redqueen.environments.code.environment import CodeEnvironment
from redqueen.environments.code.styles import COMPACT
from redqueen.errors import InfrastructureError
from redqueen.rng import derive_seed
from redqueen.sandbox import Call, Outcome, OutcomeKind
from redqueen.store import EvaluationRow, RunStore
from redqueen.types import Completion, Request, Task, Verdict

SEED = EvalConfig().seed


class NoSandbox:
    """Neither making tasks nor judging code_o answers runs anything."""

    def __init__(self, outcome: Outcome | None = None):
        self.outcome = outcome

    def run(self, calls: Sequence[Call]) -> list[Outcome]:
        assert self.outcome is not None or not calls
        return [self.outcome for _ in calls]


CODE = make_code(NoSandbox(), "compact")


@pytest.fixture(scope="module")
def suite() -> list[Task]:
    return heldout_tasks(CODE, 300, SEED)


def test_deterministic_distinct_and_a_larger_suite_begins_with_the_smaller(
    suite: list[Task],
) -> None:
    assert heldout_tasks(CODE, 37, SEED) == suite[:37]
    assert len({task.id for task in suite}) == 300
    other = heldout_tasks(CODE, 60, SEED + 1)
    assert not {task.id for task in other} & {task.id for task in suite}


def test_spread_over_kinds_and_bands(suite: list[Task]) -> None:
    assert Counter(task.kind for task in suite) == dict.fromkeys(CODE.kinds, 100)
    bands = Counter((task.kind, task.features["band"]) for task in suite)
    assert all(bands[kind, band] == 20 for kind in ("code_o", "code_i") for band in range(1, 6))
    assert [bands["code_f", band] for band in range(1, 6)] == [40, 40, 20, 0, 0]


def test_a_crowded_cell_still_gets_its_share() -> None:
    class Crowded:
        """A environment whose generator repeats itself three times in four."""

        kinds = ("code_o", "code_i")

        def generated_task(self, kind: str, band: int, rng: object) -> Task:
            number = rng.randrange(4 * 10)  # type: ignore[attr-defined]
            return Task(f"{kind}{band}:{min(number, 10)}", "code", kind, {}, {"band": band})

    tasks = heldout_tasks(Crowded(), 57, 0)  # type: ignore[arg-type]
    assert len({task.id for task in tasks}) == 57
    counts = Counter((task.kind, task.features["band"]) for task in tasks)
    assert set(counts.values()) == {5, 6}


def test_seed_tasks_of_runs_are_not_in_the_suite(suite: list[Task]) -> None:
    held_out = {task.id for task in suite}
    for seed in range(20):
        assert not held_out & {task.id for task in CODE.sources["seed"].tasks(24, seed)}


class Scripted:
    """A policy that writes what a function of the request says, and remembers the requests."""

    def __init__(self, write: Callable[[Request, float], str]):
        self.write = write
        self.asked: list[tuple[float, Request]] = []

    def generate(
        self,
        requests: Sequence[Request],
        *,
        max_new_tokens: int,
        temperature: float,
        on_written: Callable[[dict[int, Completion]], None],
    ) -> list[Completion]:
        assert max_new_tokens == 50
        self.asked += [(temperature, request) for request in requests]
        texts = [
            Completion(request.slot, (), (), (), self.write(request, temperature), True)
            for request in requests
        ]
        on_written(dict(enumerate(texts)))
        return texts


def run(
    policy: Scripted,
    tasks: Sequence[Task],
    environment: CodeEnvironment = CODE,
    samples: int = 3,
    **more,
) -> list[EvaluationRow]:
    return evaluate(
        policy,  # type: ignore[arg-type]
        environment,
        SUITE,
        tasks,
        [Subject("base", None), Subject("member:4", 1)],
        samples=samples,
        max_new_tokens=50,
        seed=9,
        **more,
    )


@pytest.fixture(scope="module")
def outputs(suite: list[Task]) -> list[Task]:
    return [task for task in suite if task.kind == "code_o"][:10]


def test_counts_are_exact(outputs: list[Task]) -> None:
    right = {CODE.prompt(task)[0].content: task.payload["output"] for task in outputs}
    number = {CODE.prompt(task)[0].content: index for index, task in enumerate(outputs)}
    seeds = {derive_seed(9, task.id, sample): sample for task in outputs for sample in range(3)}

    def write(request: Request, temperature: float) -> str:
        """Greedy: the base is right on even tasks, the member always. Sampled: sample s of task n
        is right if s < n % 4 for the base; the member never answers."""
        index, sample = number[request.prompt], seeds[request.seed]
        if temperature == 0:
            good = request.slot == 1 or index % 2 == 0
        else:
            good = request.slot is None and sample < index % 4
        return f"<answer>\n{right[request.prompt]}" if good else "<answer>\n'no'"

    policy = Scripted(write)
    seen: list[tuple[int, int]] = []
    rows = run(policy, outputs, on_progress=lambda done, total: seen.append((done, total)))
    expected = []
    for subject in ("base", "member:4"):
        for mode, samples in (("greedy", 1), ("sampled", 3)):
            for index, task in enumerate(outputs):
                correct = {
                    ("base", "greedy"): int(index % 2 == 0),
                    ("base", "sampled"): min(index % 4, 3),
                    ("member:4", "greedy"): 1,
                    ("member:4", "sampled"): 0,
                }[subject, mode]
                band = int(task.features["band"])
                expected.append(
                    EvaluationRow(subject, SUITE, mode, task.id, "code_o", band, correct, samples)
                )
    assert rows == expected
    assert seen == [(10, 80), (40, 80), (50, 80), (80, 80)]


def test_subjects_draw_with_common_random_numbers(outputs: list[Task]) -> None:
    policy = Scripted(lambda *_: "")
    run(policy, outputs)
    half = len(policy.asked) // 2
    base, member = policy.asked[:half], policy.asked[half:]
    assert {request.slot for _, request in base} == {None}
    assert {request.slot for _, request in member} == {1}
    assert [(t, r.prompt, r.seed) for t, r in base] == [(t, r.prompt, r.seed) for t, r in member]
    assert [t for t, _ in base] == [0.0] * 10 + [1.0] * 30
    assert len({request.seed for t, request in base if t == 1.0}) == 30


def test_no_samples_is_greedy_alone(outputs: list[Task]) -> None:
    rows = run(Scripted(lambda *_: ""), outputs, samples=0)
    assert {row.mode for row in rows} == {"greedy"}
    assert len(rows) == 20


def test_all_kinds_are_judged(suite: list[Task]) -> None:
    class Known(CodeEnvironment):
        def verify(self, attempts):  # type: ignore[no-untyped-def]
            return [
                Verification(Verdict.CORRECT if item.text == item.task.kind else Verdict.MALFORMED)
                for item in attempts
            ]

    rows = run(Scripted(lambda *_: "code_i"), suite[:30], Known(Code(), None, COMPACT))
    assert all(row.correct == (row.samples if row.kind == "code_i" else 0) for row in rows)


def test_our_failure_stops_the_evaluation(suite: list[Task]) -> None:
    broken = make_code(NoSandbox(Outcome(OutcomeKind.INFRA_ERROR)), "compact")
    tasks = [task for task in suite if task.kind == "code_i"][:2]
    answer = f"<answer>\n{tasks[0].payload['input']}"
    with pytest.raises(InfrastructureError, match=f"held-out task {tasks[0].id}.*doctor"):
        run(Scripted(lambda *_: answer), tasks, broken)


class Flaky(CodeEnvironment):
    """The checker fails on the attempts that `fails` names, by (time it is seen, text)."""

    def __init__(self, fails: Callable[[int, str], bool]):
        super().__init__(Code(), NoSandbox(), COMPACT)
        self.fails = fails
        self.seen: dict[str, int] = {}
        self.batches: list[int] = []

    def verify(self, attempts: Sequence[Attempt]) -> list[Verification]:
        self.batches.append(len(attempts))
        judged = []
        for attempt in attempts:
            key = f"{attempt.task.id} {attempt.text}"
            self.seen[key] = self.seen.get(key, 0) + 1
            lost = self.fails(self.seen[key], attempt.text)
            verdict = Verdict.INFRA_ERROR if lost else Verdict.CORRECT
            judged.append(Verification(verdict, attempt.text))
        return judged


def test_attempts_that_the_checker_lost_are_checked_once_more(outputs: list[Task]) -> None:
    seeds = {derive_seed(9, task.id, 1): task.id for task in outputs[::2]}

    def write(request: Request, temperature: float) -> str:
        lost = temperature > 0 and request.seed in seeds
        return f"{request.slot} {'lost' if lost else 'fine'}"

    environment = Flaky(lambda time, text: time == 1 and text.endswith("lost"))
    rows = run(Scripted(write), outputs, environment)
    assert all(row.correct == row.samples for row in rows)
    assert environment.batches == [10, 30, 5, 10, 30, 5]
    with pytest.raises(InfrastructureError, match=f"held-out task {outputs[0].id}"):
        run(Scripted(write), outputs, Flaky(lambda time, text: text.endswith("lost")))


@pytest.fixture
def store(tmp_path: Path):
    with RunStore.create(tmp_path / "run", Config()) as made:
        yield made


def measured(
    store: RunStore, policy: Scripted, environment: CodeEnvironment, tasks, **more
) -> None:
    settings = {"step": 0, "samples": 2, "max_new_tokens": 50, "seed": 9} | more
    subjects = [Subject("base", None), Subject("member:4", 1)]
    measure(store, policy, environment, SUITE, tasks, subjects, **settings)  # type: ignore[arg-type]


def answers(request: Request, temperature: float) -> str:
    """Right or wrong by the draw, so that every row of a table has a figure of its own."""
    return f"<answer>\n{request.seed % (2 + (request.slot or 0))}"


def test_an_interrupted_evaluation_is_taken_up(
    store: RunStore, tmp_path: Path, outputs: list[Task]
) -> None:
    with RunStore.create(tmp_path / "other", Config()) as other:
        measured(other, Scripted(answers), CODE, outputs)
        whole = other.load_evaluations()
    assert len(whole) == 2 * 2 * 10

    def broken(request: Request, temperature: float) -> str:
        if request.slot == 1 and temperature > 0:
            raise KeyboardInterrupt
        return answers(request, temperature)

    with pytest.raises(KeyboardInterrupt):
        measured(store, Scripted(broken), CODE, outputs)
    assert store.load_evaluations() == []
    assert len(store.staged_evaluation(SUITE, 0)) == 30
    rest, seen = Scripted(answers), list[tuple[int, int]]()
    measured(store, rest, CODE, outputs, on_progress=lambda done, total: seen.append((done, total)))
    assert [(t, r.slot) for t, r in rest.asked] == [(1.0, 1)] * 20
    assert seen == [(20, 20)]
    assert store.load_evaluations() == whole
    assert store.staged_evaluation(SUITE, 0) == []
    again = Scripted(answers)
    measured(store, again, CODE, outputs)
    assert len(again.asked) == 2 * 3 * 10


@pytest.mark.parametrize(
    ("change", "fresh"),
    [({}, 20), ({"samples": 3}, 60), ({"step": 1}, 60), ({"tasks": 9}, 54)],
)
def test_only_the_same_evaluation_is_taken_up(
    store: RunStore, outputs: list[Task], change: dict[str, int], fresh: int
) -> None:
    """Greedy parts do not depend on the number of samples; all depends on step and tasks."""

    def broken(request: Request, temperature: float) -> str:
        if request.slot == 1 and temperature > 0:
            raise InfrastructureError("gone")
        return answers(request, temperature)

    with pytest.raises(InfrastructureError, match="gone"):
        measured(store, Scripted(broken), CODE, outputs)
    more = dict(change)
    policy, tasks = Scripted(answers), outputs[: more.pop("tasks", 10)]
    measured(store, policy, CODE, tasks, **more)
    assert len(policy.asked) == fresh
    rows = store.load_evaluations()
    assert len(rows) == 4 * len(tasks)
    assert {r.samples for r in rows if r.mode == "sampled"} == {change.get("samples", 2)}
