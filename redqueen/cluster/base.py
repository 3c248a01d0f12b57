"""What a config names as a cluster, and the cluster that is this process."""

from typing import TYPE_CHECKING

from redqueen.config.component import Component
from redqueen.config.sandbox import SandboxConfig
from redqueen.engines.base import Engine, EngineConfig
from redqueen.sandbox import Sandbox, make_sandbox

if TYPE_CHECKING:
    from redqueen.models.population_model import PopulationModel


class ClusterConfig(Component):
    """Base of what a config names as a cluster: its keys, and how it puts engines to work."""

    def build(self, engine: EngineConfig, model: "PopulationModel") -> Engine:
        """Return an engine that writes with engines of this kind wherever the cluster has them.

        If it has an attribute `scorer`, the learner learns with that in place of the model.

        Raises:
            ConfigError: something that the cluster or the engine needs is missing.
            InfrastructureError: the cluster cannot be reached.
        """
        raise NotImplementedError

    def open_sandbox(self, config: SandboxConfig) -> Sandbox:
        """Return a sandbox with its workers running, on this machine or on several.

        Raises: see `make_sandbox`.
        """
        return make_sandbox(config)


class Local(ClusterConfig):
    """Everything in this process and those that its engine starts."""

    def build(self, engine: EngineConfig, model: "PopulationModel") -> Engine:
        """Return the engine itself; see `ClusterConfig.build`."""
        return engine.build(model)
