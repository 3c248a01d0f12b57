"""What a config says of a Ray cluster, and how one is reached or started."""

import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field

from redqueen import registry
from redqueen.cluster.base import ClusterConfig
from redqueen.cluster.engine import ClusterEngine
from redqueen.cluster.ray.sandboxes import NodeSandboxes
from redqueen.cluster.sandboxes import SharedSandbox
from redqueen.config.sandbox import SandboxConfig
from redqueen.engines.base import EngineConfig
from redqueen.errors import ConfigError
from redqueen.models.population_model import PopulationModel
from redqueen.sandbox import Sandbox, make_sandbox

SETTINGS = {
    # Whoever reaches a cluster runs code on it: only who has its token may.
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # of a local cluster: by default 15, behind all else that runs
}
"""What a user may set otherwise."""


class Ray(ClusterConfig):
    """Engines on the nodes of a Ray cluster, which write and learn; this process holds the
    optimizer."""

    address: str = "local"
    """`local`: a cluster of this machine, started with the run and ended with it; or `host:port` of
    one that runs already (`auto`: the one that this machine belongs to)."""
    engines: int = Field(0, ge=0)
    """Most engines; 0: one for each GPU, or for each node (or `cpus` cores) if there are none."""
    cpus: int = Field(0, ge=0)
    """Cores of each engine; 0: those of its node, shared by the engines on it."""
    silence: float = Field(30.0, ge=1.0)
    """Seconds without an answer, for instance because a network was cut, after which an engine is
    given up and others do its work."""
    sandboxes: bool = True
    """Verify on the other nodes too, where many answers are to be verified at once."""

    def build(self, engine: EngineConfig, model: PopulationModel) -> ClusterEngine:
        """Connect, and start the engines; see `ClusterConfig.build`."""
        registry.require("ray", "cluster.type = 'ray'")
        if model.adapters.rows < model.adapters.slots:
            raise ConfigError(
                "population.slots: engines on a Ray cluster have all members in memory; set it to "
                "0, or cluster.type = 'local'"
            )
        _prepare_environment(self.address)
        # Imported only where it is used, and after its settings.
        from redqueen.cluster.ray.pool import RayPool, Staff, connect

        with _signal_handlers_kept():
            leaves = connect(self.address)
        staff = Staff(model.config, engine, model.adapters.slots, self.engines, self.cpus)
        pool = RayPool(staff, model.base.digest, self.silence, leaves)
        try:
            pool.start()
        except BaseException:
            pool.close()
            raise
        return ClusterEngine(model, pool, getattr(engine, "rows", 256))

    def open_sandbox(self, config: SandboxConfig) -> Sandbox:
        """See `ClusterConfig.open_sandbox`."""
        own = make_sandbox(config)
        return SharedSandbox(own, NodeSandboxes(config)) if self.sandboxes else own


def _prepare_environment(address: str) -> None:
    """Set what Ray reads when it is imported; find the token, or make one for a local cluster.

    Raises:
        ConfigError: a cluster is to be joined, and there is no token.
    """
    os.environ |= {name: os.environ.get(name, value) for name, value in SETTINGS.items()}
    places = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
    kept = Path.home() / ".ray/auth_token"
    if os.environ["RAY_AUTH_MODE"] != "token" or any(map(os.environ.get, places)) or kept.exists():
        return
    if address != "local":
        raise ConfigError(
            f"cluster.address = {address!r}: this machine does not have the cluster's token; put "
            f"it into {kept} (readable by you alone) or RAY_AUTH_TOKEN_PATH. See docs/cluster.md"
        )
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


@contextmanager
def _signal_handlers_kept() -> Iterator[None]:
    """Ray installs handlers of its own; afterwards those of before are back."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
