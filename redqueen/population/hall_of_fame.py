"""The hall of fame: copies of the best members, on disk, for the present to play against.

Rosin and Belew, "New Methods for Competitive Coevolution", Evolutionary Computation 1997: the best
individual of every generation is kept, and the present is tested against the kept ones, so that it
cannot forget how to beat the past. Fictitious self-play (Vinyals et al., Nature 2019) plays against
past players for the same reason. Matchmaking says who meets them.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor

from redqueen.config.population import HallOfFameConfig
from redqueen.errors import InfrastructureError
from redqueen.files import write_bytes
from redqueen.models.adapters import AdapterStack, Factors
from redqueen.population.matchmaking import players
from redqueen.population.population import NO_SLOT, Population
from redqueen.types import PAST, Match, Member

FOLDER = "hall_of_fame"
"""Where a run's directory keeps the adapters."""

Sync = Callable[[Sequence[int], AdapterStack, int], None]
"""Tells the engine of slots with new weights, and of which step these are; see `Engine.sync`."""


def _path(directory: Path, id_: int) -> Path:
    return directory / FOLDER / f"member-{id_:06d}.safetensors"


def has_adapter(directory: Path, id_: int) -> bool:
    """Return whether the run in `directory` still keeps the adapter of past member `id_`."""
    return _path(directory, id_).is_file()


def read_adapter(directory: Path, id_: int, digest: str | None = None) -> dict[str, Factors]:
    """Return the factors of past member `id_` of the run in `directory`, by layer.

    `digest` is the SHA-256 that the file must have.

    Raises:
        InfrastructureError: the file is missing, not readable, or another one.
    """
    path = _path(directory, id_)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InfrastructureError(
            f"cannot read {path}, the adapter of past member {id_}: {error.strerror or error}; "
            "put the file back, then resume"
        ) from None
    if digest is not None and hashlib.sha256(content).hexdigest() != digest:
        raise InfrastructureError(
            f"{path} is not the file that the checkpoint knows; put it back, then resume"
        )
    tensors = load(content)
    layers = dict.fromkeys(name.rsplit(".", 1)[0] for name in tensors)
    return {name: Factors(tensors[f"{name}.A"], tensors[f"{name}.B"]) for name in layers}


def prune(directory: Path, states: Sequence[Mapping[str, str]], next_id: int) -> None:
    """Delete the adapters that no checkpoint needs.

    `states` are what `HallOfFame.state` returned for every checkpoint that is kept; ids from
    `next_id` on were given since the newest of them, and stay.
    """
    needed = {int(id_) for state in states for id_ in state}
    for path in (directory / FOLDER).glob("member-*.safetensors"):
        id_ = int(path.stem.removeprefix("member-"))
        if id_ < next_id and id_ not in needed:
            path.unlink(missing_ok=True)


def thinned(members: Sequence[Member], size: int) -> list[Member]:
    """Return at most `size` members, oldest first, spread over the time in which they were born.

    While there are too many, the one whose neighbours are closest in time is dropped: never the
    newest, and the oldest only if `size` is 1.
    """
    kept = sorted(members, key=lambda m: (m.born, m.id))
    while len(kept) > size:
        inner = range(1, len(kept) - 1) if size > 1 else [0]
        kept.pop(min(inner, key=lambda i: kept[i + 1].born - kept[i - 1].born if i else 0))
    return kept


class HallOfFame:
    """Copies members to disk, and puts past members into spare slots for the steps they play in.

    Copies are members of their own: a new id, `PAST` as operator, the copied member as parent.
    """

    def __init__(self, config: HallOfFameConfig, directory: Path, adapters: AdapterStack) -> None:
        self.config = config
        self._directory = directory
        self._adapters = adapters
        self._digests: dict[int, str] = {}

    def state(self) -> dict[str, str]:
        """Return id -> SHA-256 of the file of every past member, for a checkpoint."""
        return {str(id_): digest for id_, digest in self._digests.items()}

    def restore(self, state: Mapping[str, str]) -> None:
        """Take up what `state` returned."""
        self._digests = {int(id_): digest for id_, digest in state.items()}

    def seat(self, population: Population, matches: Sequence[Match], sync: Sync) -> Population:
        """Return the population with the past members of `matches` in the slots after the living.

        Their adapters are loaded there; their version is the step after which they were copied.

        Raises:
            InfrastructureError: an adapter is missing or damaged.
        """
        playing = players(matches)
        slots = count(len(population))
        seated = [replace(m, slot=next(slots)) for m in population.past if m.id in playing]
        for member in seated:
            factors = read_adapter(self._directory, member.id, self._digests[member.id])
            self._adapters.set(member.slot, factors)
            sync([member.slot], self._adapters, member.born)
        return population.updated(seated)

    def end_step(
        self, population: Population, matches: Sequence[Match], step: int
    ) -> tuple[Population, tuple[Member, ...]]:
        """Return the population with nobody of the past in a slot, and the past members that
        played or are new, for the record of the step.

        After every `interval` steps the best of each role is copied, and the surplus is dropped.

        Raises:
            InfrastructureError: an adapter could not be written.
        """
        if not self.config.share:
            return population, ()
        past = [replace(member, slot=NO_SLOT) for member in population.past]
        played = players(matches)
        recorded = [member for member in past if member.id in played]
        next_id = population.next_id
        if step % self.config.interval == 0:
            for roles in dict.fromkeys(member.roles for member in population.members):
                best = max(population.with_roles(roles), key=lambda m: m.conservative_rating)
                copy = replace(
                    best, id=next_id, slot=NO_SLOT, born=step, died=step, parents=(best.id,),
                    operator=PAST,
                )  # fmt: skip
                self._write(copy.id, best.slot)
                next_id += 1
                recorded.append(copy)
                same = [member for member in past if member.roles == roles]
                kept = thinned([*same, copy], self.config.size)
                past = [member for member in past if member.roles != roles] + kept
        past.sort(key=lambda member: member.id)
        self._digests = {member.id: self._digests[member.id] for member in past}
        return replace(population, next_id=next_id, past=tuple(past)), tuple(recorded)

    def _write(self, id_: int, slot: int) -> None:
        tensors: dict[str, Tensor] = {}
        for name, (a, b) in self._adapters.get(slot).items():
            tensors |= {f"{name}.A": a.cpu(), f"{name}.B": b.cpu()}
        content = save(tensors)
        path = _path(self._directory, id_)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, content)
        except OSError as error:
            raise InfrastructureError(
                f"could not write {path}: {error}; the last checkpoint is intact"
            ) from error
        self._digests[id_] = hashlib.sha256(content).hexdigest()
