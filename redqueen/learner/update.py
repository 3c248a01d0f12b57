"""The fused update: one batch over all members, one optimizer step for each that took part."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from redqueen.config import LearnerConfig
from redqueen.errors import InfrastructureError
from redqueen.learner.advantages import compute_advantages
from redqueen.learner.batching import deal_minibatches
from redqueen.learner.loss import policy_loss, token_weights
from redqueen.learner.optimizer import StackedAdamW
from redqueen.learner.report import Tally, UpdateReport
from redqueen.types import Trajectory

CHECKED_SHARE = 0.25
"""Least share of a member's sequences whose log-probabilities are checked before it is changed."""


class Scorer(Protocol):
    """What the learner needs of a policy."""

    def score(
        self,
        slots: Sequence[int],
        prompt_ids: Sequence[Sequence[int]],
        token_ids: Sequence[Sequence[int]],
        *,
        temperature: float | Sequence[float],
    ) -> tuple[Tensor, Tensor]:
        """Log-probabilities [B, T] of the tokens, differentiable in the adapters, and their mask.

        log_softmax(logits / temperature), one temperature for all or one for each row; T is the
        longest completion, and values where the mask is False are never read.
        """

    def base_score(
        self,
        prompt_ids: Sequence[Sequence[int]],
        token_ids: Sequence[Sequence[int]],
        *,
        temperature: float | Sequence[float],
    ) -> tuple[Tensor, Tensor]:
        """The same with the adapters off."""

    def map_gradients(self, function: Callable[..., Any], jobs: Sequence[Any]) -> list[Any]:
        """`function(scorer, job)` for all jobs; the gradients that they leave add up."""

    def micro_batches(
        self,
        slots: Sequence[int],
        prompt_ids: Sequence[Sequence[int]],
        token_ids: Sequence[Sequence[int]],
    ) -> list[list[int]]:
        """Split sequences, given as for `score`, into batches for one pass each."""


def _padded(rows: Sequence[Sequence[float]], width: int) -> Tensor:
    """Rows of numbers as [B, width] float32, zeros behind."""
    values = np.zeros((len(rows), width), dtype=np.float32)
    for index, row in enumerate(rows):
        values[index, : len(row)] = row
    return torch.from_numpy(values)


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences for one pass, and what the pass needs to know of them."""

    trajectories: tuple[Trajectory, ...]
    advantages: tuple[float, ...]
    weights: tuple[float, ...]
    config: LearnerConfig
    temperature: float
    """Of sampling, for trajectories that do not say otherwise."""


def _score(scorer: Scorer, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities now and at sampling, and the mask of real tokens, all [B, T]."""
    chosen = batch.trajectories
    logprobs_BT, mask_BT = scorer.score(
        [t.slot for t in chosen],
        [t.prompt_ids for t in chosen],
        [t.token_ids for t in chosen],
        temperature=_temperature(batch),
    )
    old_BT = _padded([t.logprobs for t in chosen], logprobs_BT.shape[1])
    return logprobs_BT, old_BT.to(logprobs_BT.device), mask_BT


def _temperature(batch: Batch) -> float | list[float]:
    """That of sampling: one number, unless some of the batch have their own."""
    if all(t.temperature is None for t in batch.trajectories):
        return batch.temperature
    return [
        batch.temperature if t.temperature is None else t.temperature for t in batch.trajectories
    ]


Pass = Callable[[Scorer, Batch], NDArray[np.float64]]
"""What is done with a batch, and the sums that it leaves."""


def backward(scorer: Scorer, batch: Batch) -> NDArray[np.float64]:
    """Add the gradients of a batch's loss; return the sums of `Loss` but the total, [5, B]."""
    logprobs_BT, old_BT, mask_BT = _score(scorer, batch)
    base_BT = None
    if batch.config.kl_coefficient > 0.0:
        with torch.no_grad():
            base_BT, _ = scorer.base_score(
                [t.prompt_ids for t in batch.trajectories],
                [t.token_ids for t in batch.trajectories],
                temperature=_temperature(batch),
            )
    loss = policy_loss(
        logprobs_BT,
        old_BT,
        mask_BT,
        torch.tensor(batch.advantages, device=logprobs_BT.device),
        torch.tensor(batch.weights, device=logprobs_BT.device),
        clip_low=batch.config.clip_low,
        clip_high=batch.config.clip_high,
        base_logprobs_BT=base_BT,
        kl_coefficient=batch.config.kl_coefficient,
    )
    torch.autograd.backward(loss.total)
    sums: NDArray[np.float64] = torch.stack(loss[1:]).double().cpu().numpy()
    return sums


@torch.no_grad()
def gap(scorer: Scorer, batch: Batch) -> NDArray[np.float64]:
    """Sums of |log p now - log p at sampling| over each sequence, [B]."""
    now_BT, old_BT, mask_BT = _score(scorer, batch)
    sums: NDArray[np.float64] = (
        torch.where(mask_BT, (now_BT - old_BT).abs(), 0.0).sum(1).double().cpu().numpy()
    )
    return sums


def _run(scorer: Scorer, job: tuple[Pass, Batch]) -> NDArray[np.float64]:
    """One pass over one batch."""
    run, batch = job
    return run(scorer, batch)


def _unseen(live: Sequence[int], tally: Tally) -> list[int]:
    """Sequences besides `live` that make up the share of each member that is to be checked.

    Members that nothing is learnt for stay as they are, and are only checked when that is all of
    them: a step without any check would hide that sampling has gone wrong.
    """
    unseen: list[int] = []
    for member in np.unique(tally.members_N[live] if live else tally.members_N):
        own = np.flatnonzero(tally.members_N == member)
        others = np.setdiff1d(own, live)
        missing = int(np.ceil(CHECKED_SHARE * len(own))) - (len(own) - len(others))
        unseen += others[: max(0, missing)].tolist()
    return unseen


class Learner:
    """Updates every member from one step's trajectories.

    Args:
        scorer: the policy.
        optimizer: over the policy's stacked adapters; keep both as long as the run lasts.
        config: the learner's section.
        temperature: of sampling, so that log-probabilities can agree; of trajectories that do not
            say otherwise.
        seed: of the run; minibatches are dealt by (seed, step, epoch, member).
        steps: of the run; the learning rate falls towards the last one.
    """

    def __init__(
        self,
        scorer: Scorer,
        optimizer: StackedAdamW,
        config: LearnerConfig,
        *,
        temperature: float,
        seed: int,
        steps: int,
    ) -> None:
        self.scorer = scorer
        self.optimizer = optimizer
        self.config = config
        self.temperature = temperature
        self.seed = seed
        self.steps = steps

    def update(
        self,
        trajectories: Sequence[Trajectory],
        step: int,
        rate_factors: Mapping[int, float] | None = None,
    ) -> UpdateReport:
        """Advantages, passes over the batch, and optimizer steps; the policy changes in place.

        `rate_factors` maps slots to what multiplies their learning rate (1 where missing).

        Sequences of zero advantage take no part in the backward pass unless the KL penalty is on,
        but count in their member's normaliser. A member none of whose sequences has an advantage
        is not changed.

        Raises:
            ValueError: a trajectory has no tokens, or not one log-probability a token.
            InfrastructureError: log-probabilities at sampling and now differ by more than
                `max_logprob_gap` on a member's average, or a gradient is not finite. Raised before
                any weight has changed, unless a later minibatch has the bad gradient.
        """
        for t in trajectories:
            if not t.token_ids or len(t.token_ids) != len(t.logprobs):
                raise ValueError("a trajectory needs tokens, and one log-probability for each")
        advantages_N = compute_advantages(self.config.advantage, trajectories)
        tally = Tally(trajectories, advantages_N)
        if not trajectories:
            return tally.report()
        live_N = (advantages_N != 0.0) | (self.config.kl_coefficient > 0.0)
        tally.trained_sequences = int(live_N.sum())
        members = [t.member for t in trajectories]
        checked = False
        for epoch in range(self.config.epochs):
            for minibatch in deal_minibatches(
                members, self.config.minibatches, self.seed, step, epoch
            ):
                live = [i for i in minibatch if live_N[i]]
                self._accumulate(minibatch, live, tally, first=not checked)
                if not checked:
                    self._check_gap(tally)
                    checked = True
                slots = sorted({trajectories[i].slot for i in live})
                self._apply(slots, step, tally, rate_factors or {})
        return tally.report()

    def _batches(self, indices: Sequence[int], tally: Tally) -> list[list[int]]:
        chosen = [tally.trajectories[i] for i in indices]
        batches = self.scorer.micro_batches(
            [t.slot for t in chosen],
            [t.prompt_ids for t in chosen],
            [t.token_ids for t in chosen],
        )
        return [[indices[place] for place in batch] for batch in batches]

    def _accumulate(
        self, minibatch: list[int], live: list[int], tally: Tally, *, first: bool
    ) -> None:
        """Gradients of one minibatch; the normaliser counts all of it, the passes only `live`.

        The first time, what the gap must be known of besides is scored along with it.
        """
        self.optimizer.zero_grad()
        weights = token_weights(
            [tally.trajectories[i].slot for i in minibatch],
            [len(tally.trajectories[i].token_ids) for i in minibatch],
            self.config.loss_norm,
        )
        weight_of = dict(zip(minibatch, weights.tolist(), strict=True))
        passes: list[tuple[Pass, list[int]]]
        passes = [(backward, batch) for batch in self._batches(live, tally)]
        if first:
            unseen = _unseen(live, tally)
            passes += [(gap, batch) for batch in self._batches(unseen, tally)]
        jobs = [(run, self._batch(batch, tally, weight_of)) for run, batch in passes]
        for (run, batch), sums in zip(passes, self.scorer.map_gradients(_run, jobs), strict=True):
            if run is gap:
                tally.record_gap(batch, sums)
                continue
            tally.passes_N[batch] += 1
            tally.loss_N[batch] += sums[0]
            tally.clipped_N[batch] += sums[2]
            tally.kl_N[batch] += sums[3]
            tally.base_kl_N[batch] += sums[4]
            if first:
                tally.record_gap(batch, sums[1])

    def _batch(self, indices: list[int], tally: Tally, weights: Mapping[int, float]) -> Batch:
        return Batch(
            tuple(tally.trajectories[i] for i in indices),
            tuple(tally.advantages_N[indices].tolist()),
            tuple(weights.get(i, 0.0) for i in indices),
            self.config,
            self.temperature,
        )

    def _check_gap(self, tally: Tally) -> None:
        """Compare log-probabilities at sampling and now, as far as they have been measured."""
        gaps = {int(m): tally.gap(tally.members_N == m) for m in np.unique(tally.members_N)}
        worst = max(gaps, key=lambda m: gaps[m] if gaps[m] == gaps[m] else float("inf"))
        if not gaps[worst] <= self.config.max_logprob_gap:
            self.optimizer.zero_grad()
            raise InfrastructureError(
                f"member {worst}: log-probabilities at sampling and at learning differ by "
                f"{gaps[worst]:.3g} on average (learner.max_logprob_gap is "
                f"{self.config.max_logprob_gap:g}); it was probably sampled with a stale or "
                "missing adapter, or at another temperature. No weight has been changed"
            )

    def _full_rate(self, step: int) -> float:
        """The learning rate of a step, warmed up: a line from the full one to its last share."""
        done = min(1.0, max(0, step - 1) / max(1, self.steps - 1))
        last = self.config.learning_rate_end
        return self.config.learning_rate * (1.0 - done * (1.0 - last))

    def _apply(
        self, slots: list[int], step: int, tally: Tally, rate_factors: Mapping[int, float]
    ) -> None:
        """One optimizer step for the slots that have gradients.

        Warmup is each slot's own, so that a newborn, whose moments start from zero, warms up too:
        in its k-th step of training (from 0) the rate is (k + 1) / (warmup_steps + 1) of the full.
        """
        per_step = self.config.epochs * self.config.minibatches
        rates = []
        for slot in slots:
            trained = int(self.optimizer.steps[slot]) // per_step
            warm = min(1.0, (trained + 1) / (self.config.warmup_steps + 1))
            rates.append(self._full_rate(step) * warm * rate_factors.get(slot, 1.0))
        norms = self.optimizer.step(slots, rates)
        tally.steps.append(
            {s: (norm, rate) for s, norm, rate in zip(slots, norms, rates, strict=True)}
        )
        self.optimizer.zero_grad()
