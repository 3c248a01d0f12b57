"""The engine that suits base and machine."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from pydantic import Field

from redqueen import registry
from redqueen.engines.base import Engine, EngineConfig

if TYPE_CHECKING:
    from redqueen.models.population_model import PopulationModel

SMALL = 1_000_000_000
"""Bases of more parameters keep all cores busy in one process."""


def _extra_is_installed() -> bool:
    return all(find_spec(name) for name, extra in registry.EXTRAS.items() if extra == "cpu")


class Auto(EngineConfig):
    """`cpu` for a small, whole base on a CPU if the extra of that name is installed, else
    `torch`."""

    rows: int = Field(256, ge=1)
    """Texts written side by side; more is faster until memory runs out."""
    workers: int = Field(0, ge=0)
    """Of the `cpu` engine: processes, one core each; 0: as many as `threads` or cores."""
    blocked: bool = True
    """Of the `cpu` engine: keep the base's weights in a second layout, for few rows."""
    graphs: bool = True
    """Of the `torch` engine on a GPU: start all kernels of a token at once."""

    def build(self, model: "PopulationModel") -> Engine:
        """Return the engine for a loaded model; see `EngineConfig.build`."""
        small = model.num_parameters <= SMALL and model.config.quantization == "none"
        if model.device.type == "cpu" and small and _extra_is_installed():
            # What the extra brings is imported only where it is used.
            from redqueen.engines.cpu import Cpu

            return Cpu(rows=self.rows, workers=self.workers, blocked=self.blocked).build(model)
        # Every command reads a config; transformers takes seconds to import.
        from redqueen.engines.torch import Torch

        return Torch(rows=self.rows, graphs=self.graphs).build(model)
