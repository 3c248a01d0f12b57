"""`swarm keygen | join | status`."""

import argparse
from pathlib import Path

from redqueen.commands.train import train
from redqueen.errors import ConfigError
from redqueen.terminal import Terminal


def swarm(args: argparse.Namespace) -> int:
    """Make an identity, start a run in a swarm, or show its peers."""
    actions = {"keygen": _swarm_keygen, "join": _swarm_join, "status": _swarm_status}
    return actions[args.action](args)


def _swarm_keygen(args: argparse.Namespace) -> int:
    try:
        from redqueen.swarm.identity import Identity
    except ImportError as error:
        raise ConfigError(f"{error}; install it with: pip install 'redqueen[swarm]'") from error

    print(Identity.create(args.file).name)
    return 0


def _swarm_join(args: argparse.Namespace) -> int:
    """Train with the section `swarm` filled in; what the command line says goes before."""
    address = args.place.partition("/")[0] in ("tcp", "tls", "quic", "udp")
    place = (
        [("swarm.transport.type", "zenoh"), ("swarm.transport.connect", f'["{args.place}"]')]
        if address
        else [("swarm.transport.path", str(Path(args.place).absolute()))]
    )
    given = dict(args.overrides)
    identity = str(Path(given.get("swarm.identity", "swarm.key")).absolute())
    filled = dict([("swarm.enabled", "true"), *place])
    args.overrides = [*(filled | given | {"swarm.identity": identity}).items()]
    return train(args)


def _swarm_status(args: argparse.Namespace) -> int:
    from redqueen.store import RunStore, load_exchange_counts
    from redqueen.swarm.status import print_status

    with RunStore.open(args.run, read_only=True) as store:
        rows = store.rows("SELECT count(*), coalesce(sum(published), 0) FROM exchanges")
        steps, published = rows[0]
        print_status(load_exchange_counts(store), steps, published, Terminal(width=80))
    return 0
