"""The fused forward pass by compiled kernels, and the adapters in the form that these take."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from redqueen.engines.cpu.compiled import Array, array_of
from redqueen.engines.cpu.compiled.rows import heads_rows, norm_rows, residual_rows, swiglu_rows
from redqueen.engines.cpu.kernels import (
    compiled_for,
    rms_norm,
    rotated_heads,
    swiglu,
    text_attention,
)
from redqueen.models.adapters import AdapterStack
from redqueen.models.attention import Attention, agrees, attend_tiles
from redqueen.models.blocked import with_blocked
from redqueen.models.fused import FusedModel, FusedWeights, Layer, Linear, Norm
from redqueen.models.loading import Base
from redqueen.models.packing import Packing


class RowFactors:
    """The adapters of rows that are written one token at a time, as the compiled kernels take them.

    Each row meets its own adapter, so any mixture costs the same. Do not change adapters while one
    is in use.
    """

    def __init__(self, adapters: AdapterStack, slots: Sequence[int | None], dtype: torch.dtype):
        """Take rows of these slots, None being the base alone; factors are kept in `dtype`."""
        used = sorted({slot for slot in slots if slot is not None})
        place = {slot: number for number, slot in enumerate(used)}
        self.slot_R = np.array([-1 if slot is None else place[slot] for slot in slots])
        """Each row's place among the factors; -1 for the base alone."""
        self._adapters, self._dtype = adapters, dtype
        self._rows = torch.tensor(adapters.rows_of(used), dtype=torch.long)
        self._ready: dict[tuple[str, ...], tuple[Array, Array, Array]] = {}

    def keep(self, keep: Tensor) -> None:
        """Let all rows but `keep` leave."""
        self.slot_R = self.slot_R[keep.numpy()]

    @torch.no_grad()
    def of(self, linear: Linear) -> tuple[Array, Array, Array]:
        """Return A [slots, parts * rank, in], scaled B transposed [slots, rank, out], part edges.

        The parts are layers side by side that read the same input; none if no layer has adapters.
        """
        names, widths, inputs = linear.names, linear.widths, linear.weight.shape[1]
        if names not in self._ready:
            adapters, (slots, rank) = self._adapters, (len(self._rows), self._adapters.rank)
            edges = np.cumsum([0, *widths])
            a = torch.zeros(slots, len(names), rank, inputs, dtype=self._dtype)
            b = torch.zeros(slots, rank, int(edges[-1]), dtype=self._dtype)
            adapted = [number for number, name in enumerate(names) if name in adapters.A]
            for part in adapted:
                a[:, part] = adapters.A[names[part]][self._rows]
                scaled = adapters.B[names[part]][self._rows] * adapters.scaling
                b[:, :, edges[part] : edges[part + 1]] = scaled.transpose(1, 2)
            parts = edges if adapted else edges[:1]
            self._ready[names] = array_of(a.flatten(1, 2)), array_of(b), parts
        return self._ready[names]


def _head_norms(layer: Layer) -> tuple[Array, Array, float]:
    """Return weights of the heads' normalisations, empty where there are none, and epsilon."""
    if layer.query_norm is None or layer.key_norm is None:
        none = array_of(layer.before_attention.weight[:0])
        return none, none, 0.0
    weights = array_of(layer.query_norm.weight), array_of(layer.key_norm.weight)
    return *weights, layer.query_norm.epsilon


class CompiledModel(FusedModel):
    """A Llama-shaped model on a CPU: whole texts, and rows that grow by one token at a time."""

    def __init__(self, weights: FusedWeights) -> None:
        super().__init__(weights)
        self._cosine_PD = self._sine_PD = weights.embedding.new_empty(0, 0)

    def normalise(self, norm: Norm, x: Tensor) -> Tensor:
        """See `FusedModel`."""
        if compiled_for(x):
            return rms_norm(x, norm.weight, norm.epsilon)
        return super().normalise(norm, x)

    def swiglu(self, gate_up_NF: Tensor) -> Tensor:
        """See `FusedModel`."""
        return swiglu(gate_up_NF) if compiled_for(gate_up_NF) else super().swiglu(gate_up_NF)

    def rotated_heads(
        self, layer: Layer, qkv_NO: Tensor, cosine_ND: Tensor, sine_ND: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `FusedModel`."""
        if compiled_for(qkv_NO) and layer.query_norm is None:
            heads = self.weights.heads, self.weights.kv_heads
            return rotated_heads(qkv_NO, cosine_ND, sine_ND, *heads)
        return super().rotated_heads(layer, qkv_NO, cosine_ND, sine_ND)

    def _angles(self, position_R: Tensor) -> tuple[Array, Array]:
        """Return cosines and sines [P, D] of positions up to the largest of these, and more."""
        ready, needed = len(self._cosine_PD), int(position_R.max()) + 1
        if ready < needed:
            position_P = torch.arange(max(needed, 2 * ready, 512), device=position_R.device)
            cosine, sine = self.weights.rotary(self.weights.embedding[:1], position_P[None])
            self._cosine_PD, self._sine_PD = cosine[0].contiguous(), sine[0].contiguous()
        return array_of(self._cosine_PD), array_of(self._sine_PD)

    def decode(
        self, token_R: Tensor, position_R: Tensor, factors: RowFactors, states: Attention
    ) -> Tensor:
        """Return logits [R, V] after one more token a row, on a CPU, without gradients.

        What `logits` gives with the routing of `factors` and the attention `states`, to rounding.
        """
        layers = self.weights.layers
        x_RI = self.weights.embedding[token_R]
        normed_RI, position = torch.empty_like(x_RI), array_of(position_R)
        cosine, sine = self._angles(position_R)
        x, normed, slot = array_of(x_RI), array_of(normed_RI), factors.slot_R
        first = layers[0].before_attention
        norm_rows(x, array_of(first.weight), first.epsilon, normed)
        following = [layer.before_attention for layer in layers[1:]] + [self.weights.norm]
        for number, (layer, after) in enumerate(zip(layers, following, strict=True)):
            qkv_RO = layer.qkv.base(normed_RI)
            query_RHD, key_RXD, value_RXD = self._heads_of(qkv_RO)
            heads_rows(
                normed, factors.of(layer.qkv), slot, array_of(qkv_RO), _head_norms(layer), cosine,
                sine, position, array_of(query_RHD), array_of(key_RXD), array_of(value_RXD),
            )  # fmt: skip
            seen_RI = states.attend(number, query_RHD, key_RXD, value_RXD, layer.scale).flatten(1)
            norm = layer.before_mlp
            out_RI = layer.attention_out.base(seen_RI)
            residual_rows(
                array_of(seen_RI), factors.of(layer.attention_out), slot, array_of(out_RI), x,
                array_of(norm.weight), norm.epsilon, normed,
            )  # fmt: skip
            gate_up_RF = layer.gate_up.base(normed_RI)
            inner_RF = gate_up_RF.new_empty(len(gate_up_RF), gate_up_RF.shape[1] // 2)
            swiglu_rows(
                normed, factors.of(layer.gate_up), slot, array_of(gate_up_RF),
                array_of(inner_RF),
            )  # fmt: skip
            out_RI = layer.down.base(inner_RF)
            residual_rows(
                array_of(inner_RF), factors.of(layer.down), slot, array_of(out_RI), x,
                array_of(after.weight), after.epsilon, normed,
            )  # fmt: skip
        return self.weights.head.base(normed_RI)

    def _heads_of(self, qkv_RO: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return room for queries, keys and values of rows."""
        heads, kv_heads = self.weights.heads, self.weights.kv_heads
        size = qkv_RO.shape[1] // (heads + 2 * kv_heads)
        counts = (heads, kv_heads, kv_heads)
        query, key, value = (qkv_RO.new_empty(len(qkv_RO), count, size) for count in counts)
        return query, key, value


def attend_packing(packing: Packing, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """Return attention over a packing, compiled where that is best; a `PackedKernel`."""
    if compiled_for(q):
        return text_attention(q, k, v, packing.stretches, scale)
    return attend_tiles(packing, q, k, v, scale)


@torch.no_grad()
def accelerated(base: Base, blocked: bool = True) -> Base:
    """Return the base with compiled kernels wherever they give the library's logits.

    `blocked`: its weights are kept in a second layout too, see `redqueen.models.blocked`.
    """
    packed = base.packed
    if packed is None:
        return base
    if isinstance(packed, FusedModel):
        packed = CompiledModel(with_blocked(packed.weights) if blocked else packed.weights)
    if not agrees(base.model, packed, attend_packing):
        return base
    return replace(base, packed=packed, kernel=attend_packing)
