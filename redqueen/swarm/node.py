"""A run as a node of a swarm: its parts from its config and its records."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from redqueen.config import Config
from redqueen.environments.base import Environment
from redqueen.store import RunReader, load_exchange_counts, load_exchanges, load_foreign_keys
from redqueen.swarm.codec import ModelCodec
from redqueen.swarm.exchange import Past, Swarm
from redqueen.swarm.identity import Identity
from redqueen.swarm.judge import Judge, Reward
from redqueen.swarm.transport.base import Node
from redqueen.types import Task

if TYPE_CHECKING:
    from redqueen.models.population_model import PopulationModel


def past_of(run: RunReader, step: int) -> Past:
    """Return what a run, resumed after `step`, has on record of its swarm."""
    epoch = run.rows("SELECT max(epoch) FROM exchanges")[0][0]
    return Past(
        epoch or int(time.time()),
        load_exchanges(run, after=step),
        load_foreign_keys(run),
        load_exchange_counts(run),
    )


def open_swarm(
    config: Config,
    environments: Mapping[str, Environment],
    is_held_out: Callable[[Task], bool],
    reward: Reward,
    model: "PopulationModel",
    past: Past | None,
) -> Swarm:
    """Return a run's node; `past` None: the run is new. Close it at the end.

    Raises:
        ConfigError: the identity or what the transport needs is missing.
    """
    keys, limit = config.swarm, config.rollout.solve_tokens
    identity = Identity.load(Path(keys.identity))
    codec = ModelCodec(model, limit)
    return Swarm(
        keys,
        identity,
        keys.transport.build(Node(identity.name, keys.max_bytes, keys.quota, keys.max_peers)),
        Judge(environments, is_held_out, reward, codec.fits),
        codec,
        past or Past(int(time.time())),
        seed=config.seed,
        limit=limit,
    )
