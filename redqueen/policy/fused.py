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

from redqueen.policy.attention import Plan, trial
from redqueen.policy.kernels import rms_norm, rotate, routed_linear, swiglu
from redqueen.policy.routing import Route

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

    def __call__(self, x_NI: Tensor, route: Route | None) -> Tensor:
        if route is not None and route.strategy == "segments" and torch.is_grad_enabled():
            spans, factors = route.segments(self.names, self.widths, x_NI.dtype)
            return routed_linear(x_NI, self.weight, self.bias, spans, factors)
        out_NO = functional.linear(x_NI, self.weight, self.bias)
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
        cosine_N1D, sine_N1D = cosine[0][:, None], sine[0][:, None].clone()
        sine_N1D[..., : sine_N1D.shape[-1] // 2].neg_()
        for number, layer in enumerate(self._layers):
            qkv = layer.qkv(layer.before_attention(x_NI), route)
            heads = (self._heads, self._kv_heads, self._kv_heads)
            q, k, v = torch.split_with_sizes(qkv.view(len(ids_N), sum(heads), -1), heads, 1)
            if layer.query_norm is not None and layer.key_norm is not None:
                q, k = layer.query_norm(q), layer.key_norm(k)
            q, k = rotate(q, cosine_N1D, sine_N1D), rotate(k, cosine_N1D, sine_N1D)
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
