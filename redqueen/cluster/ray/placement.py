"""Where replicas stand: one for each GPU, or one for each node of a cluster without any."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the cluster that is alive."""

    id: str
    address: str
    cpus: int
    gpus: int


@dataclass(frozen=True, slots=True)
class Seat:
    """Room for one replica."""

    node: Node
    place: int
    """Counts the seats of a node."""
    cpus: int
    gpus: int


def seats(nodes: Sequence[Node], most: int = 0, cpus: int = 0) -> list[Seat]:
    """Return at most `most` seats (0: all that there are), as evenly over the nodes as they go.

    A node has a seat for each of its GPUs; if no node has any, a seat for every `cpus` cores, or
    one that has them all (0). Nodes without the resource have none.
    """
    with_gpus = any(node.gpus for node in nodes)

    def of(node: Node) -> list[Seat]:
        by_cores = node.cpus // cpus if cpus else min(1, node.cpus)
        count = node.gpus if with_gpus else by_cores
        each = min(cpus or node.cpus, node.cpus // count) if count else 0
        return [Seat(node, place, each, int(with_gpus)) for place in range(count)]

    ordered = sorted(nodes, key=lambda node: (node.address, node.id))
    rounds = zip_longest(*(of(node) for node in ordered))
    every = [seat for seats_of_round in rounds for seat in seats_of_round if seat is not None]
    return every[:most] if most else every
