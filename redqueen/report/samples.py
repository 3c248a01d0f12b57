"""A few real tasks with attempts from early, middle and late in the run."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from redqueen.report.charts import esc, tag
from redqueen.report.queries import RunData
from redqueen.store import Attempt, TaskOutcome
from redqueen.types import Verdict

MAX_TEXT = 1500
MAX_ITEMS = 8
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


def _payload(payload: Mapping[str, Any], titles: Mapping[str, str] | None) -> str:
    """The payload as its environment wants it read; all of it if that says nothing."""
    if titles is None:
        titles = {key: key.replace("_", " ") for key in payload}
    parts = [
        tag("dt", esc(title)) + tag("dd", tag("pre", esc(_value(payload[key]))))
        for key, title in titles.items()
        if key in payload
    ]
    return tag("dl", *parts) if parts else ""


def _attempt(attempt: Attempt) -> str:
    verdict = attempt.verdict
    name = VERDICT_NAMES[verdict] if verdict else "no answer"
    turn = "" if attempt.final and not attempt.turn else f", turn {attempt.turn + 1}"
    head = [
        tag("b", esc(name), class_=f"verdict {verdict or 'none'}"),
        esc(f" student #{attempt.student}, attempt {attempt.attempt + 1}{turn}"),
    ]
    body = [tag("div", *head, class_="who")]
    if attempt.conversation:
        said = [
            tag("p", esc(turn.role)) + tag("pre", esc(clip(turn.content)))
            for turn in attempt.conversation
        ]
        body.append(tag("details", tag("summary", "What came before"), *said))
    body.append(tag("pre", esc(clip(attempt.text))))
    if attempt.answer is not None:
        body.append(tag("p", "answer read: ", tag("code", esc(clip(attempt.answer, 300)))))
    return tag("div", *body, class_="attempt")


def _card(run: RunData, outcome: TaskOutcome, attempts: Sequence[Attempt]) -> str:
    task = outcome.task
    solved = f"solved {outcome.correct} of {outcome.attempts} times"
    who = "from the stream" if task.author is None else f"by teacher #{task.author}"
    payload = _payload(task.payload, run.described.payload.get(task.kind))
    return tag(
        "article",
        tag(
            "header",
            tag("b", esc(task.kind)),
            esc(f" step {outcome.step}, {who}, {solved if outcome.attempts else 'not attempted'}"),
        ),
        tag(
            "div",
            tag("div", payload, class_="problem"),
            tag("div", *map(_attempt, attempts), class_="attempts"),
            class_="split",
        ),
    )


def sample_tasks(run: RunData) -> str:
    """Cards of a few tasks from each stage of the run."""
    parts = []
    for stage in run.stages:
        one = stage.first == stage.last
        where = f"step {stage.first}" if one else f"steps {stage.first} to {stage.last}"
        parts.append(tag("h3", stage.name, tag("small", f" {where}")))
        if stage.tasks:
            parts += [_card(run, outcome, attempts) for outcome, attempts in stage.tasks]
        else:
            parts.append(tag("p", "No valid task in these steps.", class_="nothing"))
    if not parts:
        parts.append(tag("p", "This run has no steps yet.", class_="nothing"))
    return tag("div", *parts, class_="samples")
