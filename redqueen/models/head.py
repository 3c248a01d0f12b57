"""The output head, at chosen positions only."""

import threading
from typing import Any

from torch import Tensor, nn

from redqueen.errors import ConfigError

Index = Tensor | tuple[int, Tensor]
"""Positions of [B, L]: a mask, or numbers within one row."""


class _Pass(threading.local):
    """This thread's forward pass: the positions to keep, and whether the head was reached."""

    keep: Index | None = None
    fired = False


class HeadSelector:
    """Restricts the output head to chosen positions, for any model that calls its head module.

    The head of a large vocabulary costs more memory than the rest of the forward pass; prompt
    positions do not need it.
    """

    def __init__(self, model: nn.Module) -> None:
        head = model.get_output_embeddings()  # type: ignore[operator]
        if not isinstance(head, nn.Module):
            raise ConfigError("policy.base: the model has no output head, so it cannot write text")
        self._now = _Pass()
        head.register_forward_pre_hook(self._select)

    def _select(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if self._now.keep is None:
            return None
        self._now.fired = True
        return (args[0][self._now.keep].unsqueeze(0), *args[1:])

    def logits(self, model: nn.Module, keep: Index, **inputs: Any) -> Tensor:
        """Run `model(**inputs)`; return logits [M, V] of `keep`, row by row if it is a mask."""
        self._now.keep, self._now.fired = keep, False
        try:
            logits: Tensor = model(**inputs).logits
        finally:
            self._now.keep = None
        return logits[0] if self._now.fired else logits[keep]
