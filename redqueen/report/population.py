"""Figures of the population: ratings, the teacher x student matrix, the lineage tree."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from redqueen.formatting import plural
from redqueen.report.figures import (
    MAX_POINTS,
    Cell,
    Figure,
    Heat,
    Life,
    Lines,
    Series,
    Tree,
    bins,
    empty_figure,
    finite,
)
from redqueen.report.queries import RunData
from redqueen.types import Member, Role

MAX_AXIS = 14
MAX_LIVES = 60
ROLE_COLORS = {Role.TEACHER: "var(--teacher)", Role.STUDENT: "var(--student)"}


def role_color(member: Member) -> str:
    """The colour of a member's role; one that holds both has its own."""
    return ROLE_COLORS[member.roles[0]] if len(member.roles) == 1 else "var(--both)"


def ratings(run: RunData, role: Role) -> Figure:
    """Every member's rating from birth to death; the living ones are named."""
    heading = f"Ratings of the {role.value}s"
    name = f"ratings-{role.value}s"
    members = {m.id: m for m in run.members if role in m.roles}
    if not members:
        return empty_figure(name, heading, f"This run has no {role.value}s.")
    if not run.sizes.teachers and not run.past:
        why = "Matches against the stream, or of a member with itself, are not rated."
        return empty_figure(name, heading, why)
    place = bins(run.steps, MAX_POINTS)
    series = []
    for member in members.values():
        line = {place[p.step].x: p.mu for p in run.ratings.get(member.id, ())}
        alive = member.died is None
        series.append(
            Series(
                f"#{member.id}",
                finite(line.items()),
                role_color(member) if alive else "var(--pale)",
                label=f"#{member.id}" if alive else None,
                faded=not alive,
                ended=not alive,
            )
        )
    living = [m for m in members.values() if m.died is None]
    top = max(living, key=lambda m: m.conservative_rating, default=None)
    chart = Lines(f"TrueSkill mu of the {role.value}s over steps", series)
    caption = "TrueSkill mu after each step, one line per member"
    caption += "; a cross marks a replacement." if len(living) < len(members) else "."
    if top is not None:
        caption += (
            f" Highest conservative rating (mu \u2212 3 sigma): #{top.id} with "
            f"{top.conservative_rating:.1f}."
        )
    return Figure(name, heading, [chart], caption)


def _author(teacher: int | None) -> str:
    return "the stream" if teacher is None else f"teacher #{teacher}"


def _axis(
    members: Sequence[Member], attempts: Mapping[int, int] | Mapping[int | None, int]
) -> list[Member]:
    """The members of one axis: all, or those with the most attempts, living ones first."""
    taking_part = [m for m in members if m.id in attempts]
    if len(taking_part) > MAX_AXIS:
        taking_part.sort(key=lambda m: (m.died is not None, -attempts[m.id], m.id))
        taking_part = taking_part[:MAX_AXIS]
    return sorted(taking_part, key=lambda m: (m.died is not None, m.id))


def matrix(run: RunData) -> Figure:
    """Teacher x student solve rates over the whole run; the stream has a row of its own."""
    heading = "Who solves whose tasks"
    cells = run.matrix
    if not cells:
        return empty_figure("matrix", heading, "No student attempted a task.", full=True)
    by_teacher: dict[int | None, int] = defaultdict(int)
    by_student: dict[int, int] = defaultdict(int)
    for cell in cells:
        by_teacher[cell.teacher] += cell.attempts
        by_student[cell.student] += cell.attempts
    members = [*run.members, *run.past]
    rows, columns = _axis(members, by_teacher), _axis(members, by_student)
    streams: list[int | None] = [None] if None in by_teacher else []
    row_of = {id_: i for i, id_ in enumerate([*streams, *(m.id for m in rows)])}
    column_of = {m.id: i for i, m in enumerate(columns)}
    shown = {
        (row_of[c.teacher], column_of[c.student]): Cell(
            c.solve_rate,
            c.attempts,
            f"student #{c.student} on the tasks of {_author(c.teacher)}: {c.correct} of "
            f"{c.attempts} attempts correct, {plural(c.tasks, 'task')}",
        )
        for c in cells
        if c.teacher in row_of and c.student in column_of
    }
    chart = Heat(
        "Solve rate of each student on each teacher's tasks",
        "teacher",
        "student",
        ["stream" if id_ is None else f"#{id_}" for id_ in row_of],
        [f"#{m.id}" for m in columns],
        [[shown.get((i, j)) for j in range(len(columns))] for i in range(len(row_of))],
        [f"#{m.id}" for m in dict.fromkeys((*rows, *columns)) if m.died is not None],
    )
    caption = (
        "Share of a student's attempts (n) at a teacher's tasks that were correct, over the whole "
        "run. Living members come first, replaced and past ones are pale; empty cells never met."
    )
    hidden = len(by_teacher) - len(row_of) + len(by_student) - len(columns)
    if hidden:
        caption += f" {plural(hidden, 'member')} with fewer attempts left out."
    return Figure("matrix", heading, [chart], caption, full=True)


def _ancestors(members: Sequence[Member]) -> set[int]:
    """The living and all they descend from."""
    by_id = {m.id: m for m in members}
    seen: set[int] = set()
    stack = [m.id for m in members if m.died is None]
    while stack:
        one = stack.pop()
        if one in by_id and one not in seen:
            seen.add(one)
            stack += by_id[one].parents
    return seen


def _hyperparameters(member: Member) -> str:
    """The hyperparameters in which a member differs from the run."""
    parts = []
    if member.learning_rate_factor != 1.0:
        parts.append(f", learning rate times {member.learning_rate_factor:.2f}")
    if member.temperature is not None:
        parts.append(f", temperature {member.temperature:.2f}")
    return "".join(parts)


def _life(member: Member, last: int) -> Life:
    how = member.operator
    parents = " and ".join(f"#{p}" for p in member.parents)
    fate = "alive" if member.died is None else f"replaced after step {member.died}"
    return Life(
        id=member.id,
        born=member.born,
        died=member.died,
        parents=member.parents,
        label=f"#{member.id} {how}" + (f" \u00b7 {member.mu:.1f}" if member.died is None else ""),
        hover=f"#{member.id}, {' and '.join(member.roles)}, {how}"
        + (f" of {parents}" if parents else "")
        + f", born after step {member.born}, {fate} at step {last}; "
        f"rating {member.mu:.1f} \u00b1 {member.sigma:.1f}" + _hyperparameters(member),
        color=role_color(member),
    )


def tree_order(lives: Sequence[Life]) -> list[Life]:
    """Founders by id, each followed by its children (by first parent), depth first."""
    ids = {life.id for life in lives}
    children: dict[int | None, list[Life]] = defaultdict(list)
    for life in sorted(lives, key=lambda one: (one.born, one.id)):
        parent = next((p for p in life.parents if p in ids and p != life.id), None)
        children[parent].append(life)
    ordered: list[Life] = []
    # The latest child stands nearest to its parent, so that connectors do not cross lines.
    stack = children[None][::-1]
    while stack:
        life = stack.pop()
        ordered.append(life)
        stack += children[life.id]
    return ordered


def lineage(run: RunData) -> Figure:
    """Who descends from whom, by which operator, and who lives."""
    heading = "Lineage"
    members = run.members
    if not members:
        return empty_figure("lineage", heading, "This run has no members yet.", full=True)
    last = run.last_step
    shown = members
    if len(members) > MAX_LIVES:
        kept = _ancestors(members)
        shown = sorted(members, key=lambda m: (m.died is not None, m.id not in kept, -m.id))
        shown = shown[:MAX_LIVES]
    roles = list(dict.fromkeys(m.roles for m in sorted(members, key=lambda m: m.id)))
    groups = [[m for m in shown if m.roles == role] for role in roles]
    trees = []
    for group in groups:
        if not group:
            continue
        name = " and ".join(group[0].roles) + "s"
        lives = tree_order([_life(m, last) for m in group])
        trees.append(Tree(f"Lineage of the {name}", lives, last, name.capitalize()))
    dead = sum(m.died is not None for m in members)
    caption = (
        f"{plural(len(members), 'member')}, {dead} of them replaced. A line runs from birth to "
        "replacement; a bend joins a child to its parents and its label names the operator. "
        "Living members show their rating (mu)."
    )
    if len(shown) < len(members):
        caption += f" Shown: {len(shown)}, the living, their ancestors and the latest others."
    keys = [
        *(
            (f"{r.value}, living", ROLE_COLORS[r])
            for r in Role
            if any(m.roles == (r,) for m in shown)
        ),
        ("replaced", "var(--pale)"),
    ]
    return Figure("lineage", heading, trees, caption, full=True, columns=2, legend=keys)
