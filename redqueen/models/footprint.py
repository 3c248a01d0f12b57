"""How much memory learning from a token takes, measured on a small pass, and what fits."""

import weakref
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from redqueen.models.batching import MOST_TOKENS
from redqueen.models.logprobs import piece_rows
from redqueen.models.population_model import PopulationModel

CPU_BYTES = 3 << 29
"""A pass on a CPU is at full speed with a thousand tokens: what more memory would be wasted on."""
SHARE = 0.6
"""Of the memory that is free, for one pass."""
_SHORT, _LONG, _SCORED = 64, 192, 8
"""Tokens of the prompts of the measured passes, and how many follow them."""


class PeakTracker(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Inside the block, the most bytes in tensors made there that were alive at one time.

    Of any device and allocator; what operations use inside themselves is not seen.
    """

    def __init__(self, existing: Sequence[Tensor] = ()) -> None:
        """`existing` are tensors that views may be taken of."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = self._alive = 0
        self._seen = {tensor.untyped_storage()._cdata for tensor in existing}

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return tree_map_only(Tensor, self._see, function(*args, **(kwargs or {})))

    def _see(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._seen:
            self._seen.add(storage._cdata)
            self._alive += storage.nbytes()
            self.peak = max(self.peak, self._alive)
            weakref.finalize(storage, self._forget, storage._cdata, storage.nbytes())
        return tensor

    def _forget(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self._alive -= size


class LearningMemory(NamedTuple):
    """Bytes of one forward and backward pass: those of each token, and the others."""

    token: float
    fixed: float


def _pass(model: PopulationModel, prompt: int) -> None:
    """Score one text under the first adapter, and differentiate."""
    size = min(model.base.embeddings, 1000)
    ids = [token % size for token in range(prompt + _SCORED)]
    logprobs_BT = model.score([0], [ids[:prompt]], [ids[prompt:]]).logprobs_BT
    torch.autograd.grad(logprobs_BT.sum(), list(model.adapters.parameters().values()))


def _peak(model: PopulationModel, run: Callable[[], None]) -> int:
    if model.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(model.device)
        before = torch.cuda.memory_allocated(model.device)
        run()
        return int(torch.cuda.max_memory_allocated(model.device)) - before
    tensors = [*model.base.model.parameters(), *model.base.model.buffers(), model.adapters.buffer]
    tracker = PeakTracker(tensors)
    with tracker:
        run()
    return tracker.peak


def measure_learning(model: PopulationModel) -> LearningMemory:
    """Return what a pass takes, from two short ones; gradients that are there stay as they are."""
    short, long = (_peak(model, partial(_pass, model, length)) for length in (_SHORT, _LONG))
    token = (long - short) / (_LONG - _SHORT)
    weight_VD = model.base.head.output.weight_VD
    head = 0
    if weight_VD is not None:
        # Logits in float32, and in the base's type on the way there and back.
        rows = piece_rows(len(weight_VD), model.device)
        head = rows * len(weight_VD) * (4 + 2 * weight_VD.element_size())
    return LearningMemory(token, max(0.0, short - token * _SHORT) + head)


def free_memory(device: torch.device) -> int:
    """Return the bytes that a new tensor could take on a device; 8 GiB where nothing tells."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    info = Path("/proc/meminfo")
    if not info.exists():
        return 8 << 30
    lines = dict(line.split(":", 1) for line in info.read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) << 10


def fitting_tokens(memory: LearningMemory, free: int, device: torch.device) -> int:
    """Return the tokens of one pass that suit the free bytes, a multiple of 64."""
    budget = free * SHARE - memory.fixed
    if device.type == "cpu":
        budget = min(budget, CPU_BYTES)
    return max(256, min(MOST_TOKENS, int(budget / max(1.0, memory.token)) // 64 * 64))


def settle(model: PopulationModel, longest: int) -> None:
    """Decide what the model's config leaves to be measured: `learn_tokens = "auto"` and
    `gradient_checkpointing = "auto"`, which is on where a text of `longest` tokens does not fit.

    The answers stand in `model.config`; a run keeps them, so that it goes on as it began.
    """
    config, free = model.config, free_memory(model.device)
    if "auto" not in (config.learn_tokens, config.gradient_checkpointing):
        return
    memory = measure_learning(model)
    recompute = config.gradient_checkpointing
    if recompute == "auto":
        recompute = memory.fixed + longest * memory.token > SHARE * free
        model.configure(config.model_copy(update={"gradient_checkpointing": recompute}))
        memory = measure_learning(model) if recompute else memory
    tokens = config.learn_tokens
    if tokens == "auto":
        tokens = fitting_tokens(memory, free, model.device)
    model.configure(model.config.model_copy(update={"learn_tokens": tokens}))
