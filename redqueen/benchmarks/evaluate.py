"""Measure subjects (the base, members) on a suite: greedy once, and sampled several times."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from redqueen.background import Background
from redqueen.benchmarks.votes import votes
from redqueen.curriculum import check_sources, suite_tasks
from redqueen.engines.base import Engine, Sampling
from redqueen.environments.base import Attempt, Environment, Verification, elicit, sources_of
from redqueen.errors import InfrastructureError
from redqueen.population import Population
from redqueen.rng import derive_seed
from redqueen.rollouts.collect import Verifier, generate_and_check, verifier_of
from redqueen.store import BASE, ELICITED, EvaluationAttempt, EvaluationStore, Replay
from redqueen.types import Completion, Request, Role, Suppression, Task, Verdict

BATCH = 512
"""Attempts that are written side by side, and kept together as soon as they are verified."""
OnProgress = Callable[[int, int], None]
"""Receives how many attempts are made, and of how many."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is measured: `base`, `elicited` (the base with every help that needs no training),
    `member:<id>` or `average`; and the adapter's slot (None: the base alone)."""

    name: str
    slot: int | None

    @property
    def room(self) -> int:
        """Times the usual limit of a completion: the elicited base has twice the room."""
        return 2 if self.name == ELICITED else 1

    def request(self, environment: Environment, task: Task, seed: int) -> Request:
        """Return what puts a task to the subject; `redqueen.environments.base.elicit` helps."""
        if self.name != ELICITED:
            return Request(self.slot, environment.prompt(task), seed)
        asked = elicit(environment, task)
        suppression = Suppression(opening=asked.openings) if asked.openings else None
        return Request(self.slot, asked.messages, seed, suppression=suppression)


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to attempt each task of a suite."""

    name: str
    attempts: int
    temperature: float


def modes_of(samples: int, temperature: float = 1.0) -> tuple[Mode, ...]:
    """Return one greedy attempt, and `samples` at a temperature (none: greedy alone)."""
    greedy = Mode("greedy", 1, 0.0)
    return (greedy, Mode("sampled", samples, temperature)) if samples else (greedy,)


def subjects_of(population: Population) -> list[Subject]:
    """Return the base, the elicited base and every living student."""
    students = population.by_role(Role.STUDENT)
    return [
        Subject(BASE, None),
        Subject(ELICITED, None),
        *(Subject(f"member:{m.id}", m.slot) for m in students),
    ]


def tasks_of_suite(
    environments: Mapping[str, Environment], suite: str, count: int, seed: int
) -> list[Task]:
    """Return up to `count` tasks of a suite: those of every environment that has a source of the
    name, an equal share of each; `environment/name` is one environment's.

    Raises:
        ConfigError: no environment has such a source, or more tasks are asked for than are kept
            from training.
    """
    environment, _, name = suite.rpartition("/")
    chosen = [
        item
        for key, item in environments.items()
        if environment in ("", key) and name in sources_of(item)
    ]
    if not chosen:
        check_sources(environments, [suite], "suite")
    share = -(-count // max(1, len(chosen)))
    return [task for item in chosen for task in suite_tasks(item, name, share, seed)][:count]


@dataclass(frozen=True, slots=True)
class _Unit:
    """All attempts of one subject at one task in one mode."""

    subject: Subject
    mode: Mode
    task: Task

    @property
    def key(self) -> tuple[str, str, str]:
        return self.subject.name, self.mode.name, self.task.id

    @property
    def call(self) -> tuple[Mode, int]:
        """What must be equal in one call of the engine."""
        return self.mode, self.subject.room


@dataclass(frozen=True, slots=True)
class _Planned:
    """One attempt of a unit, before it is written."""

    unit: _Unit
    number: int
    request: Request

    @classmethod
    def of(
        cls, unit: _Unit, number: int, prompts: Mapping[str, Environment], seed: int
    ) -> "_Planned":
        draws = derive_seed(seed, unit.task.id, number)
        environment = prompts[unit.task.environment]
        return cls(unit, number, unit.subject.request(environment, unit.task, draws))

    def attempt(self, completion: Completion) -> Attempt:
        return Attempt(self.unit.task, completion.text)

    def row(
        self, suite: str, completion: Completion, verification: Verification
    ) -> EvaluationAttempt:
        return EvaluationAttempt(
            suite=suite,
            subject=self.unit.subject.name,
            mode=self.unit.mode.name,
            task_id=self.unit.task.id,
            attempt=self.number,
            temperature=self.unit.mode.temperature,
            request=self.request,
            completion=completion,
            verdict=verification.verdict,
            answer=verification.answer,
            partial_score=verification.partial_score,
            metrics=verification.metrics,
        )


def requests_of(
    prompts: Mapping[str, Environment],
    tasks: Sequence[Task],
    subjects: Sequence[Subject],
    samples: int,
    seed: int,
) -> dict[tuple[str, str, str], list[Request]]:
    """Return what `evaluate` asks, by subject, mode and task id."""
    return {
        unit.key: [
            _Planned.of(unit, number, prompts, seed).request for number in range(unit.mode.attempts)
        ]
        for unit in _units(tasks, subjects, modes_of(samples))
    }


def evaluate(
    engine: Engine,
    verify: Verifier,
    prompts: Mapping[str, Environment],
    suite: str,
    tasks: Sequence[Task],
    subjects: Sequence[Subject],
    *,
    samples: int,
    max_new_tokens: int,
    seed: int,
    temperature: float = 1.0,
    on_progress: OnProgress = lambda done, total: None,
    batch: int = BATCH,
    finished: Collection[tuple[str, str, str]] = (),
    on_attempts: Callable[[list[EvaluationAttempt]], None] = lambda attempts: None,
) -> list[EvaluationAttempt]:
    """Return one row for each subject, mode, task and attempt that is made now.

    All subjects write side by side, and draw with the same seeds (common random numbers), so
    differences between them are not the luck of the draw. `finished` has the (subject, mode, task
    id) that are not measured again; `on_attempts` receives the others, some tasks at a time, as
    soon as they are verified.

    Raises:
        InfrastructureError: the verifier failed twice on an attempt: the figure would be wrong.
    """
    every = _units(tasks, subjects, modes_of(samples, temperature))
    units = [unit for unit in every if unit.key not in finished]
    total, rows = sum(unit.mode.attempts for unit in units), list[EvaluationAttempt]()
    background = Background("evaluation")

    def write(part: Sequence[_Unit], before: int) -> list[EvaluationAttempt]:
        """The attempts of one batch; `before` have been made already."""
        planned = [
            _Planned.of(unit, number, prompts, seed)
            for unit in part
            for number in range(unit.mode.attempts)
        ]
        completions, checks = generate_and_check(
            engine,
            [item.request for item in planned],
            Sampling(max_new_tokens * part[0].subject.room, part[0].mode.temperature),
            background,
            partial(_verify_twice, verify),
            lambda number, completion: planned[number].attempt(completion),
            lambda made, _: on_progress(before + made, total),
        )
        results = zip(planned, completions, checks.results(), strict=True)
        return [item.row(suite, completion, verified) for item, completion, verified in results]

    try:
        for part in _batches(units, batch):
            fresh = write(part, len(rows))
            _check(fresh)
            on_attempts(fresh)
            rows += fresh
    finally:
        background.close()
    return rows


def _units(
    tasks: Sequence[Task], subjects: Sequence[Subject], modes: Sequence[Mode]
) -> Iterator[_Unit]:
    """Yield what is to be attempted; what can be written in one call is side by side."""
    for mode in modes:
        for room in sorted({subject.room for subject in subjects}):
            for task in tasks:
                yield from (_Unit(s, mode, task) for s in subjects if s.room == room)


def _batches(units: Sequence[_Unit], size: int) -> Iterator[list[_Unit]]:
    """Yield consecutive units of one mode and limit, `size` attempts or little more at a time."""
    part: list[_Unit] = []
    for unit in units:
        made = sum(item.mode.attempts for item in part)
        if part and (made >= size or unit.call != part[0].call):
            yield part
            part = []
        part.append(unit)
    if part:
        yield part


def _verify_twice(verify: Verifier, attempts: Sequence[Attempt]) -> list[Verification]:
    """Return verifications; those in which the verifier failed are tried once more."""
    verified = verify(attempts)
    failed = [i for i, item in enumerate(verified) if item.verdict is Verdict.INFRA_ERROR]
    if failed:
        again = verify([attempts[i] for i in failed])
        for i, item in zip(failed, again, strict=True):
            verified[i] = item
    return verified


def _check(attempts: Sequence[EvaluationAttempt]) -> None:
    for attempt in attempts:
        if attempt.verdict is Verdict.INFRA_ERROR:
            raise InfrastructureError(
                f"the sandbox failed on {attempt.suite} task {attempt.task_id}, retries included: "
                "it broke, or lacks what the answer uses, as `monty` does alone (runs with "
                "sandbox.backend = auto ask CPython too). Check `redqueen doctor` and evaluate "
                "again: what was verified is kept"
            )


def measure(
    store: EvaluationStore,
    engine: Engine,
    environments: Mapping[str, Environment],
    suite: str,
    tasks: Sequence[Task],
    subjects: Sequence[Subject],
    *,
    step: int,
    samples: int,
    max_new_tokens: int,
    seed: int,
    temperature: float = 1.0,
    batch: int = BATCH,
    on_progress: OnProgress = lambda done, total: None,
    vote: bool = False,
) -> None:
    """`evaluate` into a run's database, where an interrupted call is taken up by the next one.

    `vote`: also keep the majority's answers, in the mode `vote`.

    Attempts are written as they come, aside; the results replace earlier ones of the suite
    together, at the end. `step` is the run's step that the subjects are of: parts that were
    measured after another step are not used.

    Raises:
        InfrastructureError: the verifier failed twice on an attempt, or the database failed.
    """
    counts = {mode.name: mode.attempts for mode in modes_of(samples)}
    finished = {
        (row.subject, row.mode, row.task_id)
        for row in store.staged_evaluation(suite, step)
        if row.samples == counts.get(row.mode)
    }
    evaluate(
        engine,
        verifier_of(environments),
        environments,
        suite,
        tasks,
        subjects,
        samples=samples,
        max_new_tokens=max_new_tokens,
        seed=seed,
        on_progress=on_progress,
        temperature=temperature,
        batch=batch,
        finished=finished,
        on_attempts=lambda attempts: store.stage_evaluation(attempts, tasks, step=step),
    )
    keys = {(subject.name, mode) for subject in subjects for mode in counts}
    if vote:
        elections = votes(Replay(store).evaluation(suite, going_on=step))
        store.stage_evaluation(elections, tasks, step=step)
        keys |= {(row.subject, row.mode) for row in elections}
    store.publish_evaluation(suite, keys, step=step)
