"""Log-probabilities of stored texts under the adapters that wrote them."""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from redqueen.learner.passes import Scorer
from redqueen.models.adapters import AdapterStack
from redqueen.open_run import load_members
from redqueen.population.hall_of_fame import has_adapter, read_adapter
from redqueen.store import checkpoint_steps, load_checkpoint
from redqueen.types import Completion, Messages, Suppression
from redqueen.verify.findings import Findings

Array = np.ndarray[Any, Any]
_PRESENT = -1
"""Stands for all who are not of the hall of fame."""
ROW_FACTOR = 10.0
"""One text may differ this many times more than the limit on the mean: short texts are noisy."""


class Adapted(Scorer, Protocol):
    """A base with stacked adapters that can be replaced."""

    @property
    def adapters(self) -> AdapterStack:
        """The adapters of all slots."""
        ...

    def encode(self, messages: Messages) -> tuple[int, ...]:
        """Return the tokens of a prompt."""
        ...

    def leaves_room(self, messages: Messages, new_tokens: int) -> bool:
        """Return whether the base's context holds a prompt and so many new tokens."""
        ...


@dataclass(frozen=True, slots=True)
class Scored:
    """A stored text to score again."""

    row: str
    messages: Messages
    completion: Completion
    temperature: float
    suppression: Suppression | None = None
    past: int | None = None
    """The member of the hall of fame that wrote it; None: nobody of the past."""


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
    own mean is above `ROW_FACTOR` times that. Texts of the base alone count to their version, those
    of past members to the version of which they are copies.
    """
    for text in texts:
        if text.completion.prompt_ids:
            ids = model.encode(text.messages)
            findings.compare(text.row, "prompt tokens", text.completion.prompt_ids, ids)
    kept = set(checkpoint_steps(directory))
    groups = _by_adapters(directory, texts, kept, findings)
    total, done = sum(map(len, groups.values())), 0
    every: dict[int, Array] = {}
    for (version, past), items in sorted(groups.items()):
        if past != _PRESENT:
            model.adapters.set(0, read_adapter(directory, past))
        elif version in kept:
            load_members(model.adapters, load_checkpoint(directory, version))
        sums = every.setdefault(version, np.zeros(2))
        for batch in _batches(model, items):
            model.adapters.bring(sorted({t.completion.slot or 0 for t in batch}))
            for text, again in zip(batch, _score(model, batch), strict=True):
                off = _compared(text, again, limit, findings)
                sums += (off.sum(), len(off))
            done += len(batch)
            on_progress(done, total)
    result = {version: float(sums[0] / sums[1]) for version, sums in every.items()}
    for version, mean in result.items():
        if not mean <= limit:
            findings.differ(
                f"version {version}", "log-probabilities", f"at most {limit:g} off",
                f"{mean:.2g} off",
            )  # fmt: skip
    return result


def _by_adapters(
    directory: Path, texts: Sequence[Scored], kept: Collection[int], findings: Findings
) -> dict[tuple[int, int], list[Scored]]:
    """Return the texts by version and by the past member (or `_PRESENT`) whose adapter wrote them;
    those whose adapters are nowhere are left out. `kept` are the steps with a checkpoint."""
    groups: dict[tuple[int, int], list[Scored]] = defaultdict(list)
    for text in texts:
        completion = text.completion
        if not completion.logprobs:
            findings.skip("log-probabilities that the run does not keep (keep_tokens = false)")
        elif text.past is not None and has_adapter(directory, text.past):
            # Its slot was a spare one, which checkpoints do not hold.
            first = replace(text, completion=replace(completion, slot=0))
            groups[completion.version, text.past].append(first)
        elif completion.slot is not None and (
            text.past is not None or completion.version not in kept
        ):
            findings.skip("log-probabilities of adapters that no kept checkpoint holds")
        else:
            groups[completion.version, _PRESENT].append(text)
    return groups


def _compared(text: Scored, again: Array, limit: float, findings: Findings) -> Array:
    """Return how far each stored log-probability is from the one that was made again."""
    stored = np.asarray(text.completion.logprobs)
    off: Array = np.abs(stored - again)
    findings.checked["log-probabilities"] += 1
    if not off.mean() <= ROW_FACTOR * limit:
        findings.differ(
            text.row, "log-probabilities", f"mean {stored.mean():.4f}",
            f"mean {again.mean():.4f}, {off.mean():.2g} off a token",
        )  # fmt: skip
    return off


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
def _score(model: Adapted, texts: Sequence[Scored]) -> list[Array]:
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
