"""Measured memory: what is counted, and what is decided from it."""

import torch

from redqueen.models.batching import MOST_TOKENS
from redqueen.models.footprint import (
    LearningMemory,
    PeakTracker,
    fitting_tokens,
    measure_learning,
    settle,
)

CPU = torch.device("cpu")


def test_the_tracker_counts_what_is_alive_together() -> None:
    weight = torch.ones(1000)
    with PeakTracker([weight]) as tracker:
        a = torch.ones(1000)  # 4,000 bytes
        b = a * 2
        assert tracker.peak == 8000
        del a
        c = b[:500]  # a view takes nothing
        d = b + 1
        assert tracker.peak == 8000
        weight[:10], weight.view(10, 100)
        e = torch.cat((b, c, d))
    assert tracker.peak == 4000 + 4000 + 4 * len(e)


def test_measured_memory_grows_with_tokens_and_shrinks_with_checkpointing(make_model) -> None:
    plain = measure_learning(make_model())
    again = measure_learning(make_model(gradient_checkpointing=True))
    assert plain.token > 2 * 32 * 4  # at least the residual stream of both layers
    assert again.token < 0.8 * plain.token


def test_measuring_leaves_no_gradient(make_model) -> None:
    model = make_model()
    measure_learning(model)
    assert all(parameter.grad is None for parameter in model.adapters.parameters().values())


def test_what_fits() -> None:
    small = LearningMemory(token=1e3, fixed=0.0)
    assert fitting_tokens(small, 64 << 30, CPU) == MOST_TOKENS
    large = LearningMemory(token=1e6, fixed=2e8)
    assert fitting_tokens(large, 8 << 30, CPU) == 1600
    assert fitting_tokens(large, 1 << 30, CPU) == 6 * 64
    assert fitting_tokens(large, 0, CPU) == 256
    assert fitting_tokens(large, 64 << 30, torch.device("cuda")) == MOST_TOKENS


def test_auto_is_settled_once_and_numbers_stay(make_model) -> None:
    model = make_model()
    settle(model, longest=64)
    assert (model.config.learn_tokens, model.config.gradient_checkpointing) == (MOST_TOKENS, False)
    assert not model.base.recompute
    settle(model, longest=1 << 40)
    assert model.config.gradient_checkpointing is False
    model = make_model(learn_tokens=640)
    settle(model, longest=1 << 40)
    assert (model.config.learn_tokens, model.config.gradient_checkpointing) == (640, True)
    assert model.base.recompute
