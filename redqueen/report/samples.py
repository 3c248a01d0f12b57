"""A few real tasks with attempts from early, middle and late in the run."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from redqueen.report.charts import esc, tag
from redqueen.store import Attempt, RunReader, TaskOutcome
from redqueen.types import Verdict

MAX_TEXT = 1500
MAX_ITEMS = 8
PER_STAGE = 2
# How the payload of the built-in domain reads to a person; other keys show as they are.
LABELS = {
    ("code_o", "output"): "expected output",
    ("code_i", "output"): "output to reach",
    ("code_i", "input"): "the teacher's input",
    ("code_f", "program"): "the teacher's program (not shown to the student)",
    ("code_f", "examples"): "examples shown",
    ("code_f", "hidden"): "hidden tests",
}
ORDER = ("program", "message", "examples", "hidden", "input", "output")
QUIET = frozenset({"arity"})  # says nothing that the program does not
VERDICT_NAMES = {
    Verdict.CORRECT: "correct",
    Verdict.WRONG: "wrong",
    Verdict.MALFORMED: "malformed",
    Verdict.INFRA_ERROR: "not checked",
}


def clip(text: str, most: int = MAX_TEXT) -> str:
    """Text of at most `most` characters, saying how many are left out."""
    if len(text) <= most:
        return text
    return f"{text[:most]}\n\u2026 {len(text) - most:,} more characters"


def stages(steps: Sequence[int]) -> list[tuple[str, int, int]]:
    """(name, first, last step) of the run's beginning, middle and end; fewer for short runs."""
    if not steps:
        return []
    if len(steps) < 3:
        return [("Early", steps[0], steps[0])] + (
            [("Late", steps[-1], steps[-1])] if len(steps) == 2 else []
        )
    size = max(1, len(steps) // 10)
    start = (len(steps) - size) // 2
    return [
        ("Early", steps[0], steps[size - 1]),
        ("Middle", steps[start], steps[start + size - 1]),
        ("Late", steps[-size], steps[-1]),
    ]


def pick(outcomes: Sequence[TaskOutcome], count: int = PER_STAGE) -> list[TaskOutcome]:
    """Tasks to show: of different kinds, and neither always nor never solved if there are such."""

    def dullness(outcome: TaskOutcome) -> float:
        return abs(outcome.correct / outcome.attempts - 0.5) if outcome.attempts else 1.0

    chosen: list[TaskOutcome] = []
    for outcome in sorted(outcomes, key=dullness):  # stable: ties stay in the order of the run
        if all(outcome.task.kind != other.task.kind for other in chosen):
            chosen.append(outcome)
    chosen += [o for o in sorted(outcomes, key=dullness) if o not in chosen]
    return chosen[:count]


def _value(value: Any) -> str:
    """A payload value as text: one item a line for lists, JSON for what is not text."""
    if isinstance(value, str):
        return clip(value)
    if isinstance(value, list):
        lines = [
            " \u2192 ".join(map(_plain, item)) if isinstance(item, list) else _plain(item)
            for item in value[:MAX_ITEMS]
        ]
        if len(value) > MAX_ITEMS:
            lines.append(f"\u2026 {len(value) - MAX_ITEMS} more")
        return clip("\n".join(lines))
    return clip(_plain(value))


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _payload(kind: str, payload: Mapping[str, Any]) -> str:
    keys = [
        *(k for k in ORDER if k in payload),
        *(k for k in payload if k not in ORDER and k not in QUIET),
    ]
    parts = []
    for key in keys:
        name = LABELS.get((kind, key), key.replace("_", " "))
        parts.append(tag("dt", esc(name)) + tag("dd", tag("pre", esc(_value(payload[key])))))
    return tag("dl", *parts) if parts else ""


def choose_attempts(attempts: Sequence[Attempt]) -> list[Attempt]:
    """The first correct attempt and the first that failed; two of a kind if all went one way."""
    checked = [a for a in attempts if a.verdict is not Verdict.INFRA_ERROR] or list(attempts)
    right = [a for a in checked if a.verdict is Verdict.CORRECT]
    other = [a for a in checked if a.verdict is not Verdict.CORRECT]
    return [*right[:1], *other[:1]] if right and other else checked[:2]


def _attempt(attempt: Attempt) -> str:
    verdict = VERDICT_NAMES[attempt.verdict]
    head = [
        tag("b", esc(verdict), class_=f"verdict {attempt.verdict.value}"),
        esc(f" student #{attempt.student}, attempt {attempt.attempt + 1}"),
    ]
    body = [tag("div", *head, class_="who"), tag("pre", esc(clip(attempt.text)))]
    if attempt.answer is not None:
        body.append(tag("p", "answer read: ", tag("code", esc(clip(attempt.answer, 300)))))
    return tag("div", *body, class_="attempt")


def _card(run: RunReader, outcome: TaskOutcome) -> str:
    task = outcome.task
    solved = f"solved {outcome.correct} of {outcome.attempts} times"
    who = "from the stream" if task.author is None else f"by teacher #{task.author}"
    attempts = choose_attempts(run.load_attempts(task.id, outcome.step))
    return tag(
        "article",
        tag(
            "header",
            tag("b", esc(task.kind)),
            esc(f" step {outcome.step}, {who}, {solved if outcome.attempts else 'not attempted'}"),
        ),
        tag(
            "div",
            tag("div", _payload(task.kind, task.payload), class_="problem"),
            tag("div", *map(_attempt, attempts), class_="attempts"),
            class_="split",
        ),
    )


def sample_tasks(run: RunReader) -> str:
    """Cards of a few tasks from each stage of the run."""
    parts = []
    for name, first, last in stages(run.steps()):
        picked = pick(run.load_task_outcomes(first, last))
        where = f"step {first}" if first == last else f"steps {first} to {last}"
        parts.append(tag("h3", name, tag("small", f" {where}")))
        if picked:
            parts += [_card(run, outcome) for outcome in picked]
        else:
            parts.append(tag("p", "No valid task in these steps.", class_="nothing"))
    if not parts:
        parts.append(tag("p", "This run has no steps yet.", class_="nothing"))
    return tag("div", *parts, class_="samples")
