"""Real tasks and attempts as plain data: a few from each stage, and those that a filter finds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redqueen.report.figures import Figure, empty_figure
from redqueen.report.queries import Described, RunData
from redqueen.store import Attempt, RunReader, TaskOutcome
from redqueen.store.rows import decoded
from redqueen.types import Verdict

MAX_TEXT = 1500
MAX_ITEMS = 8
PAGE = 40
"""Texts that one search returns."""
REJECTED, NO_ANSWER = "rejected", "no answer"
VERDICTS = {
    Verdict.CORRECT.value: "correct",
    Verdict.WRONG.value: "wrong",
    Verdict.MALFORMED.value: "malformed",
    Verdict.INFRA_ERROR.value: "not checked",
    NO_ANSWER: "no answer",
    REJECTED: "rejected proposal",
}
"""Verdict -> its name; texts that are no answer and rejected proposals have their own."""


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


def payload_lines(
    payload: Mapping[str, Any], titles: Mapping[str, str] | None
) -> list[tuple[str, str]]:
    """Return (title, text) of a payload as its environment wants it read; all of it if that says
    nothing."""
    if titles is None:
        titles = {key: key.replace("_", " ") for key in payload}
    return [(title, _value(payload[key])) for key, title in titles.items() if key in payload]


@dataclass(frozen=True, slots=True)
class Shown:
    """An attempt, or a rejected proposal, as a page shows it."""

    verdict: str
    title: str
    """The verdict in words; of a proposal the reason."""
    who: str
    text: str
    answer: str | None
    before: Sequence[tuple[str, str]] = ()
    """(role, text) of what came between the task and the text, in later turns."""


@dataclass(frozen=True, slots=True)
class TaskCard:
    """A task with some attempts at it."""

    kind: str
    about: str
    payload: Sequence[tuple[str, str]]
    attempts: Sequence[Shown]


@dataclass(frozen=True, slots=True)
class TaskCards:
    """Cards of tasks under a heading."""

    heading: str
    where: str
    cards: Sequence[TaskCard]
    type: str = "tasks"


def _attempt(attempt: Attempt) -> Shown:
    who = f"student #{attempt.student}, attempt {attempt.attempt + 1}{_turn(attempt.turn)}"
    answer = None if attempt.answer is None else clip(attempt.answer, 300)
    verdict = attempt.verdict or NO_ANSWER
    before = [(turn.role, clip(turn.content)) for turn in attempt.conversation]
    return Shown(verdict, VERDICTS[verdict], who, clip(attempt.text), answer, before)


def _turn(turn: int) -> str:
    return f", turn {turn + 1}" if turn else ""


def task_card(about: Described, outcome: TaskOutcome, attempts: Sequence[Attempt]) -> TaskCard:
    """Return the card of a task as it was posed in one step."""
    task = outcome.task
    solved = f"solved {outcome.correct} of {outcome.attempts} times"
    who = "from the stream" if task.author is None else f"by teacher #{task.author}"
    return TaskCard(
        task.kind,
        f"step {outcome.step}, {who}, {solved if outcome.attempts else 'not attempted'}",
        payload_lines(task.payload, about.payload.get(task.kind)),
        list(map(_attempt, attempts)),
    )


def sample_tasks(run: RunData) -> Figure:
    """Cards of a few tasks from each stage of the run."""
    if not run.stages:
        return empty_figure("samples", "", "This run has no steps yet.", full=True)
    parts = []
    for stage in run.stages:
        one = stage.first == stage.last
        where = f"step {stage.first}" if one else f"steps {stage.first} to {stage.last}"
        cards = [task_card(run.described, outcome, attempts) for outcome, attempts in stage.tasks]
        parts.append(TaskCards(stage.name, where, cards))
    return Figure("samples", "", parts, full=True)


def latest_task(run: RunData) -> Figure:
    """One real task of the last step with its attempts."""
    heading = "A task of now"
    if run.latest is None or not run.latest.tasks:
        return empty_figure("latest", heading, "No valid task in the last step.", full=True)
    card = task_card(run.described, *run.latest.tasks[0])
    return Figure("latest", heading, [TaskCards("", "", [card])], full=True)


@dataclass(frozen=True, slots=True)
class Filter:
    """What a search asks for; None: anything. `before` is the last text that was shown."""

    member: int | None = None
    kind: str | None = None
    verdict: str | None = None
    """A verdict, `rejected`, or the reason of a rejection."""
    step: int | None = None
    text: str | None = None
    task: str | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True)
class TextRow:
    """A text with its task; `task` is empty for a rejected proposal."""

    id: int
    step: int
    teacher: int | None
    student: int | None
    kind: str
    shown: Shown
    task: str
    payload: Sequence[tuple[str, str]]


_ATTEMPTS = (
    "SELECT r.id, r.step, m.teacher, r.student, r.kind, "
    "coalesce(r.verdict, 'no answer') AS verdict, '' AS reason, r.attempt, r.turn, "
    "r.text, r.answer, r.task_id, t.payload FROM rollouts r "
    "JOIN matches m ON m.step = r.step AND m.idx = r.match LEFT JOIN tasks t ON t.id = r.task_id"
)
_PROPOSALS = (
    "SELECT r.id, r.step, r.teacher, NULL AS student, r.kind, 'rejected' AS verdict, r.reason, "
    "0 AS attempt, 0 AS turn, r.text, NULL AS answer, '' AS task_id, NULL AS payload "
    "FROM proposals r"
)


def find_texts(run: RunReader, about: Described, chosen: Filter, most: int = PAGE) -> list[TextRow]:
    """Return the attempts, or the rejected proposals, that a filter lets through, latest first."""
    proposals = chosen.verdict is not None and chosen.verdict not in (*Verdict, NO_ANSWER)
    conditions: list[tuple[str, Any]] = [
        ("r.kind = ?", chosen.kind),
        ("r.step = ?", chosen.step),
        ("r.id < ?", chosen.before),
        ("instr(r.text, ?) > 0", chosen.text),
    ]
    if proposals:
        conditions.append(("r.teacher = ?", chosen.member))
        conditions.append(("r.reason = ?", None if chosen.verdict == REJECTED else chosen.verdict))
    else:
        conditions.append(("(r.student = ?1 OR m.teacher = ?1)", chosen.member))
        conditions += [
            ("coalesce(r.verdict, 'no answer') = ?", chosen.verdict),
            ("r.task_id = ?", chosen.task),
        ]
    return _found(run, about, proposals, conditions, most)


def _found(
    run: RunReader,
    about: Described,
    proposals: bool,
    conditions: Sequence[tuple[str, Any]],
    most: int,
) -> list[TextRow]:
    given = [(clause, value) for clause, value in conditions if value is not None]
    where = ["r.reason IS NOT NULL"] if proposals else ["1"]
    # Every place has its own number, so that one value may stand at two.
    where += [
        clause.replace("?1", "?").replace("?", f"?{number}")
        for number, (clause, _) in enumerate(given, 1)
    ]
    rows = run.rows(
        f"{_PROPOSALS if proposals else _ATTEMPTS} WHERE {' AND '.join(where)} "
        f"ORDER BY r.id DESC LIMIT {int(most)}",
        [value for _, value in given],
    )
    return [
        TextRow(
            row["id"], row["step"], row["teacher"], row["student"], row["kind"],
            Shown(
                row["verdict"],
                VERDICTS[row["verdict"]] + (f": {row['reason']}" if row["reason"] else ""),
                _who(row["teacher"], row["student"], row["attempt"], row["turn"]),
                clip(row["text"]),
                None if row["answer"] is None else clip(row["answer"], 300),
            ),
            row["task_id"],
            payload_lines(decoded(row["payload"]), about.payload.get(row["kind"]))
            if row["payload"] else [],
        )
        for row in rows
    ]  # fmt: skip


def _who(teacher: int | None, student: int | None, attempt: int, turn: int) -> str:
    author = "the stream" if teacher is None else f"teacher #{teacher}"
    if student is None:
        return author
    return f"student #{student}, attempt {attempt + 1}{_turn(turn)}, of {author}"


@dataclass(frozen=True, slots=True)
class Browser:
    """Filters over texts: those that are inside, or all that the page's server has."""

    members: Sequence[int]
    kinds: Sequence[str]
    verdicts: Sequence[tuple[str, str]]
    """(value, its name)."""
    texts: Sequence[TextRow]
    type: str = "browser"


def browser(run: RunData) -> Figure:
    """Every text behind filters."""
    reasons = sorted({o.reason for o in run.outcomes if o.reason is not None})
    verdicts = [*VERDICTS.items(), *((reason, f"rejected: {reason}") for reason in reasons)]
    ids = sorted(member.id for member in (*run.members, *run.past))
    kinds = sorted({count.kind for count in run.solve_counts})
    part = Browser(ids, kinds, verdicts, run.texts)
    caption = "A page in a file has a sample of the texts inside." if run.texts else ""
    return Figure("browse", "All texts", [part], caption, full=True)


def sample_texts(run: RunReader, about: Described, most: int = 120) -> list[TextRow]:
    """Return attempts and a few rejected proposals from all over the run, latest first."""
    texts = []
    for table, proposals, count in (("rollouts", False, most), ("proposals", True, most // 6)):
        last = run.rows(f"SELECT coalesce(max(id), 0) FROM {table}")[0][0]
        gap = max(1, last // count)
        texts += _found(run, about, proposals, [(f"r.id % {gap} = ?", last % gap)], count)
    return texts
