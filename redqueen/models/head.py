"""The output head: at chosen positions only, and as a product that can be done in pieces."""

import threading
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from redqueen.errors import ConfigError

Index = Tensor | tuple[int, Tensor]
"""Positions of [B, L]: a mask, or numbers within one row."""


@dataclass(frozen=True, slots=True)
class OutputHead:
    """What turns final states [M, D] into logits [M, V]: c tanh(s (x Wᵀ + b) / c).

    The scale s is 1 in most models, and most have no cap c.
    """

    weight_VD: Tensor | None
    """None: the states are logits already, of a model with another kind of head."""
    bias_V: Tensor | None = None
    scale: float = 1.0
    softcap: float | None = None

    def vocabulary(self, x_MD: Tensor) -> int:
        """Return V, the width of the logits of states [M, D]."""
        return x_MD.shape[1] if self.weight_VD is None else len(self.weight_VD)

    def logits(self, x_MD: Tensor) -> Tensor:
        """Return float32 logits [M, V], which the caller may overwrite."""
        if self.weight_VD is None:
            return x_MD.to(torch.float32, copy=True)
        logits_MV = functional.linear(x_MD, self.weight_VD, self.bias_V).float()
        if self.scale != 1.0:
            logits_MV.mul_(self.scale)
        if self.softcap is not None:
            logits_MV.div_(self.softcap).tanh_().mul_(self.softcap)
        return logits_MV

    def pull_back(self, slope_MV: Tensor, logits_MV: Tensor | None, dtype: torch.dtype) -> Tensor:
        """Return the gradient [M, D] to the states; overwrites that to the logits, `slope_MV`.

        `logits_MV` are needed by a softcap alone.
        """
        if self.softcap is not None and logits_MV is not None:
            slope_MV.mul_(1.0 - (logits_MV / self.softcap).square_())
        if self.weight_VD is None:
            return slope_MV.to(dtype)
        if self.scale != 1.0:
            slope_MV.mul_(self.scale)
        return slope_MV.to(dtype) @ self.weight_VD


class _Pass(threading.local):
    """This thread's forward pass."""

    keep: Index | None = None
    """The positions that are wanted; None: all, and the head is left alone."""
    logits = True
    """Whether the head is needed too."""
    states_MD: Tensor | None = None
    """What the head was given at these positions."""


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
        self.output = _plain_head(model, self) or OutputHead(None)
        """What turns `states` into logits."""

    def _select(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if self._now.keep is None:
            return None
        states_MD = self._now.states_MD = args[0][self._now.keep]
        return ((states_MD if self._now.logits else states_MD[:1])[None], *args[1:])

    def logits(self, model: nn.Module, keep: Index, **inputs: Any) -> Tensor:
        """Run `model(**inputs)`; return logits [M, V] of `keep`, row by row if it is a mask."""
        logits, states_MD = self._run(model, keep, True, inputs)
        return logits[keep] if states_MD is None else logits[0]

    def states(self, model: nn.Module, keep: Index, **inputs: Any) -> Tensor:
        """Run `model(**inputs)`; return what `output` takes at `keep`, [M, D]."""
        if self.output.weight_VD is None:
            return self.logits(model, keep, **inputs)
        _, states_MD = self._run(model, keep, False, inputs)
        assert states_MD is not None  # the head was called when it was tried
        return states_MD

    def _run(
        self, model: Any, keep: Index, logits: bool, inputs: dict[str, Any]
    ) -> tuple[Tensor, Tensor | None]:
        now = self._now
        now.keep, now.logits, now.states_MD = keep, logits, None
        try:
            return model(**inputs).logits, now.states_MD
        finally:
            now.keep = now.states_MD = None


@torch.no_grad()
def _plain_head(model: Any, selector: HeadSelector) -> OutputHead | None:
    """Return the head as a plain product with the model's logits; None if it is anything else."""
    module, config = model.get_output_embeddings(), model.config.get_text_config(decoder=True)
    if type(module) is not nn.Linear:
        return None
    head = OutputHead(
        module.weight.detach(),
        None if module.bias is None else module.bias.detach(),
        (getattr(config, "logit_scale", None) or 1.0)
        / (getattr(config, "logits_scaling", None) or 1.0),
        getattr(config, "final_logit_softcapping", None),
    )
    ids_BL = torch.arange(1, 5, device=module.weight.device)[None]
    every_BL = torch.ones_like(ids_BL, dtype=torch.bool)
    logits, states_MD = selector._run(model, every_BL, True, {"input_ids": ids_BL})
    if states_MD is None:
        return None
    expected_MV, logits_MV = logits[0].float(), head.logits(states_MD)
    error = (logits_MV - expected_MV).square().mean().sqrt()
    return head if bool(error <= 0.01 * expected_MV.std()) else None
