"""Sandboxes on the other nodes of a Ray cluster, beside their engines."""

import logging
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redqueen.cluster.ray.placement import Node
from redqueen.config.sandbox import SandboxConfig
from redqueen.sandbox import Call, Outcome, make_sandbox

_log = logging.getLogger(__name__)

LOOK_EVERY = 2.0
"""Seconds between looks at which nodes there are."""
SHUNNED = 20.0
"""Seconds for which no sandbox is started where one was lost; twice as long each time."""


class _NodeSandbox:
    """A sandbox in a process of its own on a node."""

    def __init__(self, config: SandboxConfig) -> None:
        self._sandbox = make_sandbox(config)

    def run(self, calls: Sequence[Call]) -> list[Outcome]:
        """See `Sandbox`."""
        return self._sandbox.run(calls)


@dataclass(eq=False, slots=True)
class _Remote:
    """See `Helper`."""

    actor: Any
    node: Node
    lost: BaseException | None = None

    def run(self, calls: Sequence[Call]) -> "Future[list[Outcome]]":
        """See `Helper`."""
        future: Future[list[Outcome]] = self.actor.run.remote(calls).future()
        future.add_done_callback(self._note)
        return future

    def _note(self, future: "Future[list[Outcome]]") -> None:
        self.lost = self.lost or future.exception()


class NodeSandboxes:
    """See `Helpers`: one on each node but this one, from when the run has reached its cluster."""

    def __init__(self, config: SandboxConfig) -> None:
        """`config` holds on every node."""
        self._config = config
        self._remotes: dict[str, _Remote] = {}
        self._shunned: dict[str, tuple[float, float]] = {}
        """Nodes where a sandbox was lost: until when none is started, and for how long that was."""
        self._looked = -LOOK_EVERY

    def present(self) -> Sequence[_Remote]:
        """See `Helpers`."""
        ray = sys.modules.get("ray")  # its settings must be made before it is imported
        if ray is None or not ray.is_initialized():
            return []
        now = time.monotonic()
        for name, remote in list(self._remotes.items()):
            if remote.lost is not None:
                self._give_up(name, now)
        if now - self._looked >= LOOK_EVERY:
            self._looked = now
            self._fill(ray, now)
        return list(self._remotes.values())

    def _give_up(self, name: str, now: float) -> None:
        remote = self._remotes.pop(name)
        pause = 2 * self._shunned.get(name, (0.0, SHUNNED / 2))[1]
        self._shunned[name] = now + pause, pause
        reason = str(remote.lost).strip().split("\n")[0]
        _log.warning(
            "the sandbox on %s is lost (%s: %s); its calls are run elsewhere",
            remote.node.address, type(remote.lost).__name__, reason,
        )  # fmt: skip

    def _fill(self, ray: Any, now: float) -> None:
        """Start a sandbox on every node that has none; let go of those whose nodes are gone."""
        from redqueen.cluster.ray.pool import at_node, nodes  # imports Ray

        here = ray.get_runtime_context().get_node_id()
        alive = {node.id: node for node in nodes() if node.id != here}
        for name in self._remotes.keys() - alive.keys():
            del self._remotes[name]
        for name in alive.keys() - self._remotes.keys():
            if now >= self._shunned.get(name, (0.0, 0.0))[0]:
                kind = ray.remote(_NodeSandbox).options(
                    num_cpus=0, max_restarts=0, scheduling_strategy=at_node(name)
                )
                self._remotes[name] = _Remote(kind.remote(self._config), alive[name])

    def close(self) -> None:
        """See `Helpers`."""
        if self._remotes:
            import ray
            from ray.exceptions import RayError

            for remote in self._remotes.values():
                with suppress(RayError):
                    ray.kill(remote.actor)
            self._remotes = {}
