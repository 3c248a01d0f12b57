"""Engines in one process over small models."""

from collections.abc import Callable

import pytest

from redqueen.engines.torch import Torch, TorchEngine


@pytest.fixture(params=["torch", "compiled"])
def make_engine(request: pytest.FixtureRequest, make_model) -> Callable[..., TorchEngine]:
    def make(kind: str = "llama", rows: int = 256, **settings: object) -> TorchEngine:
        model = make_model(kind, **settings)
        if request.param == "torch":
            return Torch(rows=rows).build(model)
        # vLLM does not start on a CPU where llvmlite has been loaded.
        from redqueen.engines.cpu import Cpu

        engine = Cpu(rows=rows, workers=1).build(model)
        assert isinstance(engine, TorchEngine)
        return engine

    return make
