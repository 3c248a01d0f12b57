"""One pass over some samples: what a model with adapters must offer, gradients, the mismatch check.

Shapes: B samples of a pass, T tokens from the first sampled one to the last, padded.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from redqueen.learner.loss import policy_loss
from redqueen.types import Sample, Suppression

Floats = NDArray[np.float64]


class Scorer(Protocol):
    """What the learner needs of a model with stacked adapters."""

    def score(
        self,
        slots: Sequence[int],
        prompt_ids: Sequence[Sequence[int]],
        token_ids: Sequence[Sequence[int]],
        *,
        temperature: float | Sequence[float],
        suppressions: Sequence[Suppression | None] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return log-probabilities [B, T] of the tokens, differentiable, and their mask.

        log_softmax(logits / temperature), one temperature for all or one for each row, over the
        tokens that a row's suppression leaves. T is the longest completion, and values where the
        mask is False are never read.
        """

    def base_score(
        self,
        prompt_ids: Sequence[Sequence[int]],
        token_ids: Sequence[Sequence[int]],
        *,
        temperature: float | Sequence[float],
        suppressions: Sequence[Suppression | None] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the same with the adapters off."""

    def map_gradients(self, function: Callable[..., Any], jobs: Sequence[Any]) -> list[Any]:
        """Return `function(scorer, job)` for all jobs; the gradients that they leave add up."""

    def micro_batches(
        self,
        slots: Sequence[int],
        prompt_ids: Sequence[Sequence[int]],
        token_ids: Sequence[Sequence[int]],
        parts: int = 1,
    ) -> list[list[int]]:
        """Split sequences, given as for `score`, into batches for one pass each.

        `parts`: a batch may take this part of the usual memory. One too small for any sequence
        leaves each on its own.
        """


@dataclass(frozen=True, slots=True)
class Sequences:
    """Samples as `Scorer` takes them: what precedes the first sampled token, and the rest up to the
    last one."""

    slots: list[int]
    prompt_ids: list[tuple[int, ...]]
    token_ids: list[tuple[int, ...]]

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> "Sequences":
        """Return the sequences of some samples."""
        return cls(
            [s.slot for s in samples],
            [tuple(s.ids[: s.prompt_length].tolist()) for s in samples],
            [tuple(s.ids[_continuation(s)].tolist()) for s in samples],
        )


def _continuation(sample: Sample) -> slice:
    """From the first sampled token to the last one."""
    return slice(sample.prompt_length, len(sample.mask) - int(sample.mask[::-1].argmax()))


def _padded(rows: Sequence[NDArray[Any]], like: Tensor) -> Tensor:
    """Return the rows as [B, T] on the device of `like`, zeros behind."""
    values = np.zeros(tuple(like.shape), dtype=rows[0].dtype)
    for index, row in enumerate(rows):
        values[index, : len(row)] = row
    return torch.from_numpy(values).to(like.device)


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples for one pass, and what the pass needs besides."""

    samples: tuple[Sample, ...]
    advantages: tuple[float, ...]
    weights: tuple[float, ...]
    """Of every token of a sample in its member's loss."""
    clip_low: float
    clip_high: float
    kl_coefficient: float
    temperature: float
    """Of sampling, for samples that do not say otherwise."""
    importance_cap: float = 0.0
    """Of truncated importance weights; 0: none."""
    proximal: tuple[NDArray[np.float32], ...] = ()
    """Log-probabilities of each sample's tokens before the first update; empty: there was none."""

    def temperatures(self) -> float | list[float]:
        """Return that of sampling: one number, unless some samples have their own."""
        if all(s.temperature is None for s in self.samples):
            return self.temperature
        return [self.temperature if s.temperature is None else s.temperature for s in self.samples]

    def suppressions(self) -> list[Suppression | None] | None:
        """Return those of sampling; None if no sample has one."""
        each = [sample.suppression for sample in self.samples]
        return each if any(each) else None


def _score(scorer: Scorer, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Return log-probabilities now and at sampling, and the mask of sampled tokens, all [B, T]."""
    sequences = Sequences.of(batch.samples)
    logprobs_BT, mask_BT = scorer.score(
        sequences.slots,
        sequences.prompt_ids,
        sequences.token_ids,
        temperature=batch.temperatures(),
        suppressions=batch.suppressions(),
    )
    old_BT = _padded([s.logprobs[_continuation(s)] for s in batch.samples], logprobs_BT)
    sampled_BT = _padded([s.mask[_continuation(s)] for s in batch.samples], logprobs_BT)
    return logprobs_BT, old_BT, mask_BT.bool() & sampled_BT


Pass = Callable[[Scorer, Batch], Any]
"""What is done with a batch, and returns something of each of its sequences."""


def backward(scorer: Scorer, batch: Batch) -> Floats:
    """Add the gradients of a batch's loss; return the sums of `Loss` but the total, [7, B]."""
    logprobs_BT, old_BT, mask_BT = _score(scorer, batch)
    base_BT = proximal_BT = None
    if batch.importance_cap > 0.0:
        proximal_BT = logprobs_BT.detach()
        if batch.proximal:
            pairs = zip(batch.proximal, batch.samples, strict=True)
            proximal_BT = _padded([row[_continuation(s)] for row, s in pairs], logprobs_BT)
    if batch.kl_coefficient > 0.0:
        sequences = Sequences.of(batch.samples)
        with torch.no_grad():
            base_BT, _ = scorer.base_score(
                sequences.prompt_ids,
                sequences.token_ids,
                temperature=batch.temperatures(),
                suppressions=batch.suppressions(),
            )
    loss = policy_loss(
        logprobs_BT,
        old_BT,
        mask_BT,
        torch.tensor(batch.advantages, device=logprobs_BT.device),
        torch.tensor(batch.weights, device=logprobs_BT.device),
        clip_low=batch.clip_low,
        clip_high=batch.clip_high,
        base_logprobs_BT=base_BT,
        kl_coefficient=batch.kl_coefficient,
        proximal_logprobs_BT=proximal_BT,
        importance_cap=batch.importance_cap or math.inf,
    )
    torch.autograd.backward(loss.total)
    sums: Floats = torch.stack(loss[1:]).double().cpu().numpy()
    return sums


@torch.no_grad()
def logprobs(scorer: Scorer, batch: Batch) -> list[NDArray[np.float32]]:
    """Return the log-probabilities that the present adapters give each sequence, prompts as 0."""
    now_BT, _, _ = _score(scorer, batch)
    results = []
    for sample, row in zip(batch.samples, now_BT.float().cpu().numpy(), strict=True):
        continuation = _continuation(sample)
        full = np.zeros(len(sample.ids), dtype=np.float32)
        full[continuation] = row[: continuation.stop - continuation.start]
        results.append(np.where(sample.mask, full, np.float32(0.0)))
    return results


@torch.no_grad()
def mismatch(scorer: Scorer, batch: Batch) -> Floats:
    """Return the sums of |log p now - log p at sampling| over each sequence, [B]."""
    now_BT, old_BT, mask_BT = _score(scorer, batch)
    sums: Floats = torch.where(mask_BT, (now_BT - old_BT).abs(), 0.0).sum(1).double().cpu().numpy()
    return sums


def run_pass(scorer: Scorer, job: tuple[Pass, Batch]) -> Any:
    """Do one pass over one batch."""
    run, batch = job
    return run(scorer, batch)
