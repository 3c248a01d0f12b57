"""Our own forward pass for Llama-shaped models, over the library's weights.

Calling every linear layer as a module of its own, with a hook for its adapter, costs more than
the arithmetic when a handful of rows is being written. Here the layers that read the same input
(query, key, value; gate, up) are one product, and so are their adapters. Tokens lie flat, [N, ...],
whoever they belong to; an `Attention` says who attends to whom. `fuse` takes a model only if its
logits are the library's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from redqueen.models.attention import Attention, agrees
from redqueen.models.checkpointing import plainly, recomputed
from redqueen.models.kernels import rms_norm, rotate, swiglu
from redqueen.models.routing import Route

FAMILIES = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
"""Classes of the library whose layers are those of `Layer`."""

_ROTARY = ("default", "linear", "llama3", "yarn")
"""Kinds of rotary embedding that do not depend on the length of the text."""


@dataclass(frozen=True, slots=True)
class Linear:
    """Linear layers that read the same input, as one: weight [sum of widths, in]."""

    names: tuple[str, ...]
    widths: tuple[int, ...]
    weight: Tensor
    bias: Tensor | None

    def base(self, x_NI: Tensor) -> Tensor:
        """Return the outputs without adapters."""
        return functional.linear(x_NI, self.weight, self.bias)

    def __call__(self, x_NI: Tensor, route: Route | None) -> Tensor:
        """Return the outputs with the adapters of `route`."""
        if route is not None and route.strategy == "segments" and torch.is_grad_enabled():
            return route.linear(self.names, self.widths, x_NI, self.weight, self.bias)
        out_NO = self.base(x_NI)
        return out_NO if route is None else route.add(self.names, self.widths, x_NI, out_NO)


@dataclass(frozen=True, slots=True)
class Norm:
    """A normalisation's weight and what it adds to the mean square."""

    weight: Tensor
    epsilon: float


@dataclass(frozen=True, slots=True)
class Layer:
    """One block: two residual branches, each normalised first."""

    before_attention: Norm
    qkv: Linear
    query_norm: Norm | None
    key_norm: Norm | None
    attention_out: Linear
    before_mlp: Norm
    gate_up: Linear
    down: Linear
    scale: float


def _join(names: Sequence[str], modules: Sequence[nn.Linear]) -> Linear:
    """Return one weight for several layers, which become views of it: nothing is kept twice."""
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
    return Linear(tuple(names), widths, weight.detach(), None if bias is None else bias.detach())


@dataclass(frozen=True, slots=True)
class FusedWeights:
    """The weights of a Llama-shaped model, layers that read the same input joined."""

    layers: tuple[Layer, ...]
    norm: Norm
    head: Linear
    embedding: Tensor
    rotary: Any
    """The library's module: (like, positions [1, N]) to cosines and sines [1, N, D]."""
    heads: int
    kv_heads: int

    @classmethod
    def of(cls, model: Any) -> "FusedWeights":
        """Join the layers of a model that `_fusable` has let pass."""
        body, config = model.model, model.config
        paths = {id(module): name for name, module in model.named_modules()}

        def join(*modules: nn.Linear) -> Linear:
            return _join([paths[id(module)] for module in modules], modules)

        def norm(module: Any) -> Norm:
            return Norm(module.weight.detach(), module.variance_epsilon)

        def fused(layer: Any) -> Layer:
            attention = layer.self_attn
            normed = hasattr(attention, "q_norm")
            return Layer(
                norm(layer.input_layernorm),
                join(attention.q_proj, attention.k_proj, attention.v_proj),
                norm(attention.q_norm) if normed else None,
                norm(attention.k_norm) if normed else None,
                join(attention.o_proj),
                norm(layer.post_attention_layernorm),
                join(layer.mlp.gate_proj, layer.mlp.up_proj),
                join(layer.mlp.down_proj),
                attention.scaling,
            )

        return cls(
            layers=tuple(fused(layer) for layer in body.layers),
            norm=norm(body.norm),
            head=join(model.lm_head),
            embedding=body.embed_tokens.weight.detach(),
            rotary=body.rotary_emb,
            heads=config.num_attention_heads,
            kv_heads=config.num_key_value_heads,
        )


class FusedModel:
    """A Llama-shaped model as plain functions of its weights; safe to call from several threads.

    A subclass may compute its pieces in another way.
    """

    def __init__(self, weights: FusedWeights) -> None:
        self.weights = weights

    def normalise(self, norm: Norm, x: Tensor) -> Tensor:
        """Return `x` [..., D] normalised."""
        return rms_norm(x, norm.weight, norm.epsilon)

    def swiglu(self, gate_up_NF: Tensor) -> Tensor:
        """Return silu(gate) * up [N, F / 2] of the two side by side."""
        return swiglu(gate_up_NF)

    def rotated_heads(
        self, layer: Layer, qkv_NO: Tensor, cosine_ND: Tensor, sine_ND: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values [N, H, D], normalised if the model does so, rotated."""
        heads = (self.weights.heads, self.weights.kv_heads, self.weights.kv_heads)
        turned = heads[0] + heads[1]
        qk, v = torch.split_with_sizes(
            qkv_NO.view(len(qkv_NO), sum(heads), -1), (turned, heads[2]), 1
        )
        if layer.query_norm is not None and layer.key_norm is not None:
            q, k = torch.split_with_sizes(qk, heads[:2], 1)
            q, k = self.normalise(layer.query_norm, q), self.normalise(layer.key_norm, k)
            qk = torch.cat((q, k), 1)
        cosine_N1D, sine_N1D = cosine_ND[:, None], sine_ND[:, None].clone()
        sine_N1D[..., : sine_N1D.shape[-1] // 2].neg_()
        q, k = torch.split_with_sizes(rotate(qk, cosine_N1D, sine_N1D), heads[:2], 1)
        return q, k, v

    def logits(
        self,
        ids_N: Tensor,
        position_N: Tensor,
        route: Route | None,
        attention: Attention,
        keep_M: Tensor | None = None,
    ) -> Tensor:
        """See `PackedModel`."""
        x_NI = self._layers(ids_N, position_N, route, attention, plainly)
        return self.weights.head.base(self._final(x_NI, keep_M))

    def states(
        self,
        ids_N: Tensor,
        position_N: Tensor,
        route: Route | None,
        attention: Attention,
        keep_M: Tensor,
        recompute: bool = False,
    ) -> Tensor:
        """See `PackedModel`."""
        run = plainly
        if recompute and route is not None:
            run = recomputed
            for layer in self.weights.layers:
                for linear in (layer.qkv, layer.attention_out, layer.gate_up, layer.down):
                    route.prepare(linear.names, linear.widths, self.weights.embedding.dtype)
        x_NI = self._layers(ids_N, position_N, route, attention, run)
        return self._final(x_NI, keep_M)

    def _final(self, x_NI: Tensor, keep_M: Tensor | None) -> Tensor:
        """Return what the head takes at `keep_M`, or everywhere."""
        return self.normalise(self.weights.norm, x_NI if keep_M is None else x_NI[keep_M])

    def _layers(
        self,
        ids_N: Tensor,
        position_N: Tensor,
        route: Route | None,
        attention: Attention,
        run: Callable[..., Tensor],
    ) -> Tensor:
        """Return the residual stream [N, I] after all layers, each called by `run`."""
        weights = self.weights
        x_NI = weights.embedding[ids_N]
        cosine, sine = weights.rotary(x_NI, position_N[None])
        for number, layer in enumerate(weights.layers):

            def block(x_NI: Tensor, number: int = number, layer: Layer = layer) -> Tensor:
                qkv_NO = layer.qkv(self.normalise(layer.before_attention, x_NI), route)
                q, k, v = self.rotated_heads(layer, qkv_NO, cosine[0], sine[0])
                seen_NI = attention.attend(number, q, k, v, layer.scale).flatten(1)
                x_NI = x_NI + layer.attention_out(seen_NI, route)
                gate_up_NF = layer.gate_up(self.normalise(layer.before_mlp, x_NI), route)
                return x_NI + layer.down(self.swiglu(gate_up_NF), route)

            x_NI = run(block, x_NI)
        return x_NI


def _fusable(model: Any) -> bool:
    """Return whether these are the parts, and all of them, that `FusedModel` computes."""
    if type(model).__name__ not in FAMILIES:
        return False
    config = model.config
    rope = getattr(config, "rope_parameters", None) or {}
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    # Quantised layers are subclasses with other weights.
    plain = all(type(module) is nn.Linear for module in linear)
    attention = [layer.self_attn for layer in model.model.layers]
    projections = [part for item in attention for part in (item.q_proj, item.k_proj, item.v_proj)]
    return (
        plain
        and len({projection.bias is None for projection in projections}) == 1
        and model.lm_head.bias is None
        and config.hidden_act == "silu"
        and rope.get("rope_type", "default") in _ROTARY
    )


@torch.no_grad()
def fuse(model: nn.Module) -> FusedModel | None:
    """Return the fused form of a model of these families that gives the library's logits, or None.

    The model itself stays usable; its joined weights become views.
    """
    if not _fusable(model):
        return None
    fused = FusedModel(FusedWeights.of(model))
    return fused if agrees(model, fused) else None
