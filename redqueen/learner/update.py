"""The fused update: one batch over all members, one optimizer step for each that took part."""

import copy
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redqueen.config.learner import LearnerConfig
from redqueen.errors import InfrastructureError
from redqueen.learner.advantages.base import AdvantageScheme, Floats, Memory
from redqueen.learner.batching import deal_minibatches
from redqueen.learner.loss import token_weights
from redqueen.learner.metrics import UpdateReport, UpdateStats
from redqueen.learner.optimizer import StackedAdamW
from redqueen.learner.passes import (
    Batch,
    Pass,
    Scorer,
    Sequences,
    backward,
    logprobs,
    mismatch,
    run_pass,
)
from redqueen.models.memory import is_out_of_memory
from redqueen.types import Role, Sample

_log = logging.getLogger(__name__)

CHECKED_SHARE = 0.25
"""Least share of a member's sequences whose log-probabilities are checked before it is changed."""


def _also_checked(
    passed: Sequence[int], live_N: NDArray[np.bool_], stats: UpdateStats
) -> list[int]:
    """Return what must be checked besides what the first minibatch passes over, so that the share
    of each member that the step changes is complete.

    Members that nothing is learnt for stay as they are, and are only checked when that is all of
    them: a step without any check would hide that sampling has gone wrong.
    """
    chosen: list[int] = []
    for member in np.unique(stats.members_N[live_N] if live_N.any() else stats.members_N):
        indices = np.flatnonzero(stats.members_N == member)
        others = np.setdiff1d(indices, passed)
        missing = int(np.ceil(CHECKED_SHARE * len(indices))) - (len(indices) - len(others))
        chosen += others[: max(0, missing)].tolist()
    return chosen


class Learner:
    """Updates every member from one step's samples.

    Args:
        scorer: the base with its stacked adapters.
        optimizer: over these adapters; keep both as long as the run lasts.
        config: the learner's section.
        temperature: of sampling, so that log-probabilities can agree; of samples that do not say
            otherwise.
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
        self._memories: dict[str, Memory] = {role.value: {} for role in Role}
        self._parts = 1
        """Micro-batches are this part of the usual size, since memory ran out."""

    def state(self) -> dict[str, Any]:
        """Return plain JSON for a checkpoint: what the advantage schemes remember, by role, and
        how far micro-batches were made smaller."""
        return copy.deepcopy(self._memories) | {"parts": self._parts}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` returned."""
        self._memories = {role.value: copy.deepcopy(state[role.value]) for role in Role}
        self._parts = state["parts"]

    def update(
        self,
        samples: Sequence[Sample],
        step: int,
        versions: Mapping[int, int],
        rate_factors: Mapping[int, float] | None = None,
    ) -> UpdateReport:
        """Change the adapters in place: advantages, passes over the batch, optimizer steps.

        `versions` maps slots to the version that their adapters have now; `rate_factors` maps
        slots to what multiplies their learning rate (1 where missing).

        Tokens that the member did not sample have no part in the loss or its normaliser. Sequences
        of zero advantage take no part in the backward pass unless the KL penalty is on, but count
        in their member's normaliser. A member none of whose sequences has an advantage is not
        changed.

        Raises:
            ValueError: a sample's arrays differ in length, it has no sampled token, or no prompt.
            InfrastructureError: a sample of this node was written by another version of its
                member; log-probabilities at sampling and now differ by more than
                `max_logprob_mismatch` on a member's average; or a gradient is not finite. Raised
                before any weight has changed, unless a later minibatch has the bad gradient.
        """
        for sample in samples:
            _check_form(sample)
        _check_versions(samples, versions)
        memories = copy.deepcopy(self._memories)
        advantages_N = self._advantages(samples, memories)
        stats = UpdateStats(samples, advantages_N)
        if samples:
            self._pass_over(stats, step, rate_factors or {})
        self._memories = memories
        return stats.report()

    def rescored(self, samples: Sequence[Sample]) -> list[Sample]:
        """Return samples with the log-probabilities that the present adapters give them.

        For texts of other nodes, whose samples then count as this node's own (SAPO, arXiv
        2509.08721, section 3).
        """
        for sample in samples:
            _check_form(sample)
        stats = UpdateStats(samples, np.zeros(len(samples)))
        results = self._run([(logprobs, range(len(samples)))], stats, {})
        now = {i: row for _, batch, rows in results for i, row in zip(batch, rows, strict=True)}
        return [replace(sample, logprobs=now[i]) for i, sample in enumerate(samples)]

    def _advantages(self, samples: Sequence[Sample], memories: Mapping[str, Memory]) -> Floats:
        """Return the advantages [N], each role's by its own scheme."""
        schemes: dict[Role, AdvantageScheme] = {
            Role.TEACHER: self.config.teacher.advantage,
            Role.STUDENT: self.config.student.advantage,
        }
        advantages_N = np.zeros(len(samples))
        for role, scheme in schemes.items():
            indices = [i for i, sample in enumerate(samples) if sample.role is role]
            chosen = [samples[i] for i in indices]
            advantages_N[indices] = scheme.advantages(chosen, memories[role.value])
        if self.config.foreign_advantages == "positive":
            foreign_N = np.array([bool(sample.origin) for sample in samples], dtype=bool)
            advantages_N[foreign_N] = np.maximum(advantages_N[foreign_N], 0.0)
        return advantages_N

    def _pass_over(self, stats: UpdateStats, step: int, rate_factors: Mapping[int, float]) -> None:
        """Do all epochs and minibatches of a step that has samples."""
        live_N = (stats.advantages_N != 0.0) | (self.config.kl_coefficient > 0.0)
        stats.trained_sequences = int(live_N.sum())
        members = [sample.member for sample in stats.samples]
        checked = False
        if self.config.importance_cap > 0.0 and self.config.epochs * self.config.minibatches > 1:
            live = np.flatnonzero(live_N).tolist()
            before = self.rescored([stats.samples[i] for i in live])
            stats.proximal = {i: s.logprobs for i, s in zip(live, before, strict=True)}
        for epoch in range(self.config.epochs):
            for minibatch in deal_minibatches(
                members, self.config.minibatches, self.seed, step, epoch
            ):
                live = [i for i in minibatch if live_N[i]]
                extra = None if checked else _also_checked(live, live_N, stats)
                self._accumulate(minibatch, live, extra, stats)
                if not checked:
                    self._check_mismatch(stats)
                    checked = True
                slots = sorted({stats.samples[i].slot for i in live})
                self._apply(slots, step, stats, rate_factors)

    def _micro_batches(self, indices: Sequence[int], stats: UpdateStats) -> list[list[int]]:
        if self.config.batching == "shared":
            groups = [indices]
        else:
            slots = sorted({stats.samples[i].slot for i in indices})
            groups = [[i for i in indices if stats.samples[i].slot == slot] for slot in slots]
        batches = []
        for group in groups:
            sequences = Sequences.of([stats.samples[i] for i in group])
            places = self.scorer.micro_batches(
                sequences.slots, sequences.prompt_ids, sequences.token_ids, self._parts
            )
            batches += [[group[place] for place in batch] for batch in places]
        return batches

    def _accumulate(
        self, minibatch: list[int], live: list[int], extra: list[int] | None, stats: UpdateStats
    ) -> None:
        """Leave the gradients of one minibatch.

        The normaliser counts all of it, passes go over `live` alone. `extra` is scored besides for
        the mismatch check; None: that has been made.
        """
        weights = token_weights(
            [stats.samples[i].slot for i in minibatch],
            [int(stats.tokens_N[i]) for i in minibatch],
            self.config.loss_norm,
        )
        weight_of = dict(zip(minibatch, weights.tolist(), strict=True))
        passes: list[tuple[Pass, Sequence[int]]] = [(backward, live), (mismatch, extra or ())]
        self.optimizer.zero_grad()
        for run, batch, sums in self._run(passes, stats, weight_of):
            if run is mismatch:
                stats.record_mismatch(batch, sums)
                continue
            stats.passes_N[batch] += 1
            stats.loss_N[batch] += sums[0]
            stats.clipped_N[batch] += sums[2]
            stats.kl_N[batch] += sums[3]
            stats.base_kl_N[batch] += sums[4]
            stats.importance_N[batch] += sums[5]
            stats.truncated_N[batch] += sums[6]
            if extra is not None:
                stats.record_mismatch(batch, sums[1])

    def _run(
        self,
        passes: Sequence[tuple[Pass, Sequence[int]]],
        stats: UpdateStats,
        weights: Mapping[int, float],
    ) -> list[tuple[Pass, list[int], Any]]:
        """Return each pass over its sequences, in micro-batches, with what it returned.

        When memory runs out, all is done again in smaller ones.

        Raises:
            InfrastructureError: there is no room for a single sequence.
        """
        while True:
            work = [(run, batch) for run, of in passes for batch in self._micro_batches(of, stats)]
            jobs = [(run, self._batch(batch, stats, weights)) for run, batch in work]
            try:
                results = self.scorer.map_gradients(run_pass, jobs)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                self.optimizer.zero_grad()
                self._split([batch for _, batch in work], stats)
                continue
            return [(*item, result) for item, result in zip(work, results, strict=True)]

    def _split(self, batches: Sequence[list[int]], stats: UpdateStats) -> None:
        """Make micro-batches smaller, now that memory has run out.

        Raises:
            InfrastructureError: they hold one sequence each already.
        """
        if max(map(len, batches)) == 1:
            longest = max(len(sample.ids) for sample in stats.samples)
            raise InfrastructureError(
                f"out of memory on a single sequence of up to {longest} tokens; go on with "
                "`redqueen resume RUN --policy.gradient_checkpointing true`, or begin a run with "
                "lower rollout.solve_tokens and rollout.propose_tokens"
            )
        self._parts *= 2
        _log.warning(
            "out of memory while learning: it is done again, and what follows, in "
            "micro-batches of 1/%d of policy.learn_tokens", self._parts,
        )  # fmt: skip

    def _batch(self, indices: list[int], stats: UpdateStats, weights: Mapping[int, float]) -> Batch:
        return Batch(
            samples=tuple(stats.samples[i] for i in indices),
            advantages=tuple(stats.advantages_N[indices].tolist()),
            weights=tuple(weights.get(i, 0.0) for i in indices),
            clip_low=self.config.clip_low,
            clip_high=self.config.clip_high,
            kl_coefficient=self.config.kl_coefficient,
            temperature=self.temperature,
            importance_cap=self.config.importance_cap,
            proximal=tuple(stats.proximal[i] for i in indices if i in stats.proximal),
        )

    def _check_mismatch(self, stats: UpdateStats) -> None:
        """Compare log-probabilities at sampling and now, as far as they have been measured."""
        means = {int(m): stats.mismatch(stats.members_N == m) for m in np.unique(stats.members_N)}
        worst = max(means, key=lambda m: means[m] if means[m] == means[m] else float("inf"))
        if not means[worst] <= self.config.max_logprob_mismatch:
            self.optimizer.zero_grad()
            raise InfrastructureError(
                f"member {worst}: log-probabilities at sampling and at learning differ by "
                f"{means[worst]:.3g} on average (learner.max_logprob_mismatch is "
                f"{self.config.max_logprob_mismatch:g}); it was probably sampled with a stale or "
                "missing adapter, or at another temperature. No weight has been changed"
            )

    def _full_rate(self, step: int) -> float:
        """Return a step's learning rate once warm: a line from the full one to its last share."""
        done = min(1.0, max(0, step - 1) / max(1, self.steps - 1))
        last = self.config.learning_rate_end
        return self.config.learning_rate * (1.0 - done * (1.0 - last))

    def _apply(
        self, slots: list[int], step: int, stats: UpdateStats, rate_factors: Mapping[int, float]
    ) -> None:
        """Do one optimizer step for the slots that have gradients.

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
        stats.optimizer_steps.append(
            {s: (norm, rate) for s, norm, rate in zip(slots, norms, rates, strict=True)}
        )
        self.optimizer.zero_grad()


def _check_form(sample: Sample) -> None:
    lengths = {len(sample.ids), len(sample.mask), len(sample.logprobs)}
    if len(lengths) != 1 or not sample.mask.any() or sample.mask[0]:
        raise ValueError(
            "a sample needs a prompt, a sampled token, and one mask entry and log-probability "
            "for each token"
        )


def _check_versions(samples: Sequence[Sample], versions: Mapping[int, int]) -> None:
    """Raise if this node wrote a sample with other adapters than those that learn from it."""
    for sample in samples:
        present = versions.get(sample.slot)
        if not sample.origin and sample.version != present:
            raise InfrastructureError(
                f"member {sample.member}: a sample was written by version {sample.version} of its "
                f"adapter, which is at version {present} now; the engine was not told of the last "
                "change (sync). No weight has been changed"
            )
