"""The number that selection acts on."""

from collections.abc import Callable

from redqueen.types import Member

Fitness = Callable[[Member], float]


def conservative(member: Member) -> float:
    """Mu - 3 sigma: what the member is almost surely worth."""
    return member.conservative_rating


def mean(member: Member) -> float:
    """Mu: the best guess, which does not punish a newborn for its wide sigma."""
    return member.mu


FITNESS: dict[str, Fitness] = {"conservative": conservative, "mean": mean}
