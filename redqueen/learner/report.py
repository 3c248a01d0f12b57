"""What an update came to, in plain numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from redqueen.types import Trajectory

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
    logprob_gap: float
    """Mean |log p at learning - log p at sampling| over the checked tokens."""


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """One fused update of all members. Per-token means are over the tokens of all passes."""

    loss: float
    """Mean over members and updates of the loss that was differentiated."""
    logprob_gap: float
    """Mean |log p at learning - log p at sampling| over the checked tokens, before any update."""
    checked: float
    """Share of the sequences that the gap was measured on."""
    clip_fraction: float
    approx_kl: float
    """KL from the sampling policy to the current one, k3 estimate, nats a token."""
    base_kl: float
    """KL from the current policy to the base, k3 estimate; 0 when the KL penalty is off."""
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
        names = ("loss", "logprob_gap", "clip_fraction", "approx_kl", "base_kl", "entropy")
        flat = {name: float(getattr(self, name)) for name in names}
        flat |= {
            "trained_sequences": float(self.trained_sequences),
            "trained_tokens": float(self.tokens),
            "zero_advantages": self.zero_advantages,
        }
        for id_, member in self.members.items():
            for name in ("reward", "advantage", "grad_norm", "logprob_gap", "tokens"):
                flat[f"member/{id_}/{name}"] = float(getattr(member, name))
        return flat


class Tally:
    """Running sums [N] over the sequences of a step, and what each optimizer step did."""

    def __init__(self, trajectories: Sequence[Trajectory], advantages_N: Floats) -> None:
        self.trajectories = trajectories
        self.advantages_N = advantages_N
        self.lengths_N = np.array([len(t.token_ids) for t in trajectories], dtype=np.float64)
        self.members_N = np.array([t.member for t in trajectories])
        count = len(trajectories)
        self.checked_N = np.zeros(count, dtype=np.bool_)
        self.gap_N = np.zeros(count)
        """Summed |gap| over the tokens of each checked sequence."""
        self.passes_N = np.zeros(count)
        self.loss_N, self.clipped_N = np.zeros(count), np.zeros(count)
        self.kl_N, self.base_kl_N = np.zeros(count), np.zeros(count)
        self.steps: list[dict[int, tuple[float, float]]] = []
        """Per optimizer step: slot -> (gradient norm, learning rate)."""
        self.trained_sequences = 0

    def record_gap(self, indices: Sequence[int], sums_B: Floats) -> None:
        """File the summed |gap| of some sequences."""
        self.gap_N[list(indices)] = sums_B
        self.checked_N[list(indices)] = True

    def gap(self, chosen_N: NDArray[np.bool_]) -> float:
        """Mean gap a token over those of the chosen sequences that have been checked; 0 if none."""
        checked_N = chosen_N & self.checked_N
        tokens = self.lengths_N[checked_N].sum()
        return float(self.gap_N[checked_N].sum() / tokens) if tokens else 0.0

    def _member(self, id_: int) -> MemberUpdate:
        own_N = self.members_N == id_
        slot = next(t.slot for t in self.trajectories if t.member == id_)
        taken = [step[slot] for step in self.steps if slot in step]
        return MemberUpdate(
            slot=slot,
            sequences=int(own_N.sum()),
            tokens=int(self.lengths_N[own_N].sum()),
            reward=float(np.mean([t.reward for t in self.trajectories if t.member == id_])),
            advantage=float(np.abs(self.advantages_N[own_N]).mean()),
            grad_norm=float(np.mean([norm for norm, _ in taken])) if taken else 0.0,
            learning_rate=taken[-1][1] if taken else 0.0,
            logprob_gap=self.gap(own_N),
        )

    def report(self) -> UpdateReport:
        """Sum up; per-token means are over the tokens that passes visited."""
        count = len(self.trajectories)
        ids = [int(id_) for id_ in np.unique(self.members_N)] if count else []
        tokens = self.lengths_N.sum()
        passed = float((self.lengths_N * self.passes_N).sum()) or 1.0
        drawn = sum(sum(t.logprobs) for t in self.trajectories)
        return UpdateReport(
            loss=float(self.loss_N.sum() / max(1, len(ids) * len(self.steps))),
            logprob_gap=self.gap(self.checked_N),
            checked=float(self.checked_N.mean()) if count else 0.0,
            clip_fraction=float(self.clipped_N.sum() / passed),
            approx_kl=float(self.kl_N.sum() / passed),
            base_kl=float(self.base_kl_N.sum() / passed),
            entropy=float(-drawn / tokens) if tokens else 0.0,
            sequences=count,
            tokens=int(tokens),
            trained_sequences=self.trained_sequences,
            zero_advantages=float((self.advantages_N == 0.0).mean()) if count else 1.0,
            optimizer_steps=len(self.steps),
            members={id_: self._member(id_) for id_ in ids},
        )
