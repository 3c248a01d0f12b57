"""A step and its update in plain numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from redqueen.screens import is_unsafe
from redqueen.types import Proposal, Rejection, Rollout, Sample, Task, Verdict

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MemberUpdate:
    """One member's part of an update. Means are over its trained tokens, unless said otherwise."""

    slot: int
    sequences: int
    tokens: int
    reward: float
    """Mean over its sequences."""
    advantage: float
    """Mean absolute advantage over its sequences: 0 means that there was nothing to learn."""
    grad_norm: float
    """Before clipping, mean over its optimizer steps; 0 if it had none."""
    learning_rate: float
    """Of its last optimizer step; 0 if it had none."""
    logprob_mismatch: float
    """Mean |log p at learning - log p at sampling| over the checked tokens."""


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """One fused update of all members. Per-token means are over the tokens of all passes."""

    loss: float
    """Mean over members and updates of the loss that was differentiated."""
    logprob_mismatch: float
    """Mean |log p at learning - log p at sampling| over the checked tokens, before any update."""
    checked: float
    """Share of the sequences that the mismatch was measured on."""
    clip_fraction: float
    approx_kl: float
    """KL from the sampling policy to the current one, k3 estimate, nats a token."""
    base_kl: float
    """KL from the current policy to the base, k3 estimate; 0 when the KL penalty is off."""
    importance_weight: float
    """Mean truncated importance weight; 0 without learner.importance_cap."""
    importance_truncated: float
    """Share of the tokens whose importance weight the cap holds back."""
    entropy: float
    """Of the sampling policy in nats a token, estimated by -log p of the sampled tokens."""
    sequences: int
    tokens: int
    trained_sequences: int
    """Sequences that were differentiated in the first epoch: the others have zero advantage."""
    zero_advantages: float
    """Share of the sequences that have no advantage; 1 of none."""
    optimizer_steps: int
    members: Mapping[int, MemberUpdate] = field(default_factory=dict)
    """By member id."""

    def metrics(self) -> dict[str, float]:
        """Flat names for the record of the step: `<name>`, and `member/<id>/<name>`."""
        names = ["loss", "logprob_mismatch", "clip_fraction", "approx_kl", "base_kl", "entropy"]
        if self.importance_weight > 0.0:
            names += ["importance_weight", "importance_truncated"]
        flat = {name: float(getattr(self, name)) for name in names}
        flat |= {
            "trained_sequences": float(self.trained_sequences),
            "trained_tokens": float(self.tokens),
            "zero_advantages": self.zero_advantages,
        }
        for id_, member in self.members.items():
            for name in ("reward", "advantage", "grad_norm", "logprob_mismatch", "tokens"):
                flat[f"member/{id_}/{name}"] = float(getattr(member, name))
        return flat


class UpdateStats:
    """Running sums [N] over the samples of a step, and what each optimizer step did."""

    def __init__(self, samples: Sequence[Sample], advantages_N: Floats) -> None:
        count = len(samples)
        self.samples = samples
        self.advantages_N = advantages_N
        self.tokens_N = np.array([int(s.mask.sum()) for s in samples], dtype=np.float64)
        """Sampled tokens."""
        self.members_N = np.array([s.member for s in samples])
        self.checked_N = np.zeros(count, dtype=np.bool_)
        self.mismatch_N = np.zeros(count)
        """Summed |log p at learning - log p at sampling| of each checked sequence."""
        self.passes_N = np.zeros(count)
        self.loss_N, self.clipped_N = np.zeros(count), np.zeros(count)
        self.kl_N, self.base_kl_N = np.zeros(count), np.zeros(count)
        self.importance_N, self.truncated_N = np.zeros(count), np.zeros(count)
        self.proximal: dict[int, NDArray[np.float32]] = {}
        """Log-probabilities before the first of several updates, by sample."""
        self.optimizer_steps: list[dict[int, tuple[float, float]]] = []
        """For each: slot -> (gradient norm, learning rate)."""
        self.trained_sequences = 0

    def record_mismatch(self, indices: Sequence[int], sums_B: Floats) -> None:
        """Take the summed mismatch of some sequences."""
        self.mismatch_N[list(indices)] = sums_B
        self.checked_N[list(indices)] = True

    def mismatch(self, chosen_N: NDArray[np.bool_]) -> float:
        """Return the mean mismatch a token of those chosen sequences that were checked, or 0."""
        checked_N = chosen_N & self.checked_N
        tokens = self.tokens_N[checked_N].sum()
        return float(self.mismatch_N[checked_N].sum() / tokens) if tokens else 0.0

    def _member(self, id_: int) -> MemberUpdate:
        chosen_N = self.members_N == id_
        samples = [s for s in self.samples if s.member == id_]
        slot = samples[0].slot
        taken = [step[slot] for step in self.optimizer_steps if slot in step]
        return MemberUpdate(
            slot=slot,
            sequences=len(samples),
            tokens=int(self.tokens_N[chosen_N].sum()),
            reward=float(np.mean([s.reward for s in samples])),
            advantage=float(np.abs(self.advantages_N[chosen_N]).mean()),
            grad_norm=float(np.mean([norm for norm, _ in taken])) if taken else 0.0,
            learning_rate=taken[-1][1] if taken else 0.0,
            logprob_mismatch=self.mismatch(chosen_N),
        )

    def report(self) -> UpdateReport:
        """Return the summary; per-token means are over the tokens that passes visited."""
        count = len(self.samples)
        ids = [int(id_) for id_ in np.unique(self.members_N)] if count else []
        tokens = self.tokens_N.sum()
        passed = float((self.tokens_N * self.passes_N).sum()) or 1.0
        logprob = sum(float(s.logprobs[s.mask].sum(dtype=np.float64)) for s in self.samples)
        return UpdateReport(
            loss=float(self.loss_N.sum() / max(1, len(ids) * len(self.optimizer_steps))),
            logprob_mismatch=self.mismatch(self.checked_N),
            checked=float(self.checked_N.mean()) if count else 0.0,
            clip_fraction=float(self.clipped_N.sum() / passed),
            approx_kl=float(self.kl_N.sum() / passed),
            base_kl=float(self.base_kl_N.sum() / passed),
            importance_weight=float(self.importance_N.sum() / passed),
            importance_truncated=float(self.truncated_N.sum() / passed),
            entropy=float(-logprob / tokens) if tokens else 0.0,
            sequences=count,
            tokens=int(tokens),
            trained_sequences=self.trained_sequences,
            zero_advantages=float((self.advantages_N == 0.0).mean()) if count else 1.0,
            optimizer_steps=len(self.optimizer_steps),
            members={id_: self._member(id_) for id_ in ids},
        )


def step_metrics(proposals: Sequence[Proposal], rollouts: Sequence[Rollout]) -> dict[str, float]:
    """Return shares of valid proposals and of solved attempts, without infrastructure errors;
    tokens; the share of texts that the limit of tokens cut off.

    `infra_rate` is the share of proposals and attempts that were lost to infrastructure errors.
    Where attempts have several answers, `solve_rate` is of the last ones, and `solve_rate/turn/<k>`
    of those of each turn. A rate without anything to count is missing.
    """
    texts = [p.completion for p in proposals] + [r.completion for r in rollouts]
    outcomes = [
        p.outcome for p in proposals if not (isinstance(p.outcome, Rejection) and p.outcome.infra)
    ]
    answers = [r for r in rollouts if r.verdict not in (None, Verdict.INFRA_ERROR)]
    lost = sum(r.verdict is Verdict.INFRA_ERROR for r in rollouts)
    metrics = {
        "sampled_tokens": float(sum(len(text.token_ids) for text in texts)),
        "infra_rate": (len(proposals) - len(outcomes) + lost) / max(1, len(texts)),
    }
    if texts:
        metrics["truncated"] = sum(not text.finished for text in texts) / len(texts)
    if outcomes:
        unsafe = sum(map(is_unsafe, outcomes))
        metrics["unsafe_rate"] = unsafe / len(outcomes)
        metrics["valid_rate"] = sum(isinstance(item, Task) for item in outcomes) / len(outcomes)
    turns = sorted({r.turn for r in answers})
    groups = {"solve_rate": [r for r in answers if r.final]}
    if len(turns) > 1:
        groups |= {f"solve_rate/turn/{k}": [r for r in answers if r.turn == k] for k in turns}
    for name, group in groups.items():
        if group:
            metrics[name] = sum(r.verdict is Verdict.CORRECT for r in group) / len(group)
    return metrics
