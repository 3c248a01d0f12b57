"""A step's exchange in plain numbers; needs no extra."""

from collections import Counter

from redqueen.swarm.reasons import ARRIVED, IMPLAUSIBLE, TAKEN
from redqueen.types import Exchange


def swarm_metrics(exchange: Exchange) -> dict[str, float]:
    """Return a step's metrics: groups taken and sent, messages that came, those refused."""
    totals: Counter[str] = Counter()
    for counts in exchange.counts.values():
        totals.update(counts)
    arrived = totals.pop(ARRIVED, 0)
    del totals[TAKEN], totals[IMPLAUSIBLE]
    return {
        "swarm/taken": float(len(exchange.groups)),
        "swarm/published": float(exchange.published),
        "swarm/arrived": float(arrived),
        "swarm/refused": float(sum(totals.values())),
    }
