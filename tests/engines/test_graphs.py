"""Rows whose token is captured once, against rows that are computed anew; on a GPU if there is one.

On a CPU a tape stands in for the GPU's graph: it notes the operations of the captured work with the
very tensors, and replays them. What a graph would freeze (a number read in Python, a tensor that is
replaced) it freezes too.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from redqueen.engines.base import Sampling
from redqueen.engines.decoding import SharedRows
from redqueen.engines.graphs import GraphedRows, Replay, capture_cuda, make_graphed_rows
from redqueen.engines.torch import Torch, TorchEngine
from redqueen.engines.trial import try_base
from redqueen.errors import ConfigError
from redqueen.types import Request, user
from tests.engines.test_decoding import KEEPS, PROMPTS, SLOTS

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_gpu)]


def storages(values: Any) -> set[int]:
    return {x.untyped_storage()._cdata for x in tree_leaves(values) if isinstance(x, Tensor)}


class Tape(TorchDispatchMode):
    """Notes operations, and does them again into the tensors that they made."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[tuple[Any, Any, Any, Any]] = []
        self.before: dict[int, tuple[Any, Any]] = {}
        """Storages that are written into, and what they held."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        assert function is not torch.ops.aten._local_scalar_dense.default, "read on the host"
        for argument, value in zip(function._schema.arguments, args, strict=False):
            if argument.alias_info is not None and argument.alias_info.is_write:
                storage = value.untyped_storage()
                self.before.setdefault(storage._cdata, (storage, storage.clone()))
        out = function(*args, **(kwargs or {}))
        self.notes.append((function, args, kwargs or {}, out))
        return out

    def replay(self) -> None:
        for function, args, kwargs, out in self.notes:
            again = function(*args, **kwargs)
            if storages(out) & storages((args, kwargs)):
                continue  # a view, or written in place
            for old, new in zip(tree_leaves(out), tree_leaves(again), strict=True):
                old.copy_(new)


class Tapes:
    """Captures on tapes; like a graph's, a capture itself does nothing."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, work: Callable[[], None]) -> Replay:
        self.count += 1
        with Tape() as tape:
            work()
        for storage, held in tape.before.values():
            storage.copy_(held)
        return tape.replay


def capture_for(device: str) -> Callable[[Callable[[], None]], Replay]:
    return Tapes() if device == "cpu" else capture_cuda


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["llama", "qwen2"])
@pytest.mark.parametrize("room", [2, 18])
def test_graphed_rows_equal_shared_ones_while_rows_leave(
    make_model, kind: str, device: str, room: int
) -> None:
    """With room for 2 tokens the buffers grow many times."""
    model = make_model(kind, device=device)
    base = model.base
    graphed = GraphedRows(base, base.packed, SLOTS, PROMPTS, room, capture_for(device))
    shared = SharedRows(base, base.packed, SLOTS, PROMPTS)
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        found, expected = graphed.prefill(model.router), shared.prefill(model.router)
        assert torch.allclose(found, expected, atol=1e-4)
        for keep in KEEPS:
            for rows in (graphed, shared):
                rows.keep(torch.tensor(keep, device=device))
            assert graphed.slots == shared.slots
            with graphed.route(model.router) as one, shared.route(model.router) as other:
                for _ in range(4):
                    token_R = torch.randint(3, 112, (len(keep),), generator=generator).to(device)
                    found = graphed.decode(token_R, one)
                    assert torch.allclose(found, shared.decode(token_R, other), atol=1e-4)


def test_a_graph_is_captured_once_for_each_shape(make_model) -> None:
    model, tapes = make_model(), Tapes()
    rows = GraphedRows(model.base, model.base.packed, [0] * 8, [(5, 6, 7)] * 8, 400, tapes)
    counts = []
    with torch.inference_mode():
        rows.prefill(model.router)
        with rows.route(model.router) as route:
            for _ in range(4):
                rows.decode(torch.full((8,), 5), route)
                counts.append(tapes.count)
        rows.keep(torch.tensor([1, 2]))
        with rows.route(model.router) as route:
            for _ in range(350):
                rows.decode(torch.full((2,), 5), route)
                counts.append(tapes.count)
    # Step by step first; then once, once again with fewer rows, and once more where room ends.
    assert counts[:8] == [0, 1, 1, 1, 1, 2, 2, 2]
    assert counts[-1] == 3


@pytest.mark.parametrize("device", DEVICES)
def test_texts_do_not_depend_on_graphs(make_model, device: str) -> None:
    model = make_model("qwen2", device=device)
    capture = capture_for(device)
    graphed = TorchEngine(model, 64, lambda *args: make_graphed_rows(*args, capture=capture))
    plain = Torch(rows=64, graphs=False).build(model)
    requests = [
        Request(slot, user(prompt), 7 * number + (slot or 0))
        for slot in (0, 1, None)
        for number, prompt in enumerate(["a", "bc", "def g", "a"])
    ]
    sampling = Sampling(40, 1.0)
    found, expected = graphed.generate(requests, sampling), plain.generate(requests, sampling)
    assert [text.token_ids for text in found] == [text.token_ids for text in expected]
    assert len({len(text.token_ids) for text in found}) > 3
    for one, other in zip(found, expected, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


@pytest.mark.parametrize("device", DEVICES)
def test_the_trial_sees_a_graph_that_does_something_else(make_model, device: str) -> None:
    model = make_model(device=device)
    capture = capture_for(device)

    def forgetful(work: Callable[[], None]) -> Replay:
        capture(work)
        return lambda: None

    try_base(model, lambda *args: make_graphed_rows(*args, capture=capture))
    with pytest.raises(ConfigError, match=r"written side by side .* deviations off"):
        try_base(model, lambda *args: make_graphed_rows(*args, capture=forgetful))


def test_bases_of_other_families_are_written_step_by_step(make_model) -> None:
    base = make_model("gpt2").base
    assert type(make_graphed_rows(base, [0], [(5,)], 4)) is SharedRows
    alone = replace(base, packed=None)
    assert type(make_graphed_rows(alone, [0], [(5,)], 4)).__name__ == "PaddedRows"


@needs_gpu
@pytest.mark.parametrize("graphs", [True, False])
def test_the_engine_of_a_gpu_takes_graphs(make_model, graphs: bool) -> None:
    model = make_model("qwen2", device="cuda", dtype="bfloat16", rank=8)
    engine = Torch(graphs=graphs).build(model)
    text = engine.generate([Request(0, user("a"), 1)], Sampling(20, 1.0))[0]
    assert len(text.token_ids) > 1
