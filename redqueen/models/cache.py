"""A key-value cache that grows in place.

The library's dynamic cache copies all keys and values at every token; with hundreds of rows that
costs more than the attention itself.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

GROWTH = 64
"""Positions added when a layer is full."""


class GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """Full-attention cache layer over a buffer [rows, heads, capacity, head size] with slack.

    `keys` and `values` are views of the filled part, of type `dtype` (None: the model's own).
    """

    def __init__(self, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self._kept_dtype = dtype

    @classmethod
    def filled(cls, keys: Tensor, values: Tensor) -> "GrowingLayer":
        """A layer that begins with these states [rows, heads, tokens, head size]."""
        layer = cls(keys.dtype)
        layer.update(keys, values)
        return layer

    def _reserve(self, more: int, like: Tensor, buffer: Tensor | None, length: int) -> Tensor:
        if buffer is not None and buffer.shape[2] >= length + more:
            return buffer
        rows, heads, _, size = like.shape
        grown = like.new_empty(
            rows, heads, length + more + GROWTH, size, dtype=self._kept_dtype or like.dtype
        )
        if buffer is not None:
            grown[:, :, :length] = buffer[:, :, :length]
        return grown

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Append states [rows, heads, tokens, head size]; return all keys and values so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._key_buffer: Tensor | None = None
            self._value_buffer: Tensor | None = None
        length, more = self.get_seq_length(), key_states.shape[2]
        self._key_buffer = self._reserve(more, key_states, self._key_buffer, length)
        self._value_buffer = self._reserve(more, value_states, self._value_buffer, length)
        self._key_buffer[:, :, length : length + more] = key_states
        self._value_buffer[:, :, length : length + more] = value_states
        self.keys = self._key_buffer[:, :, : length + more]
        self.values = self._value_buffer[:, :, : length + more]
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep (or repeat) the rows in `indices`, with fresh slack."""
        length = self.get_seq_length()
        if length == 0:
            return
        # Select in the filled part only; the slack is worthless.
        for kind in ("key", "value"):
            filled = getattr(self, f"_{kind}_buffer")[:, :, :length]
            _, heads, _, size = filled.shape
            grown = filled.new_empty(len(indices), heads, length + GROWTH, size)
            torch.index_select(filled, 0, indices, out=grown[:, :, :length])
            setattr(self, f"_{kind}_buffer", grown)
            setattr(self, f"{kind}s", grown[:, :, :length])


def new_cache(config: Any) -> Any:
    """An empty cache for a model; layers of special kinds (sliding window) keep the library's."""
    cache = DynamicCache(config=config)
    cache.layers = [
        GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers
    ]
    return cache


def select_rows(cache: Any, indices: Tensor) -> None:
    """Keep (or repeat) the rows in `indices` of every layer, recurrent states too."""
    for layer in cache.layers:
        if hasattr(layer, "conv_states"):
            layer.reorder_cache(indices)
        else:
            layer.batch_select_indices(indices)
