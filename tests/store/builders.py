"""Small step records with content that depends on the step."""

from redqueen.types import (
    Completion,
    EvolutionEvent,
    Match,
    MatchResult,
    Member,
    Proposal,
    Rejection,
    Role,
    Rollout,
    StepRecord,
    Task,
    Verdict,
)


def completion(text: str, tokens: int = 3) -> Completion:
    return Completion(
        slot=0,
        prompt_ids=(1, 2),
        token_ids=tuple(range(tokens)),
        logprobs=(-0.5,) * tokens,
        text=text,
        finished=True,
    )


def task(step: int, number: int = 0) -> Task:
    return Task(
        id=f"t{step}-{number}",
        domain="code",
        kind="code_o",
        payload={"program": f"def f(x):\n    return x + {step}", "input": "1", "output": "2"},
        features={"ast_depth": 4.0 + step, "cyclomatic": 1.0, "lines": 2.0},
        author=0,
        step=step,
    )


def member(number: int, role: Role, step: int, **changes: object) -> Member:
    values: dict[str, object] = {
        "id": number,
        "slot": number % 4,
        "roles": (role,),
        "mu": 25.0 + step + number / 10,
        "sigma": 8.0 - step / 10,
    }
    return Member(**(values | changes))  # type: ignore[arg-type]


VERDICTS = (Verdict.CORRECT, Verdict.WRONG, Verdict.MALFORMED, Verdict.INFRA_ERROR)


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
        members.append(member(1, Role.TEACHER, step, died=3 if step == 3 else None))
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
            MatchResult(Match(step, 0, 0, 2), 2, 1, 1 / 3, 0.5, False),
            MatchResult(Match(step, 1, 0, 3), 0, 0, None, 0.25, None),
        ),
        proposals=(
            Proposal(step, 0, 0, "code_o", ("t0", "t1"), completion("a program"), posed, 0.75),
            Proposal(
                step,
                0,
                0,
                "code_o",
                (),
                completion("no program"),
                Rejection("syntax", malformed=True, detail="line 1"),
                -1.0,
            ),
        ),
        rollouts=tuple(
            Rollout(step, 0, 2, posed.id, "code_o", i, completion(f"try {i}"), verdict, str(i), 0.5)
            for i, verdict in enumerate(VERDICTS)
        ),
        members=tuple(members),
        events=events,
        metrics={"solve_rate": step / 10, "coverage": 0.01 * step},
        seconds={"match": 0.1, "solve": 2.0 * step},
    )
