"""Adapters as vLLM reads them: PEFT directories under names that say what is in them."""

import hashlib
import itertools
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from redqueen.errors import ConfigError
from redqueen.models.adapters import Factors
from redqueen.models.population_model import PopulationModel


def round_rank(rank: int, allowed: Sequence[int]) -> int:
    """Return the least `max_lora_rank` that vLLM takes and that holds this rank.

    Raises:
        ConfigError: there is none.
    """
    enough = [size for size in allowed if size >= rank]
    if not enough:
        raise ConfigError(
            f"policy.rank = {rank}, but vLLM takes adapters up to rank {max(allowed)}; set a lower "
            "one, or engine.type = 'torch'"
        )
    return min(enough)


def digest_of(factors: Mapping[str, Factors]) -> str:
    """Return a short name of an adapter's weights: others for other weights."""
    digest = hashlib.blake2b(digest_size=8)
    for pair in factors.values():
        for factor in pair:
            digest.update(factor.cpu().numpy().tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class AdapterFile:
    """One adapter on the disk."""

    name: str
    """vLLM's prefix cache takes texts of equal names for texts of equal weights."""
    id: int
    """vLLM's number of it, from 1; none is used twice."""
    path: Path


class AdapterFiles:
    """The adapters that were written last, by slot, in a private directory.

    Names are `slot-<slot>@<version>-<digest>`: a version alone may come back with other weights,
    for a slot passes from one member to another.
    """

    def __init__(self, model: PopulationModel) -> None:
        """Write an adapter of zeros for the base."""
        self._model = model
        self._directory = tempfile.TemporaryDirectory(prefix="redqueen-vllm-")
        self._ids = itertools.count(1)
        self._digests: dict[int, str] = {}
        zeros = {
            name: Factors(torch.zeros_like(a), torch.zeros_like(b))
            for name, (a, b) in model.adapters.get(0).items()
        }
        self.base = self._write("base", zeros)

    def _write(self, name: str, factors: Mapping[str, Factors]) -> AdapterFile:
        file = AdapterFile(name, next(self._ids), Path(self._directory.name) / name)
        self._model.export_factors(factors, self._model.adapters.alpha, file.path)
        return file

    def update(self, slot: int, version: int) -> AdapterFile | None:
        """Write a slot of the model; None if its weights are those that were written last.

        Raises:
            InfrastructureError: the files cannot be written.
        """
        factors = self._model.adapters.get(slot)
        digest = digest_of(factors)
        if self._digests.get(slot) == digest:
            return None
        file = self._write(f"slot-{slot}@{version}-{digest}", factors)
        self._digests[slot] = digest
        return file

    def close(self) -> None:
        """Delete everything."""
        self._directory.cleanup()
