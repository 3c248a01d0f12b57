"""A run as a node of a swarm: its parts from its config and its records."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from redqueen.config import Config
from redqueen.environments.base import Environment
from redqueen.store import (
    RunReader,
    load_exchange_counts,
    load_exchanges,
    load_foreign_keys,
    load_newest_adapters,
)
from redqueen.swarm.codec import ModelCodec
from redqueen.swarm.exchange import Past, Swarm
from redqueen.swarm.identity import Identity
from redqueen.swarm.islands import Islands
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
        load_newest_adapters(run),
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
    past = past or Past(int(time.time()))
    transport = keys.transport.build(
        Node(identity.name, keys.max_bytes, keys.quota, keys.max_peers)
    )
    islands = partial(
        Islands,
        keys.islands,
        identity=identity,
        connect=lambda name, longest: transport.channel(
            name, Node(identity.name, longest, 1, keys.max_peers)
        ),
        adapters=model.adapters,
        base_digest=model.base.digest,
        past={step: item.adapters for step, item in past.exchanges.items()},
        newest=past.newest,
        epoch=past.epoch,
        seed=config.seed,
    )
    return Swarm(
        keys,
        identity,
        transport,
        Judge(
            environments,
            is_held_out,
            reward,
            codec.fits,
            config.safety.screens,
            keys.need_right,
        ),
        codec,
        past,
        seed=config.seed,
        limit=limit,
        islands=islands if keys.islands.enabled else None,
    )
