"""The living members, as a frozen record that evolution and ratings copy with changes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from redqueen.config.population import PopulationConfig
from redqueen.types import Member, Role

BOTH_ROLES = (Role.TEACHER, Role.STUDENT)
NO_SLOT = -1
"""The slot of a member whose adapter is on the disk alone."""


@dataclass(frozen=True, slots=True)
class Population:
    """Living members in slot order, the next free member id, and the hall of fame.

    Ids are never used twice; the slots of the living are always 0 .. len - 1. Only the living count
    in `len`, hold roles here, learn and evolve.

    Raises:
        ValueError: slots are not 0 .. len - 1 in order, or ids are not unique and below next_id.
    """

    members: tuple[Member, ...]
    next_id: int
    past: tuple[Member, ...] = ()
    """Copies of what members once were, oldest first. In a step in which one plays it lies in a
    slot after those of the living, else in none (`NO_SLOT`)."""

    def __post_init__(self) -> None:
        if [member.slot for member in self.members] != list(range(len(self.members))):
            raise ValueError("the members' slots must be 0 .. len - 1, in order")
        ids = {member.id for member in self.everybody}
        if len(ids) != len(self.everybody) or any(id_ >= self.next_id for id_ in ids):
            raise ValueError("member ids must be unique and smaller than next_id")

    @classmethod
    def founders(cls, config: PopulationConfig) -> "Population":
        """Return teachers, then students, then self-play members; id and slot count from 0."""
        roles: list[tuple[Role, ...]] = [(Role.TEACHER,)] * config.teachers
        roles += [(Role.STUDENT,)] * config.students + [BOTH_ROLES] * config.self_play
        members = tuple(
            Member(id=index, slot=index, roles=held, mu=config.mu, sigma=config.sigma)
            for index, held in enumerate(roles)
        )
        return cls(members, len(members))

    def __len__(self) -> int:
        return len(self.members)

    @property
    def everybody(self) -> tuple[Member, ...]:
        """The living, then the past."""
        return (*self.members, *self.past)

    @property
    def teaches(self) -> bool:
        """Whether anybody proposes tasks."""
        return bool(self.by_role(Role.TEACHER))

    def by_role(self, role: Role) -> tuple[Member, ...]:
        """Return all members that hold `role`, self-play members included, in slot order."""
        return tuple(member for member in self.members if role in member.roles)

    def with_roles(self, roles: tuple[Role, ...]) -> tuple[Member, ...]:
        """Return the members that hold exactly `roles`, in slot order."""
        return tuple(member for member in self.members if member.roles == roles)

    def by_id(self, id_: int) -> Member:
        """Return the living or past member `id_`.

        Raises:
            KeyError: no living member has this id, nor one of the hall of fame.
        """
        for member in self.everybody:
            if member.id == id_:
                return member
        raise KeyError(f"no living member has id {id_}")

    def updated(self, changed: Iterable[Member]) -> "Population":
        """Return a copy in which each of `changed` stands for the member of the same id.

        Raises:
            KeyError: one of them is not here.
        """
        new = {member.id: member for member in changed}
        for id_ in new:
            self.by_id(id_)
        return replace(
            self,
            members=tuple(new.get(m.id, m) for m in self.members),
            past=tuple(new.get(m.id, m) for m in self.past),
        )

    def replace(self, removed: int, child: Member) -> "Population":
        """Return a copy in which `child` takes the slot of the member with id `removed`.

        Raises:
            KeyError: `removed` is not alive.
            ValueError: the child's slot or roles differ from the removed member's, or its id is
                not `next_id`.
        """
        dead = self.by_id(removed)
        if child.slot != dead.slot or child.roles != dead.roles:
            raise ValueError(
                f"the child of slot {child.slot} must take the slot and roles of {dead}"
            )
        if child.id != self.next_id:
            raise ValueError(f"the child's id must be {self.next_id}, not {child.id}")
        members = tuple(child if m.id == removed else m for m in self.members)
        return Population(members, self.next_id + 1, self.past)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types, for checkpoints."""
        return {
            "next_id": self.next_id,
            "members": [_to_json(member) for member in self.members],
            "past": [_to_json(member) for member in self.past],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Population":
        """Return the inverse of `to_json`; floats come back with the same bits."""
        members, past = (tuple(map(_from_json, data.get(key, ()))) for key in ("members", "past"))
        return cls(members, int(data["next_id"]), past)


def _to_json(member: Member) -> dict[str, Any]:
    roles = [role.value for role in member.roles]
    # Not `asdict`, which copies in depth: there may be a thousand members, after every step.
    values = {item.name: getattr(member, item.name) for item in fields(member)}
    return values | {"roles": roles, "parents": list(member.parents)}


def _from_json(values: Mapping[str, Any]) -> Member:
    roles = tuple(Role(role) for role in values["roles"])
    return Member(**{**values, "roles": roles, "parents": tuple(values["parents"])})
