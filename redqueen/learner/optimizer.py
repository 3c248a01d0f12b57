"""AdamW over stacked adapters, in which every slot lives as if it were alone."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from redqueen.errors import ConfigError, InfrastructureError


class StackedAdamW:
    """AdamW (arXiv 1711.05101) for tensors whose first dimension is the slot.

    Every slot has its own moments, step count, clipped gradient and learning rate; a slot that is
    not in `step(slots=...)` is not touched at all: no decay of moments, none of weights. For each
    slot the result equals `torch.nn.utils.clip_grad_norm_` and `torch.optim.AdamW` run on that
    slot's tensors alone.

    Args:
        parameters: name -> leaf tensor [S, ...]; the same S for all.
        betas, eps, weight_decay: as in AdamW.
        max_grad_norm: clips each slot's gradient by its global norm over all tensors.
        slots: that many of the first slots are trained and have moments (None: all).
        row_of: the row of the tensors that holds each slot, -1 for none, where a pager moves them
            (None: slot s lies in row s); only the first `slots` rows have moments.

    Raises:
        ValueError: there are no parameters, or they differ in S.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        max_grad_norm: float = float("inf"),
        slots: int | None = None,
        row_of: Tensor | None = None,
    ) -> None:
        if len({len(tensor) for tensor in parameters.values()}) != 1:
            raise ValueError("parameters must share one first dimension, the slots")
        self.parameters = dict(parameters)
        self.betas, self.eps = betas, eps
        self.weight_decay, self.max_grad_norm = weight_decay, max_grad_norm
        self.slots = len(next(iter(parameters.values()))[:slots])
        self._row_of = torch.arange(self.slots) if row_of is None else row_of
        self.steps = torch.zeros(len(self._row_of), dtype=torch.int64)
        """Updates each slot has had since it was reset."""
        trained = {name: t.detach()[: self.slots] for name, t in parameters.items()}
        self._mean = {name: torch.zeros_like(t) for name, t in trained.items()}
        self._square = {name: torch.zeros_like(t) for name, t in trained.items()}

    def _rows(self, slots: Sequence[int]) -> list[int]:
        rows: list[int] = self._row_of[list(slots)].tolist()
        if not all(0 <= row < self.slots for row in rows):
            raise ValueError("a slot is not in memory, or is not trained")
        return rows

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for parameter in self.parameters.values():
            parameter.grad = None

    @torch.no_grad()
    def grad_norms(self, slots: Sequence[int]) -> list[float]:
        """Return the global L2 norm of each slot's gradient over all tensors."""
        grads = [p.grad for p in self.parameters.values() if p.grad is not None]
        if not grads:
            return [0.0] * len(slots)
        chosen = torch.tensor(self._rows(slots), device=grads[0].device)
        norms_TS = torch.stack(
            [torch.linalg.vector_norm(g.index_select(0, chosen).flatten(1), dim=1) for g in grads]
        )
        return [float(norm) for norm in torch.linalg.vector_norm(norms_TS, dim=0).cpu()]

    @torch.no_grad()
    def step(self, slots: Sequence[int], learning_rates: Sequence[float]) -> list[float]:
        """Clip and apply the gradients of `slots`, each with its own learning rate.

        Returns the gradient norms before clipping, in the order of `slots`. A tensor without a
        gradient counts as one with a zero gradient.

        Raises:
            ValueError: slots repeat, or learning rates do not match.
            InfrastructureError: a gradient is not finite; nothing has been changed.
        """
        if len(set(slots)) != len(slots) or len(slots) != len(learning_rates):
            raise ValueError("step needs distinct slots and one learning rate for each")
        if not slots:
            return []
        norms = self.grad_norms(slots)
        for slot, norm in zip(slots, norms, strict=True):
            if not norm < float("inf"):
                raise InfrastructureError(
                    f"the gradient of slot {slot} is not finite; no weight has been changed. "
                    "Lower learner.learning_rate, or compute in float32 (policy.dtype)"
                )
        self.steps[list(slots)] += 1
        first, second = self.betas
        counts = [int(self.steps[slot]) for slot in slots]
        scales = [min(1.0, self.max_grad_norm / (norm + 1e-6)) for norm in norms]
        sizes = [lr / (1 - first**n) for lr, n in zip(learning_rates, counts, strict=True)]
        roots = [(1 - second**n) ** 0.5 for n in counts]
        decays = [1 - lr * self.weight_decay for lr in learning_rates]
        # Once for all tensors: each is a copy to the device.
        like = next(iter(self.parameters.values()))
        chosen = torch.tensor(self._rows(slots), device=like.device)
        factors_4S = torch.tensor([scales, sizes, roots, decays], dtype=like.dtype).to(like.device)
        for name in self.parameters:
            self._step_one(name, chosen, factors_4S)
        return norms

    def _step_one(self, name: str, chosen: Tensor, factors_4S: Tensor) -> None:
        """Apply one tensor's step to the rows `chosen`; for the factors see `step`."""
        parameter = self.parameters[name]
        shape = (4, len(chosen)) + (1,) * (parameter.dim() - 1)
        scale, size, root, decay = factors_4S.view(shape).unbind()
        value = parameter.index_select(0, chosen)
        mean = self._mean[name].index_select(0, chosen)
        square = self._square[name].index_select(0, chosen)
        if parameter.grad is None:
            grad = torch.zeros_like(value)
        else:
            grad = parameter.grad.index_select(0, chosen) * scale
        mean.lerp_(grad, 1 - self.betas[0])
        square.mul_(self.betas[1]).addcmul_(grad, grad, value=1 - self.betas[1])
        denominator = (square.sqrt() / root).add_(self.eps)
        value.mul_(decay).sub_(size * mean / denominator)
        parameter.index_copy_(0, chosen, value)
        self._mean[name].index_copy_(0, chosen, mean)
        self._square[name].index_copy_(0, chosen, square)

    @torch.no_grad()
    def reset_slot(self, slot: int) -> None:
        """Forget one slot's moments and step count, as for a newborn."""
        self.load_slot(slot, {})

    @torch.no_grad()
    def copy_slot(self, source: int, target: int) -> None:
        """Give one slot the moments and step count of another, so that it need not warm up."""
        self.load_slot(target, self.slot_state(source))

    def slot_state(self, slot: int) -> dict[str, Tensor]:
        """Return copies of one slot's moments and step count, named as in `state_dict`."""
        (row,) = self._rows([slot])
        state = {"steps": self.steps[slot].clone()}
        return state | {name: tensor[row].clone() for name, tensor in self._moments().items()}

    @torch.no_grad()
    def load_slot(self, slot: int, state: Mapping[str, Tensor]) -> None:
        """Give one slot what `slot_state` returned; zeros where something is missing."""
        (row,) = self._rows([slot])
        self.steps[slot] = state.get("steps", 0)
        for name, tensor in self._moments().items():
            if name in state:
                tensor[row].copy_(state[name])
            else:
                tensor[row].zero_()

    def _moments(self) -> dict[str, Tensor]:
        moments = {f"mean/{name}": tensor for name, tensor in self._mean.items()}
        return moments | {f"square/{name}": tensor for name, tensor in self._square.items()}

    def state_dict(self) -> dict[str, Tensor]:
        """Return all state as flat named tensors, ready for safetensors (views, not copies)."""
        return {"steps": self.steps} | self._moments()

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state_dict` gave.

        Raises:
            ConfigError: names or shapes differ; nothing has been changed.
        """
        present = self.state_dict()
        wrong = sorted(present.keys() ^ state.keys())
        wrong += [n for n in present.keys() & state.keys() if present[n].shape != state[n].shape]
        if wrong:
            raise ConfigError(
                f"the optimizer state in the checkpoint does not fit this run ({wrong[0]}); "
                "use the base, rank, targets and population that the run was made with"
            )
        for name, tensor in present.items():
            tensor.copy_(state[name])
