"""Measure subjects (the base, members) on a suite: greedy once, and sampled several times."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from redqueen.domains import Attempt, Domain
from redqueen.policy import Policy
from redqueen.rng import derive_seed
from redqueen.store import EvaluationRow
from redqueen.types import InfrastructureError, Request, Task, Verdict


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
) -> list[EvaluationRow]:
    """One row per subject, task and mode; sampling is at temperature 1.

    All subjects draw with the same seeds (common random numbers), so differences between them
    are not the luck of the draw. `on_progress(done, total)` counts attempts.

    Raises:
        InfrastructureError: the checker failed on an attempt, so the figure would be wrong.
    """
    modes = [("greedy", 1, 0.0), ("sampled", samples, 1.0)] if samples else [("greedy", 1, 0.0)]
    total = len(subjects) * len(tasks) * (1 + samples)
    done = 0
    rows: list[EvaluationRow] = []
    for subject in subjects:
        for mode, count, temperature in modes:
            planned = [(task, number) for task in tasks for number in range(count)]
            requests = [
                Request(subject.slot, domain.pose(task), derive_seed(seed, task.id, number))
                for task, number in planned
            ]
            texts = policy.generate(
                requests,
                max_new_tokens=max_new_tokens,
                temperature=temperature,
                on_progress=partial(_count, on_progress, done, total),
            )
            done += len(requests)
            judged = domain.verify(
                [
                    Attempt(task, written.text)
                    for (task, _), written in zip(planned, texts, strict=True)
                ]
            )
            for index, task in enumerate(tasks):
                mine = judged[index * count : (index + 1) * count]
                rows.append(_row(subject, suite, mode, task, [item.verdict for item in mine]))
    return rows


def _count(on_progress: Callable[[int, int], None], before: int, total: int, finished: int) -> None:
    on_progress(before + finished, total)


def _row(
    subject: Subject, suite: str, mode: str, task: Task, verdicts: Sequence[Verdict]
) -> EvaluationRow:
    if Verdict.INFRA_ERROR in verdicts:
        raise InfrastructureError(
            f"the sandbox failed on held-out task {task.id}, retries included; "
            "check `redqueen doctor` and evaluate again"
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
