"""Log-probabilities of stored texts under the adapters that wrote them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from redqueen.learner.passes import Scorer
from redqueen.store import checkpoint_steps, load_checkpoint
from redqueen.types import Completion, Messages, Suppression
from redqueen.verify.findings import Findings

ROW_FACTOR = 10.0
"""One text may differ this many times more than the limit on the mean: short texts are noisy."""


class Stack(Protocol):
    """The adapters of a model."""

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> Any:
        """Take over weights."""
        ...


class Adapted(Scorer, Protocol):
    """A base with stacked adapters that can be replaced."""

    @property
    def adapters(self) -> Stack:
        """The adapters of all slots."""
        ...

    def encode(self, messages: Messages) -> tuple[int, ...]:
        """Return the tokens of a prompt."""
        ...


@dataclass(frozen=True, slots=True)
class Scored:
    """A stored text to score again."""

    row: str
    messages: Messages
    completion: Completion
    temperature: float
    suppression: Suppression | None = None


def rescore(
    model: Adapted,
    directory: Path,
    texts: Sequence[Scored],
    limit: float,
    findings: Findings,
    on_progress: Callable[[int, int], None],
) -> dict[int, float]:
    """Return, by version of adapters, the mean |stored - again| of a token's log-probability.

    The checkpoint of step k holds the adapters that wrote the texts of version k. A version
    differs if its mean is above `limit`, that of the run's standing check; a single text if its
    own mean is above `ROW_FACTOR` times that. Texts of the base alone count to their version.
    """
    kept = set(checkpoint_steps(directory))
    by_version: dict[int, list[Scored]] = {}
    for text in texts:
        completion = text.completion
        if completion.prompt_ids:
            ids = model.encode(text.messages)
            findings.compare(text.row, "prompt tokens", completion.prompt_ids, ids)
        if not completion.logprobs:
            findings.skip("log-probabilities that the run does not keep (keep_tokens = false)")
        elif completion.slot is not None and completion.version not in kept:
            findings.skip("log-probabilities of adapters that no kept checkpoint holds")
        else:
            by_version.setdefault(completion.version, []).append(text)
    total, done, result = sum(map(len, by_version.values())), 0, {}
    for version, items in sorted(by_version.items()):
        if version in kept:
            model.adapters.load_state_dict(load_checkpoint(directory, version).tensors["adapters"])
        sums = np.zeros(2)
        for batch in _batches(model, items):
            for text, again in zip(batch, _score(model, batch), strict=True):
                stored = np.asarray(text.completion.logprobs)
                off = np.abs(stored - again)
                sums += (off.sum(), len(off))
                findings.checked["log-probabilities"] += 1
                if not off.mean() <= ROW_FACTOR * limit:
                    findings.differ(
                        text.row, "log-probabilities", f"mean {stored.mean():.4f}",
                        f"mean {again.mean():.4f}, {off.mean():.2g} off a token",
                    )  # fmt: skip
            done += len(batch)
            on_progress(done, total)
        result[version] = float(sums[0] / sums[1])
        if not result[version] <= limit:
            findings.differ(
                f"version {version}", "log-probabilities", f"at most {limit:g} off",
                f"{result[version]:.2g} off",
            )  # fmt: skip
    return result


def _arguments(texts: Sequence[Scored]) -> tuple[list[int], list[Any], list[Any]]:
    completions = [text.completion for text in texts]
    slots = [0 if c.slot is None else c.slot for c in completions]
    return slots, [c.prompt_ids for c in completions], [c.token_ids for c in completions]


def _batches(model: Adapted, texts: Sequence[Scored]) -> list[list[Scored]]:
    """Split texts into batches for one pass each; those of the base alone by themselves."""
    batches = []
    for base in (True, False):
        group = [text for text in texts if (text.completion.slot is None) == base]
        if group:
            places = model.micro_batches(*_arguments(group))
            batches += [[group[i] for i in batch] for batch in places]
    return batches


@torch.no_grad()
def _score(model: Adapted, texts: Sequence[Scored]) -> list[np.ndarray[Any, Any]]:
    """Return the log-probabilities of each text's tokens."""
    slots, prompt_ids, token_ids = _arguments(texts)
    temperature = [text.temperature for text in texts]
    without = [text.suppression for text in texts]
    if texts[0].completion.slot is None:
        logprobs_BT, _ = model.base_score(
            prompt_ids, token_ids, temperature=temperature, suppressions=without
        )
    else:
        logprobs_BT, _ = model.score(
            slots, prompt_ids, token_ids, temperature=temperature, suppressions=without
        )
    rows = logprobs_BT.float().cpu().numpy()
    return [row[: len(ids)].astype(np.float64) for row, ids in zip(rows, token_ids, strict=True)]
