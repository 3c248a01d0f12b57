"""Our own forward pass for Llama-shaped models, over the library's weights.

Calling every linear layer as a module of its own, with a hook for its adapter, costs more than
the arithmetic when a handful of rows is being written. Here the layers that read the same input
(query, key, value; gate, up) are one product, and so are their adapters. Tokens lie flat, [N, ...],
whoever they belong to; a `Plan` says who attends to whom. `fuse` takes a model only if its logits
are the library's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from redqueen.engines.cpu.compiled import Array, array_of
from redqueen.engines.cpu.compiled.rows import heads_rows, norm_rows, residual_rows, swiglu_rows
from redqueen.engines.cpu.kernels import (
    compiled_for,
    rms_norm,
    rotate,
    rotated_heads,
    routed_linear,
    swiglu,
)
from redqueen.models.attention import Plan, trial
from redqueen.models.routing import Route, RowFactors

FAMILIES = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
"""Classes of the library whose layers are those of `_Layer`."""

_ROTARY = ("default", "linear", "llama3", "yarn")
"""Kinds of rotary embedding that do not depend on the length of the text."""


@dataclass(frozen=True, slots=True)
class _Linear:
    """Linear layers that read the same input, as one: weight [sum of widths, in]."""

    names: tuple[str, ...]
    widths: tuple[int, ...]
    weight: Tensor
    bias: Tensor | None

    def base(self, x_NI: Tensor) -> Tensor:
        """The outputs without adapters."""
        return functional.linear(x_NI, self.weight, self.bias)

    def factors(self, rows: RowFactors) -> tuple[Array, Array, Array]:
        """The adapters of these layers."""
        return rows.of(self.names, self.widths, self.weight.shape[1])

    def __call__(self, x_NI: Tensor, route: Route | None) -> Tensor:
        if route is not None and route.strategy == "segments" and torch.is_grad_enabled():
            spans, factors = route.segments(self.names, self.widths, x_NI.dtype)
            return routed_linear(x_NI, self.weight, self.bias, spans, factors)
        out_NO = self.base(x_NI)
        return out_NO if route is None else route.add(self.names, self.widths, x_NI, out_NO)


@dataclass(frozen=True, slots=True)
class _Norm:
    """A normalisation's weight and what it adds to the mean square."""

    weight: Tensor
    epsilon: float

    def __call__(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.weight, self.epsilon)


@dataclass(frozen=True, slots=True)
class _Layer:
    before_attention: _Norm
    qkv: _Linear
    query_norm: _Norm | None
    key_norm: _Norm | None
    attention_out: _Linear
    before_mlp: _Norm
    gate_up: _Linear
    down: _Linear
    scale: float

    @property
    def norms(self) -> tuple[Array, Array, float]:
        """Weights of the heads' normalisations, empty where there are none, and their epsilon."""
        none = array_of(self.before_attention.weight[:0])
        if self.query_norm is None or self.key_norm is None:
            return none, none, 0.0
        weights = array_of(self.query_norm.weight), array_of(self.key_norm.weight)
        return *weights, self.query_norm.epsilon


def _join(names: Sequence[str], modules: Sequence[nn.Linear]) -> _Linear:
    """One weight for several layers, which from now on are views of it: nothing is kept twice."""
    weight: Tensor = modules[0].weight
    bias: Tensor | None = modules[0].bias
    if len(modules) > 1:
        weight = torch.cat([module.weight for module in modules])
        bias = None if bias is None else torch.cat([module.bias for module in modules])
        start = 0
        for module in modules:
            stop = start + module.out_features
            module.weight = nn.Parameter(weight[start:stop], requires_grad=False)
            if bias is not None:
                module.bias = nn.Parameter(bias[start:stop], requires_grad=False)
            start = stop
    widths = tuple(module.out_features for module in modules)
    return _Linear(tuple(names), widths, weight.detach(), None if bias is None else bias.detach())


class FusedModel:
    """A Llama-shaped model as plain functions of its weights; safe to call from several threads."""

    def __init__(self, model: Any) -> None:
        """Join the layers of a model that `_fusable` has let pass."""
        body, config = model.model, model.config
        paths = {id(module): name for name, module in model.named_modules()}

        def join(*modules: nn.Linear) -> _Linear:
            return _join([paths[id(module)] for module in modules], modules)

        def norm(module: Any) -> _Norm:
            return _Norm(module.weight.detach(), module.variance_epsilon)

        self._heads: int = config.num_attention_heads
        self._kv_heads: int = config.num_key_value_heads
        self._embedding: Tensor = body.embed_tokens.weight.detach()
        self._rotary = body.rotary_emb
        self._layers: list[_Layer] = []
        for layer in body.layers:
            own = layer.self_attn
            normed = hasattr(own, "q_norm")
            self._layers.append(
                _Layer(
                    norm(layer.input_layernorm),
                    join(own.q_proj, own.k_proj, own.v_proj),
                    norm(own.q_norm) if normed else None,
                    norm(own.k_norm) if normed else None,
                    join(own.o_proj),
                    norm(layer.post_attention_layernorm),
                    join(layer.mlp.gate_proj, layer.mlp.up_proj),
                    join(layer.mlp.down_proj),
                    own.scaling,
                )
            )
        self._norm = norm(body.norm)
        self._head: Tensor = model.lm_head.weight.detach()
        self._cosine_PD = self._sine_PD = self._embedding.new_empty(0, 0)

    def _rotated(
        self, layer: _Layer, qkv_NO: Tensor, cosine_ND: Tensor, sine_ND: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values [N, H, D], normalised if the model does so, and rotated."""
        if compiled_for(qkv_NO) and layer.query_norm is None:
            return rotated_heads(qkv_NO, cosine_ND, sine_ND, self._heads, self._kv_heads)
        heads = (self._heads, self._kv_heads, self._kv_heads)
        q, k, v = torch.split_with_sizes(qkv_NO.view(len(qkv_NO), sum(heads), -1), heads, 1)
        if layer.query_norm is not None and layer.key_norm is not None:
            q, k = layer.query_norm(q), layer.key_norm(k)
        cosine_N1D, sine_N1D = cosine_ND[:, None], sine_ND[:, None].clone()
        sine_N1D[..., : sine_N1D.shape[-1] // 2].neg_()
        return rotate(q, cosine_N1D, sine_N1D), rotate(k, cosine_N1D, sine_N1D), v

    def _angles(self, position_R: Tensor) -> tuple[Array, Array]:
        """Cosines and sines [P, D] of all positions up to the largest of these, and some more."""
        known, needed = len(self._cosine_PD), int(position_R.max()) + 1
        if known < needed:
            position_P = torch.arange(max(needed, 2 * known, 512), device=position_R.device)
            cosine, sine = self._rotary(self._embedding[:1], position_P[None])
            self._cosine_PD, self._sine_PD = cosine[0].contiguous(), sine[0].contiguous()
        return array_of(self._cosine_PD), array_of(self._sine_PD)

    def decode(
        self, token_R: Tensor, position_R: Tensor, factors: RowFactors, states: Plan
    ) -> Tensor:
        """Logits [R, V] after one more token a row, on a CPU, without gradients.

        What `logits` gives with the routing of `factors` and the plan `states`, to rounding.
        """
        x_RI = self._embedding[token_R]
        normed_RI, position = torch.empty_like(x_RI), array_of(position_R)
        cosine, sine = self._angles(position_R)
        x, normed, slot = array_of(x_RI), array_of(normed_RI), factors.slot_R
        first = self._layers[0].before_attention
        norm_rows(x, array_of(first.weight), first.epsilon, normed)
        following = [layer.before_attention for layer in self._layers[1:]] + [self._norm]
        for number, (layer, after) in enumerate(zip(self._layers, following, strict=True)):
            qkv_RO = layer.qkv.base(normed_RI)
            query_RHD, key_RXD, value_RXD = self._heads_of(qkv_RO)
            heads_rows(
                normed, layer.qkv.factors(factors), slot, array_of(qkv_RO), layer.norms, cosine,
                sine, position, array_of(query_RHD), array_of(key_RXD), array_of(value_RXD),
            )  # fmt: skip
            seen_RI = states.attend(number, query_RHD, key_RXD, value_RXD, layer.scale).flatten(1)
            own, norm = layer.attention_out, layer.before_mlp
            out_RI = own.base(seen_RI)
            residual_rows(
                array_of(seen_RI), own.factors(factors), slot, array_of(out_RI), x,
                array_of(norm.weight), norm.epsilon, normed,
            )  # fmt: skip
            gate_up_RF = layer.gate_up.base(normed_RI)
            inner_RF = gate_up_RF.new_empty(len(gate_up_RF), gate_up_RF.shape[1] // 2)
            swiglu_rows(
                normed, layer.gate_up.factors(factors), slot, array_of(gate_up_RF),
                array_of(inner_RF),
            )  # fmt: skip
            out_RI = layer.down.base(inner_RF)
            residual_rows(
                array_of(inner_RF), layer.down.factors(factors), slot, array_of(out_RI), x,
                array_of(after.weight), after.epsilon, normed,
            )  # fmt: skip
        return functional.linear(normed_RI, self._head)

    def _heads_of(self, qkv_RO: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Room for queries, keys and values of rows."""
        size = qkv_RO.shape[1] // (self._heads + 2 * self._kv_heads)
        shapes = (self._heads, self._kv_heads, self._kv_heads)
        query, key, value = (qkv_RO.new_empty(len(qkv_RO), heads, size) for heads in shapes)
        return query, key, value

    def logits(
        self,
        ids_N: Tensor,
        position_N: Tensor,
        route: Route | None,
        plan: Plan,
        keep_M: Tensor | None = None,
    ) -> Tensor:
        """See `PackedModel`."""
        x_NI = self._embedding[ids_N]
        cosine, sine = self._rotary(x_NI, position_N[None])
        for number, layer in enumerate(self._layers):
            qkv_NO = layer.qkv(layer.before_attention(x_NI), route)
            q, k, v = self._rotated(layer, qkv_NO, cosine[0], sine[0])
            seen_NI = plan.attend(number, q, k, v, layer.scale).flatten(1)
            x_NI = x_NI + layer.attention_out(seen_NI, route)
            gate_up_NF = layer.gate_up(layer.before_mlp(x_NI), route)
            x_NI = x_NI + layer.down(swiglu(gate_up_NF), route)
        if keep_M is not None:
            x_NI = x_NI[keep_M]
        return functional.linear(self._norm(x_NI), self._head)


def _fusable(model: Any) -> bool:
    """Are these the parts, and all of them, that `FusedModel` computes?"""
    if type(model).__name__ not in FAMILIES:
        return False
    config = model.config
    rope = getattr(config, "rope_parameters", None) or {}
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    # Quantised layers are subclasses with other weights.
    plain = all(type(module) is nn.Linear for module in linear)
    attention = [layer.self_attn for layer in model.model.layers]
    projections = [part for own in attention for part in (own.q_proj, own.k_proj, own.v_proj)]
    return (
        plain
        and len({projection.bias is None for projection in projections}) == 1
        and model.lm_head.bias is None
        and config.hidden_act == "silu"
        and rope.get("rope_type", "default") in _ROTARY
    )


@torch.no_grad()
def fuse(model: nn.Module) -> FusedModel | None:
    """The fused form of a model, if it is of a known family and gives the library's logits.

    The model itself stays usable; its joined weights become views.
    """
    if not _fusable(model):
        return None
    fused = FusedModel(model)
    return fused if trial(model, fused) else None
