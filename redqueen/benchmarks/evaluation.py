"""Measure subjects (the base, members) on a suite: greedy once, and sampled several times."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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


def _shifted(report: Callable[[int, int], None], start: int, total: int) -> Callable[[int], None]:
    return lambda finished: report(start + finished, total)


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
    total = len(subjects) * len(tasks) * (1 + samples)
    done = 0
    rows: list[EvaluationRow] = []
    for subject in subjects:
        for mode, count, temperature in (("greedy", 1, 0.0), ("sampled", samples, 1.0)):
            if count == 0:
                continue
            requests = [
                Request(subject.slot, domain.pose(task), derive_seed(seed, task.id, number))
                for task in tasks
                for number in range(count)
            ]
            texts = policy.generate(
                requests,
                max_new_tokens=max_new_tokens,
                temperature=temperature,
                on_progress=_shifted(on_progress, done, total),
            )
            done += len(requests)
            judged = domain.verify(
                [
                    Attempt(task, texts[index * count + number].text)
                    for index, task in enumerate(tasks)
                    for number in range(count)
                ]
            )
            for index, task in enumerate(tasks):
                verdicts = [item.verdict for item in judged[index * count : (index + 1) * count]]
                if Verdict.INFRA_ERROR in verdicts:
                    raise InfrastructureError(
                        f"the sandbox failed on held-out task {task.id}, retries included; "
                        "check `redqueen doctor` and evaluate again"
                    )
                rows.append(
                    EvaluationRow(
                        subject=subject.name,
                        suite=suite,
                        mode=mode,
                        task_id=task.id,
                        kind=task.kind,
                        band=int(task.features.get("band", 0)),
                        correct=sum(verdict is Verdict.CORRECT for verdict in verdicts),
                        samples=count,
                    )
                )
    return rows
