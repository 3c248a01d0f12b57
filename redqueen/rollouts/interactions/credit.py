"""What several interactions pay answers by, read off the rollouts of a step."""

from collections.abc import Sequence

from redqueen.types import Match, Rollout, Verdict

Values = Sequence[float | None]


def conversations(matches: Sequence[Match], rollouts: Sequence[Rollout]) -> list[list[int]]:
    """Return the places of the rollouts of each attempt at each task, all its students together."""
    roots = {match.index: match.root for match in matches}
    places: dict[tuple[int, str, int], list[int]] = {}
    for place, rollout in enumerate(rollouts):
        key = (roots[rollout.match], rollout.task_id, rollout.attempt)
        places.setdefault(key, []).append(place)
    return list(places.values())


def corrections(rollouts: Sequence[Rollout]) -> list[int]:
    """Return for each rollout 1 if it is right and its student's answer before it in the same
    attempt was not, -1 if it is the other way round, else 0.

    First answers and infrastructure errors are 0.
    """
    before: dict[tuple[int, str, int], Verdict] = {}
    changes = [0] * len(rollouts)
    for place in sorted(range(len(rollouts)), key=lambda place: rollouts[place].turn):
        rollout = rollouts[place]
        if rollout.verdict in (None, Verdict.INFRA_ERROR):
            continue
        key = (rollout.match, rollout.task_id, rollout.attempt)
        right = rollout.verdict is Verdict.CORRECT
        changes[place] = right - (before.get(key, rollout.verdict) is Verdict.CORRECT)
        before[key] = rollout.verdict
    return changes


def with_corrections(
    rollouts: Sequence[Rollout], values: Values, bonus: float
) -> list[float | None]:
    """Return the values, `bonus` more for a correction and `bonus` less for its opposite."""
    return [
        None if value is None else value + bonus * change
        for value, change in zip(values, corrections(rollouts), strict=True)
    ]
