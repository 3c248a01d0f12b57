"""Which engine a config's name gives on this machine."""

import subprocess
import sys
from pathlib import Path

import pytest

from redqueen import registry
from redqueen.engines.auto import Auto
from redqueen.engines.cpu import Cpu, CpuEngine
from redqueen.engines.torch import Torch, TorchEngine


def test_names_and_their_keys() -> None:
    assert registry.load("engine", "torch") is Torch
    assert registry.load("engine", "cpu") is Cpu
    assert registry.load("engine", "auto") is Auto
    assert set(Auto.model_fields) == set(Torch.model_fields) | set(Cpu.model_fields)


def test_auto_takes_the_kernels_for_a_small_base_on_a_cpu(make_model) -> None:
    engine = Auto(workers=2).build(make_model())
    assert isinstance(engine, CpuEngine)
    assert len(engine.workers) == 2
    engine.close()
    plain = make_model()
    kernel = plain.base.kernel
    assert isinstance(Auto(workers=1).build(plain), TorchEngine)
    assert plain.base.kernel is not kernel


WITHOUT = """
import sys
for name in ("numba", "llvmlite", "threadpoolctl"):
    sys.modules[name] = None  # as if it were not installed
from redqueen import registry
from redqueen.config.policy import PolicyConfig
from redqueen.engines.auto import Auto
from redqueen.engines.base import Sampling
from redqueen.errors import ConfigError
from redqueen.models.population_model import PopulationModel
from redqueen.types import Request, user

for base in sys.argv[1:]:
    model = PopulationModel.load(PolicyConfig(base=base, device="cpu"), 2, 0)
    engine = Auto(workers=2).build(model)
    print(type(engine).__name__)
    texts = engine.generate([Request(i % 2, user("f(1)"), i) for i in range(4)], Sampling(4, 1.0))
    logprobs = model.score([t.slot for t in texts], [t.prompt_ids for t in texts],
                           [t.token_ids for t in texts]).logprobs_BT
    logprobs.sum().backward()
    print(len(texts))
try:
    registry.load("engine", "cpu")
except ConfigError as error:
    print(error)
"""


@pytest.mark.slow
def test_without_the_extra_everything_runs_on_plain_torch(model_dirs: dict[str, Path]) -> None:
    bases = [str(model_dirs[kind]) for kind in ("llama", "gpt2")]
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT, *bases], capture_output=True, text=True, check=True
    )
    *said, message = run.stdout.strip().split("\n")
    assert said == ["TorchEngine", "4"] * 2
    assert "redqueen[cpu]" in message
