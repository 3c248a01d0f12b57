"""Measure subjects (the base, members) on a suite: greedy once, and sampled several times."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from redqueen.background import Background
from redqueen.curriculum import check_sources, suite_tasks
from redqueen.engines.base import Engine, Sampling
from redqueen.environments.base import Attempt, Environment, Verification, elicit, sources_of
from redqueen.errors import InfrastructureError
from redqueen.population import Population
from redqueen.rng import derive_seed
from redqueen.rollouts.collect import Verifier, generate_and_check, verifier_of
from redqueen.store import BASE, ELICITED, EvaluationAttempt, EvaluationStore
from redqueen.types import Completion, Request, Role, Suppression, Task, Verdict

OnProgress = Callable[[int, int], None]
"""Receives how many attempts are made, and of how many."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is measured: `base`, `elicited` (the base with every help that needs no training),
    `member:<id>` or `average`; and the adapter's slot (None: the base alone)."""

    name: str
    slot: int | None

    @property
    def elicited(self) -> bool:
        """Whether it is asked as `redqueen.environments.base.elicit` says, with twice the room."""
        return self.name == ELICITED

    def request(self, environment: Environment, task: Task, seed: int) -> Request:
        """Return what puts a task to the subject."""
        if not self.elicited:
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


def modes_of(samples: int) -> tuple[Mode, ...]:
    """Return one greedy attempt, and `samples` at temperature 1 (none: greedy alone)."""
    greedy = Mode("greedy", 1, 0.0)
    return (greedy, Mode("sampled", samples, 1.0)) if samples else (greedy,)


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
    on_progress: OnProgress = lambda done, total: None,
    finished: Sequence[tuple[str, str]] = (),
    on_attempts: Callable[[list[EvaluationAttempt]], None] = lambda attempts: None,
) -> list[EvaluationAttempt]:
    """Return one row for each subject, mode, task and attempt that is made now.

    All subjects draw with the same seeds (common random numbers), so differences between them are
    not the luck of the draw. `finished` names (subject, mode) pairs that are not measured again;
    `on_attempts` receives those of each other pair as soon as they are verified.

    Raises:
        InfrastructureError: the verifier failed twice on an attempt: the figure would be wrong.
    """
    plan = [
        (subject, mode)
        for subject in subjects
        for mode in modes_of(samples)
        if (subject.name, mode.name) not in finished
    ]
    total, done = len(tasks) * sum(mode.attempts for _, mode in plan), 0
    rows: list[EvaluationAttempt] = []
    background = Background("evaluation")
    try:
        for subject, mode in plan:
            planned = [(task, number) for task in tasks for number in range(mode.attempts)]
            requests = [
                subject.request(prompts[task.environment], task, derive_seed(seed, task.id, number))
                for task, number in planned
            ]

            def attempt(
                number: int,
                completion: Completion,
                planned: Sequence[tuple[Task, int]] = planned,
            ) -> Attempt:
                return Attempt(planned[number][0], completion.text)

            def count(made: int, _: int, before: int = done) -> None:
                on_progress(before + made, total)

            completions, checks = generate_and_check(
                engine,
                requests,
                Sampling(max_new_tokens * (2 if subject.elicited else 1), mode.temperature),
                background,
                partial(_verify_twice, verify),
                attempt,
                count,
            )
            done += len(planned)
            fresh = [
                EvaluationAttempt(
                    suite=suite,
                    subject=subject.name,
                    mode=mode.name,
                    task_id=task.id,
                    attempt=number,
                    temperature=mode.temperature,
                    request=request,
                    completion=completion,
                    verdict=verification.verdict,
                    answer=verification.answer,
                    partial_score=verification.partial_score,
                )
                for (task, number), request, completion, verification in zip(
                    planned, requests, completions, checks.results(), strict=True
                )
            ]
            _check(fresh)
            on_attempts(fresh)
            rows += fresh
    finally:
        background.close()
    return rows


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
                f"the sandbox failed on {attempt.suite} task {attempt.task_id}, retries included; "
                "check `redqueen doctor` and evaluate again: subjects that were done are kept"
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
    on_progress: OnProgress = lambda done, total: None,
) -> None:
    """`evaluate` into a run's database, where an interrupted call is taken up by the next one.

    Each subject and mode is written as it comes, aside; the results replace earlier ones of the
    suite together, at the end. `step` is the run's step that the subjects are of: parts that
    were measured after another step are not used.

    Raises:
        InfrastructureError: the verifier failed twice on an attempt, or the database failed.
    """
    counts = {mode.name: mode.attempts for mode in modes_of(samples)}
    ids = {task.id for task in tasks}
    parts: dict[tuple[str, str], set[str]] = {}
    for row in store.staged_evaluation(suite, step):
        if row.samples == counts.get(row.mode):
            parts.setdefault((row.subject, row.mode), set()).add(row.task_id)
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
        finished=[pair for pair, measured in parts.items() if measured == ids],
        on_attempts=lambda attempts: store.stage_evaluation(attempts, tasks, step=step),
    )
    keys = [(subject.name, mode) for subject in subjects for mode in counts]
    store.publish_evaluation(suite, keys, step=step)
