"""Measure subjects (the base, members) on a suite: greedy once, and sampled several times."""

from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass
from functools import partial

from redqueen.engines.policy import Policy
from redqueen.environments.base import Attempt, Domain
from redqueen.errors import InfrastructureError
from redqueen.rng import derive_seed
from redqueen.store import EvaluationRow, RunStore
from redqueen.types import Request, Task, Verdict

Key = tuple[str, str]
"""Subject's name and mode: what is measured in one go."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is measured: `base` or `member:<id>`, and the adapter's slot (None: the base alone)."""

    name: str
    slot: int | None


def evaluate(
    policy: Policy,
    domain: Domain,
    suite: str,
    tasks: Sequence[Task],
    subjects: Sequence[Subject],
    *,
    samples: int,
    max_new_tokens: int,
    seed: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    known: Sequence[EvaluationRow] = (),
    on_rows: Callable[[list[EvaluationRow]], None] = lambda rows: None,
) -> list[EvaluationRow]:
    """One row per subject, task and mode; sampling is at temperature 1.

    All subjects draw with the same seeds (common random numbers), so differences between them
    are not the luck of the draw. `on_progress(done, total)` counts attempts that are made now.
    What `known` has of a subject and mode, for just these tasks and as many samples, is not
    measured again; `on_rows` receives the rows of each other one as soon as they are judged.

    Raises:
        InfrastructureError: the checker failed twice on an attempt, so the figure would be wrong.
    """
    modes = [("greedy", 1, 0.0), ("sampled", samples, 1.0)] if samples else [("greedy", 1, 0.0)]
    kept = _kept(known, suite, tasks, {mode: count for mode, count, _ in modes})
    plan = [(subject, *mode) for subject in subjects for mode in modes]
    total = sum(count for subject, mode, count, _ in plan if (subject.name, mode) not in kept)
    total *= len(tasks)
    done = 0

    def count_written(texts: Sized) -> None:
        nonlocal done
        done += len(texts)
        on_progress(done, total)

    rows: list[EvaluationRow] = []
    for subject, mode, count, temperature in plan:
        if found := kept.get((subject.name, mode)):
            rows += found
            continue
        planned = [(task, number) for task in tasks for number in range(count)]
        requests = [
            Request(subject.slot, domain.pose(task), derive_seed(seed, task.id, number))
            for task, number in planned
        ]
        texts = policy.generate(
            requests,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            on_written=count_written,
        )
        pairs = zip(planned, texts, strict=True)
        verdicts = _judge(domain, [Attempt(task, written.text) for (task, _), written in pairs])
        fresh = [
            _row(subject, suite, mode, task, verdicts[index * count : (index + 1) * count])
            for index, task in enumerate(tasks)
        ]
        on_rows(fresh)
        rows += fresh
    return rows


def measure(
    store: RunStore,
    policy: Policy,
    domain: Domain,
    suite: str,
    tasks: Sequence[Task],
    subjects: Sequence[Subject],
    *,
    step: int,
    samples: int,
    max_new_tokens: int,
    seed: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """`evaluate` into a run's database, where an interrupted call is taken up by the next one.

    Each subject and mode is written as it comes, aside; the results replace earlier ones of the
    suite together, at the end. `step` is the run's step that the subjects are of: parts that
    were measured after another step are not used.

    Raises:
        InfrastructureError: the checker failed twice on an attempt, or the database failed.
    """
    rows = evaluate(
        policy,
        domain,
        suite,
        tasks,
        subjects,
        samples=samples,
        max_new_tokens=max_new_tokens,
        seed=seed,
        on_progress=on_progress,
        known=store.staged_evaluation(suite, step),
        on_rows=partial(store.stage_evaluation, step=step),
    )
    store.write_evaluation(rows, step=step)
    store.drop_staged(suite)


def _kept(
    known: Sequence[EvaluationRow], suite: str, tasks: Sequence[Task], samples: Mapping[str, int]
) -> dict[Key, list[EvaluationRow]]:
    """The whole results among `known`, in the order of the tasks."""
    groups: dict[Key, dict[str, EvaluationRow]] = {}
    for row in known:
        if row.suite == suite and row.samples == samples.get(row.mode):
            groups.setdefault((row.subject, row.mode), {})[row.task_id] = row
    wanted = [task.id for task in tasks]
    return {
        key: [rows[task_id] for task_id in wanted]
        for key, rows in groups.items()
        if set(rows) == set(wanted)
    }


def _judge(domain: Domain, attempts: Sequence[Attempt]) -> list[Verdict]:
    """Verdicts of the attempts; those on which the checker failed are checked once more."""
    verdicts = [item.verdict for item in domain.verify(attempts)]
    failed = [i for i, verdict in enumerate(verdicts) if verdict is Verdict.INFRA_ERROR]
    if failed:
        again = domain.verify([attempts[i] for i in failed])
        for i, item in zip(failed, again, strict=True):
            verdicts[i] = item.verdict
    return verdicts


def _row(
    subject: Subject, suite: str, mode: str, task: Task, verdicts: Sequence[Verdict]
) -> EvaluationRow:
    if Verdict.INFRA_ERROR in verdicts:
        raise InfrastructureError(
            f"the sandbox failed on {suite} task {task.id}, retries included; "
            "check `redqueen doctor` and evaluate again: subjects that were done are kept"
        )
    return EvaluationRow(
        subject=subject.name,
        suite=suite,
        mode=mode,
        task_id=task.id,
        kind=task.kind,
        band=int(task.features.get("band", 0)),
        correct=sum(verdict is Verdict.CORRECT for verdict in verdicts),
        samples=len(verdicts),
    )
