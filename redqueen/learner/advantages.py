"""Credit assignment: from rewards to one advantage per sequence.

Each scheme is a pure function of the rewards [N] and two labellings [N] of the sequences: the
stratum (member, role, task kind) and the group (attempts at one prompt).
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from redqueen.types import Trajectory

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Scheme = Callable[[Floats, Labels, Labels], Floats]

EPSILON = 1e-6
"""Added to a standard deviation before dividing."""


def _standardise(rewards_N: Floats, labels_N: Labels) -> Floats:
    """(r - mean) / (std + eps) among equal labels, with the unbiased standard deviation.

    A label with one sequence, or with equal rewards, has nothing to compare: exactly 0.
    """
    advantages_N = np.zeros_like(rewards_N)
    for label in np.unique(labels_N):
        chosen = labels_N == label
        rewards = rewards_N[chosen]
        if rewards.max() > rewards.min():
            advantages_N[chosen] = (rewards - rewards.mean()) / (rewards.std(ddof=1) + EPSILON)
    return advantages_N


def trr_plus_plus(rewards_N: Floats, strata_N: Labels, groups_N: Labels) -> Floats:
    """Task-relative REINFORCE++ (Absolute Zero Reasoner, arXiv 2505.03335, section 3.3.5).

    REINFORCE++ (arXiv 2501.03262) with one mean and standard deviation per stratum; the paper's
    strata are (role, task kind), in a population there is one more for each member. Sequences count
    alike, whatever their length.
    """
    return _standardise(rewards_N, strata_N)


def grpo(rewards_N: Floats, strata_N: Labels, groups_N: Labels) -> Floats:
    """Group-relative advantages (GRPO: DeepSeekMath, arXiv 2402.03300, section 4.1.2)."""
    return _standardise(rewards_N, groups_N)


SCHEMES: dict[str, Scheme] = {"trr++": trr_plus_plus, "grpo": grpo}


def _label(keys: Sequence[object]) -> Labels:
    """Number the keys in the order of their first appearance."""
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def compute_advantages(scheme: str, trajectories: Sequence[Trajectory]) -> Floats:
    """Advantages [N] of the step's trajectories under the scheme of this name.

    Groups are those of one member even if names collide.
    """
    rewards_N = np.array([t.reward for t in trajectories], dtype=np.float64)
    strata_N = _label([(t.member, t.role, t.kind) for t in trajectories])
    groups_N = _label([(t.member, t.group) for t in trajectories])
    return SCHEMES[scheme](rewards_N, strata_N, groups_N)
