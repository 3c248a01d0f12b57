"""Small step records with content that depends on the step."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict

from redqueen.store import EvaluationAttempt
from redqueen.types import (
    Completion,
    EvolutionEvent,
    Match,
    MatchResult,
    Member,
    Proposal,
    Rejection,
    Request,
    Role,
    Rollout,
    StepRecord,
    Suppression,
    Task,
    Verdict,
    user,
)


class Values(BaseModel):
    """Stands for a configuration: the store keeps it and reads nothing but `keep_tokens`."""

    model_config = ConfigDict(extra="allow")


def values(**given: Any) -> Values:
    return Values(**({"name": "made up", "steps": 5} | given))


def request(prompt: str = "put", seed: int = 2**62 + 1, slot: int | None = 0) -> Request:
    without = Suppression(0.1, 2**62 + 3, ("f(",), ("x",)) if slot == 0 else None
    return Request(slot, user(prompt), seed, 1.25, without)


def completion(text: str, tokens: int = 3) -> Completion:
    return Completion(
        slot=0,
        prompt_ids=(1, 2),
        token_ids=tuple(range(tokens)),
        logprobs=(-0.5,) * tokens,
        text=text,
        finished=True,
        version=7,
    )


def task(step: int, number: int = 0, **changes: Any) -> Task:
    built = Task(
        id=f"t{step}-{number}",
        environment="sums",
        kind="plus",
        payload={"program": f"def f(x):\n    return x + {step}", "input": "1", "output": "2"},
        features={"depth": 4.0 + step, "lines": 2.0},
        author=0,
        step=step,
    )
    return replace(built, **changes)


def member(number: int, role: Role, step: int, **changes: object) -> Member:
    fields: dict[str, object] = {
        "id": number,
        "slot": number % 4,
        "roles": (role,),
        "mu": 25.0 + step + number / 10,
        "sigma": 8.0 - step / 10,
    }
    return Member(**(fields | changes))  # type: ignore[arg-type]


VERDICTS = (Verdict.CORRECT, Verdict.WRONG, Verdict.MALFORMED, Verdict.INFRA_ERROR)


def proposal(step: int, outcome: Task | Rejection, text: str, references: tuple[str, ...] = ()):
    asked = request(f"propose, shown {references}")
    return Proposal(step, 0, 0, "plus", references, asked, completion(text), outcome)


def rollout(step: int, posed: Task, number: int, verdict: Verdict, **changes: Any) -> Rollout:
    built = Rollout(
        step=step,
        match=0,
        student=2,
        task_id=posed.id,
        kind=posed.kind,
        attempt=number,
        group=f"g{step}",
        request=request(f"solve {posed.id}", seed=number, slot=2),
        completion=replace(completion(f"try {number}"), slot=2),
        verdict=verdict,
        answer=str(number),
        partial_score=0.25 * number,
        origin="node" if number == 1 else "",
    )
    return replace(built, **changes)


def step_record(step: int) -> StepRecord:
    """Two teachers, two students; member 1 dies in step 3 and member 4 takes its slot."""
    posed = task(step)
    members = [
        member(0, Role.TEACHER, step),
        member(2, Role.STUDENT, step),
        member(3, Role.STUDENT, step),
    ]
    events: tuple[EvolutionEvent, ...] = ()
    if step <= 3:
        members.insert(1, member(1, Role.TEACHER, step, died=3 if step == 3 else None))
    if step >= 3:
        child = member(
            4, Role.TEACHER, step, slot=1, born=3, parents=(0,), operator="svd",
            learning_rate_factor=0.96, temperature=1.2,
        )  # fmt: skip
        members.append(child)
    if step == 3:
        events = (EvolutionEvent(3, Role.TEACHER, 1, 4, (0,), "svd", {"scale": 0.1}),)
    return StepRecord(
        step=step,
        matches=(
            MatchResult(Match(step, 0, 0, 2, environment="sums"), 2, 1, 1 / 3, 0.5, False),
            MatchResult(Match(step, 1, 0, 3, environment="sums"), 0, 0, None, 0.25, None),
        ),
        proposals=(
            proposal(step, posed, "a program", ("t0", "t1")),
            proposal(step, Rejection("syntax", malformed=True, detail="line 1"), "no program"),
        ),
        proposal_rewards=(0.75, -1.0),
        rollouts=tuple(rollout(step, posed, i, verdict) for i, verdict in enumerate(VERDICTS)),
        rollout_rewards=(1.0, -0.5, -1.0, None),
        members=tuple(members),
        events=events,
        metrics={"solve_rate": step / 10, "coverage": 0.01 * step},
        seconds={"match": 0.1, "solve": 2.0 * step, "beside/verify": 1.0},
    )


def attempts(
    subject: str, mode: str, verdicts: Mapping[str, str], suite: str = "held-out"
) -> list[EvaluationAttempt]:
    """Attempts by task id: one for each letter, `c`orrect or `w`rong."""
    names = {"c": Verdict.CORRECT, "w": Verdict.WRONG}
    answer = replace(completion("an answer"), slot=None)
    return [
        EvaluationAttempt(
            suite, subject, mode, task_id, number, float(mode == "sampled"),
            Request(None, user(f"solve {task_id}"), number), answer,
            names[letter], "42",
        )
        for task_id, letters in verdicts.items()
        for number, letter in enumerate(letters)
    ]  # fmt: skip
