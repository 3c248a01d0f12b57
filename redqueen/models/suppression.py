"""Tokens that texts are written without, in sampling and in scoring alike.

Shapes: V vocabulary, R rows, U distinct suppressions.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from redqueen.models.loading import Base
from redqueen.types import Suppression


def dropped_tokens(base: Base, suppression: Suppression, vocabulary: int) -> NDArray[np.bool_]:
    """Return which tokens [V] vocabulary dropout leaves out of a whole text.

    Each token falls with probability `share`, by a draw of `seed` alone. Special tokens and those
    of the texts in `keep` never do (the protected set of arXiv 2604.03472, section 3).
    """
    dropped_V = np.random.default_rng(suppression.seed).random(vocabulary) < suppression.share
    kept = {*base.eos_ids, *base.tokenizer.all_special_ids}
    for text in suppression.keep:
        kept.update(base.tokenizer(text, add_special_tokens=False)["input_ids"])
    dropped_V[[token for token in kept if token < vocabulary]] = False
    return dropped_V


def opening_tokens(base: Base, suppression: Suppression) -> list[int]:
    """Return the tokens that may not be the first of a text."""
    encoded = (
        base.tokenizer(t, add_special_tokens=False)["input_ids"] for t in suppression.opening
    )
    return sorted({ids[0] for ids in encoded if ids})


class Suppressor:
    """The suppressions of R rows as masks over logits."""

    def __init__(
        self, base: Base, suppressions: Sequence[Suppression | None], vocabulary: int
    ) -> None:
        """`vocabulary` is the width of the logits."""
        distinct = list(dict.fromkeys(suppressions))
        masks = np.zeros((2, len(distinct), vocabulary), dtype=np.bool_)
        for number, suppression in enumerate(distinct):
            if suppression is not None:
                masks[:, number] = dropped_tokens(base, suppression, vocabulary)
                masks[0, number, opening_tokens(base, suppression)] = True
        masks_2UV = torch.from_numpy(masks).to(base.device)
        self._first_UV, self._later_UV = masks_2UV[0], masks_2UV[1]
        place = {suppression: number for number, suppression in enumerate(distinct)}
        self._place_R = torch.tensor([place[item] for item in suppressions], device=base.device)

    @classmethod
    def of(
        cls, base: Base, suppressions: Sequence[Suppression | None] | None, vocabulary: int
    ) -> "Suppressor | None":
        """Return the masks, or None where no row has a suppression."""
        if suppressions is None or not any(suppressions):
            return None
        return cls(base, suppressions, vocabulary)

    def __call__(self, logits_MV: Tensor, row_M: Tensor, first_M: Tensor) -> Tensor:
        """Return logits with minus infinity where `row_M`'s suppressions say so.

        `first_M` tells which of them are of the first token of a text.
        """
        place_M = self._place_R[row_M]
        mask_MV = torch.where(first_M[:, None], self._first_UV[place_M], self._later_UV[place_M])
        return logits_MV.masked_fill(mask_MV, -torch.inf)
