"""How likely one member's answers are under another: a measure of how unlike members reason."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from redqueen.learner.assign import Rewards
from redqueen.learner.samples import make_samples
from redqueen.types import Match, Member, Rollout, Sample

Rescore = Callable[[Sequence[Sample]], Sequence[Sample]]
"""Returns samples with the log-probabilities that the adapters of their slots give them."""


def cross_likelihood(
    matches: Sequence[Match],
    rollouts: Sequence[Rollout],
    members: Sequence[Member],
    count: int,
    rescore: Rescore,
) -> dict[str, float]:
    """Return the metrics `diversity/student/nll` and `diversity/student/kl`, in nats a token; none
    without two students that wrote.

    The first `count` first answers of each student are scored under all others. `nll` is the mean
    of -log p_j over the tokens of student i's answers, j unlike i (Subramaniam et al., arXiv
    2501.05707, section 5, negative log-likelihood); `kl` that of log p_i - log p_j, an estimate of
    KL(p_i || p_j) a token. Every pair (i, j) counts alike.
    """
    first: dict[int, list[Rollout]] = {}
    for rollout in rollouts:
        texts = first.setdefault(rollout.student, [])
        if rollout.turn == 0 and rollout.completion.token_ids and len(texts) < count:
            texts.append(rollout)
    chosen = [rollout for texts in first.values() for rollout in texts]
    slots = {member.id: member.slot for member in members}
    own = make_samples(matches, [], chosen, Rewards((), (0.0,) * len(chosen)), members)
    students = dict.fromkeys(sample.member for sample in own)
    pairs = [(sample, j) for sample in own for j in students if j != sample.member]
    if not pairs:
        return {}
    others = rescore([replace(sample, slot=slots[j]) for sample, j in pairs])
    sums: dict[tuple[int, int], np.ndarray] = {}
    for (sample, j), other in zip(pairs, others, strict=True):
        nll = -other.logprobs[sample.mask].sum(dtype=np.float64)
        kl = nll + sample.logprobs[sample.mask].sum(dtype=np.float64)
        row = sums.setdefault((sample.member, j), np.zeros(3))
        row += (nll, kl, sample.mask.sum())
    nll, kl = np.mean([row[:2] / row[2] for row in sums.values()], axis=0)
    return {"diversity/student/nll": float(nll), "diversity/student/kl": float(kl)}
