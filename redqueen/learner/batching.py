"""Splitting a step's sequences into minibatches, one update each."""

from collections.abc import Sequence

from redqueen.rng import numpy_rng


def deal_minibatches(
    members: Sequence[int], count: int, seed: int, step: int, epoch: int
) -> list[list[int]]:
    """Return `count` minibatches of indices of the sequences [N], which are given by their members.

    Each member's sequences are shuffled with their own generator and dealt in turn, so that
    every minibatch holds about the same share of each member, and one member's deal does not
    depend on the others. Empty minibatches are left out; one minibatch keeps the order.
    """
    if count == 1:
        return [list(range(len(members)))]
    dealt: list[list[int]] = [[] for _ in range(count)]
    for member in sorted(set(members)):
        indices = [i for i, other in enumerate(members) if other == member]
        order = numpy_rng(seed, step, "minibatch", epoch, member).permutation(len(indices))
        for place, chosen in enumerate(order.tolist()):
            dealt[place % count].append(indices[chosen])
    return [sorted(batch) for batch in dealt if batch]
