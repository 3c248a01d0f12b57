"""The base's attention, taken over where rows share prompts.

Any Hugging Face model that calls its attention through `AttentionInterface` takes part. A model
that does not, or whose layers attend in other ways (sliding windows, sinks, biases by position),
keeps its own attention on padded rows: `fit` finds out by comparing the two on a few tokens.
"""

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from redqueen.models.cache import GrowingLayer, new_cache
from redqueen.models.checkpointing import recomputed_layers
from redqueen.models.head import HeadSelector
from redqueen.models.packing import Packing, Text
from redqueen.models.routing import Route

TOLERANCE = 0.1
"""Largest root mean square error of logits, in their standard deviations, that is rounding."""

_INPUTS = ("attention_mask", "position_ids", "past_key_values", "use_cache")
_SPECIAL = ("sliding_window", "softcap", "s_aux", "position_bias")
_numbers = count()


class UnfitModelError(Exception):
    """The model attends in a way that packed rows cannot express."""


class Attention(Protocol):
    """How the tokens of one forward pass attend to each other and to those before."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        """Return [N, Hq, D] from the pass's queries, and its keys and values [N, Hkv, D]."""


class PackedModel(Protocol):
    """A model that reads tokens lying flat, [N], whoever they belong to."""

    def logits(
        self,
        ids_N: Tensor,
        position_N: Tensor,
        route: Route | None,
        attention: Attention,
        keep_M: Tensor | None = None,
    ) -> Tensor:
        """Return logits [N, V] of tokens that attend by `attention`, or [M, V] of `keep_M` alone.

        `keep_M` has numbers of tokens; `route` has one entry a token. Several threads may call it.
        """

    def states(
        self,
        ids_N: Tensor,
        position_N: Tensor,
        route: Route | None,
        attention: Attention,
        keep_M: Tensor,
        recompute: bool = False,
    ) -> Tensor:
        """Return what the base's `OutputHead` takes at `keep_M`, [M, D]; see `logits`.

        `recompute`: layers keep their input alone for the backward pass (gradient checkpointing).
        """


def fused_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, scale: float) -> Tensor:
    """`dense_attention` by the library's fused kernel."""
    rows, heads, queries, size = q.shape
    mask = bias.to(q.dtype)[:, None]
    if queries == 1:
        # Heads that share keys stand in line as queries: nothing is repeated.
        folded = q.reshape(rows, k.shape[1], -1, size)
        mask = mask.expand(-1, -1, folded.shape[2], -1)
        out = functional.scaled_dot_product_attention(folded, k, v, mask, scale=scale)
        return out.reshape(rows, 1, heads, size)
    if heads > k.shape[1]:
        k, v = (x.repeat_interleave(heads // x.shape[1], 1) for x in (k, v))
    out = functional.scaled_dot_product_attention(q, k, v, mask, scale=scale)
    return out.transpose(1, 2)


def dense_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, scale: float) -> Tensor:
    """Softmax attention of q [B, Hq, Q, D] to k, v [B, Hkv, K, D]; returns [B, Q, Hq, D].

    `bias` [B or 1, Q, K] is added to the scores. On the CPU in float32 by plain products: for a
    handful of queries the library's fused kernel is several times slower there, and products in
    bfloat16 would round the scores.
    """
    rows, heads, queries, size = q.shape
    kv_heads = k.shape[1]
    if q.device.type != "cpu":
        return fused_attention(q, k, v, bias, scale)
    folded = q.float().mul(scale).reshape(rows, kv_heads, -1, size)
    score = torch.matmul(folded, k.float().transpose(2, 3))
    split = score.view(rows, kv_heads, heads // kv_heads, queries, -1)
    weight = (split + bias[:, None, None]).softmax(-1).view(score.shape)
    out = torch.matmul(weight, v.float()).view(rows, heads, queries, size)
    return out.transpose(1, 2).to(q.dtype)


PackedKernel = Callable[[Packing, Tensor, Tensor, Tensor, float], Tensor]
"""(packing, q [N, Hq, D], k and v [N, Hkv, D], scale) to [N, Hq, D]: attention over a packing."""


def attend_tiles(packing: Packing, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """Return attention over a packing by batched products; a `PackedKernel` for any device."""
    return packing.attend(dense_attention, q, k, v, scale)


class PackedAttention:
    """Attention over a `Packing`, with nothing before it.

    `states` receives each layer's keys and values [N, Hkv, D], if it is given.
    """

    def __init__(
        self,
        packing: Packing,
        kernel: PackedKernel = attend_tiles,
        states: list[tuple[Tensor, Tensor]] | None = None,
    ) -> None:
        self.packing = packing
        self.kernel = kernel
        self.states = states

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        """See `Attention`."""
        if self.states is not None:
            self.states.append((k, v))
        return self.kernel(self.packing, q, k, v, scale)


class _Current(threading.local):
    """How the tokens of this thread's forward pass attend; None: as the library has it."""

    attention: Attention | None = None


class LibraryModel:
    """The library's forward pass over flat tokens: its attention asks that of the pass.

    Routing is the caller's, by the hooks of `Router.route`.
    """

    def __init__(self, model: nn.Module, head: HeadSelector) -> None:
        """Take the place of the model's attention.

        Raises:
            UnfitModelError: the model does not let it be replaced.
        """
        taken = inspect.signature(model.forward).parameters
        replaceable = getattr(type(model), "_can_set_attn_implementation", None)
        config: Any = model.config
        if not all(name in taken for name in _INPUTS) or not (replaceable and replaceable()):
            raise UnfitModelError("the model's attention cannot be replaced")
        if config._attn_implementation != "sdpa":
            raise UnfitModelError(f"the model asks for {config._attn_implementation} attention")
        if any(type(layer) is not GrowingLayer for layer in new_cache(config).layers):
            raise UnfitModelError("the model has layers that do not attend to everything before")
        self._current = _Current()
        self._model: Any = model
        self._head = head
        self._device = next(model.parameters()).device
        name = f"redqueen-{next(_numbers)}"
        AttentionInterface.register(name, self)
        AttentionMaskInterface.register(name, sdpa_mask)
        model.set_attn_implementation(name)  # type: ignore[operator]

    def release(self) -> None:
        """Give the model its own attention back."""
        self._model.set_attn_implementation("sdpa")

    def __call__(
        self,
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        scaling: float | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        """The library's protocol: returns [B, T, Hq, D] and no weights."""
        attention = self._current.attention
        if attention is None:
            result: tuple[Tensor, Tensor | None] = sdpa_attention_forward(
                module, query, key, value, attention_mask, scaling=scaling, **kwargs
            )
            return result
        special = [name for name in _SPECIAL if kwargs.get(name) is not None]
        if special or kwargs.get("dropout") or kwargs.get("is_causal") is False:
            raise UnfitModelError(f"a layer attends with {', '.join(special) or 'dropout'}")
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        layer: Any = module.layer_idx
        q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))
        return attention.attend(layer, q, k, v, scale)[None], None

    def logits(
        self,
        ids_N: Tensor,
        position_N: Tensor,
        route: Route | None,
        attention: Attention,
        keep_M: Tensor | None = None,
    ) -> Tensor:
        """See `PackedModel`."""
        inputs = self._inputs(ids_N, position_N)
        with self._attending(attention):
            if keep_M is None:
                logits_1NV: Tensor = self._model(**inputs).logits
                return logits_1NV[0]
            return self._head.logits(self._model, (0, keep_M), **inputs)

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

        @contextmanager
        def again() -> Iterator[None]:
            assert route is not None
            with route.again(), self._attending(attention):
                yield

        with ExitStack() as stack:
            stack.enter_context(self._attending(attention))
            if recompute and route is not None:
                stack.enter_context(recomputed_layers(self._model, route, again))
            return self._head.states(self._model, (0, keep_M), **self._inputs(ids_N, position_N))

    def _inputs(self, ids_N: Tensor, position_N: Tensor) -> dict[str, Any]:
        return {
            "input_ids": ids_N[None],
            "position_ids": position_N[None],
            # A ready-made mask, which the library hands through untouched and nothing reads.
            "attention_mask": torch.ones(1, 1, 1, 1, dtype=torch.bool, device=self._device),
            "use_cache": False,
        }

    @contextmanager
    def _attending(self, attention: Attention) -> Iterator[None]:
        """Inside the block, this thread's passes attend by `attention`."""
        before = self._current.attention
        self._current.attention = attention
        try:
            yield
        finally:
            self._current.attention = before


@torch.no_grad()
def agrees(model: nn.Module, packed: PackedModel, kernel: PackedKernel = attend_tiles) -> bool:
    """Return whether `packed` gives the logits of `model`.

    Two texts after a shared prompt and a third after another, packed, against each on its own
    through the model. May raise what `packed` raises.
    """
    device = next(model.parameters()).device
    embedding = model.get_input_embeddings()  # type: ignore[operator]
    size = embedding.weight.shape[0]
    spec = (((1, 38, 75, 112, 149), (3, 5, 9)), ((1, 38, 75, 112, 149), (6, 2)), ((12, 4), (7, 8)))
    texts = [
        Text(None, [token % size for token in prompt], [token % size for token in tokens])
        for prompt, tokens in spec
    ]
    alone = []
    for text in texts:
        ids = torch.tensor([[*text.prompt, *text.tokens]], device=device)
        alone.append(model(input_ids=ids).logits[0, -len(text.tokens) :])
    packing, states = Packing(texts, device), list[tuple[Tensor, Tensor]]()
    logits_NV = packed.logits(
        packing.ids_N, packing.position_N, None, PackedAttention(packing, kernel, states)
    )
    layers = model.config.get_text_config(decoder=True).num_hidden_layers  # type: ignore[union-attr, operator]
    if len(states) != layers:
        raise UnfitModelError(f"{len(states)} calls of attention in {layers} layers")
    parts = [logits_NV[s : s + n] for s, n in zip(packing.starts, packing.lengths, strict=True)]
    expected_NV = torch.cat(alone).float()
    error = (torch.cat(parts).float() - expected_NV).square().mean().sqrt()
    return bool(error <= TOLERANCE * expected_NV.std())


def fit(model: nn.Module, head: HeadSelector) -> LibraryModel | None:
    """Return the model with its attention taken over, or None if packed rows change its logits."""
    try:
        library = LibraryModel(model, head)
    except UnfitModelError:
        return None
    try:
        fits = agrees(model, library)
    except Exception:  # the library's code, used as it was not meant: the model's own way stays
        fits = False
    if not fits:
        library.release()
        return None
    return library
