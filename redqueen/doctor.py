"""`redqueen doctor`: what works on this machine; sandbox and base are checked by using them."""

import importlib
import importlib.metadata
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch

from redqueen.config import Config, PolicyConfig, SandboxConfig
from redqueen.engines.base import Sampling
from redqueen.environments.lean import probe
from redqueen.errors import ConfigError, InfrastructureError, RedQueenError
from redqueen.models.population_model import PopulationModel
from redqueen.models.precision import settle_dtype
from redqueen.sandbox import NOT_A_LITERAL, Call, OutcomeKind, make_sandbox
from redqueen.sandbox.cpython import CPythonSandbox
from redqueen.types import Request, user

Check = Callable[[], str]

ENOUGH = 0.2
"""Seconds of products that a speed is measured over; a CPU may need longer for a single one."""


def _python() -> str:
    return f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"


def _packages() -> str:
    names = ("torch", "transformers", "pydantic-monty", "trueskill", "safetensors")
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)


def _rate(dtype: torch.dtype, device: str) -> float:
    """Matrix product speed in GFLOP/s."""
    size = 4096 if device == "cuda" else 512
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    float((a @ b)[0, 0])  # warm, and wait for the device
    begun, count, seconds = time.perf_counter(), 0, 0.0
    while seconds < ENOUGH:
        float((a @ b)[0, 0])
        count, seconds = count + 1, time.perf_counter() - begun
    return 2 * size**3 * count / seconds / 1e9


def _cpu() -> str:
    single, half = _rate(torch.float32, "cpu"), _rate(torch.bfloat16, "cpu")
    dtype = settle_dtype(PolicyConfig(), torch.device("cpu")).dtype
    return (
        f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, float32 {single:,.0f} and "
        f"bfloat16 {half:,.2g} GFLOP/s; policy.dtype = auto means {dtype} here"
    )


def _gpu() -> str:
    if not torch.cuda.is_available():
        return "none; the CPU is used"
    free, total = torch.cuda.mem_get_info()
    return (
        f"{torch.cuda.get_device_name()}, {free / 2**30:.0f} of {total / 2**30:.0f} GiB free, "
        f"bfloat16 {_rate(torch.bfloat16, 'cuda') / 1e3:,.0f} TFLOP/s"
    )


def _sandbox() -> str:
    with make_sandbox(SandboxConfig()) as sandbox:
        good, endless = sandbox.run(
            [
                Call("def f(a):\n    return a[::-1]", "f", ([1, 2],)),
                Call("def f(a):\n    while True:\n        a += 1", "f", (0,)),
            ]
        )
    if good.text != "[2, 1]" or endless.kind is not OutcomeKind.TIMEOUT:
        raise RedQueenError(f"unexpected outcomes: {good}, {endless}")
    return "runs code, stops an endless loop"


def _jail() -> str:
    try:
        with CPythonSandbox(SandboxConfig(backend="cpython", workers=1)) as sandbox:
            [good] = sandbox.run([Call("def f(a):\n    yield a", "f", (1,))])
            [fork] = sandbox.run([Call("import os\ndef f(): return os.fork()", "f")])
            landlock = sandbox.landlock
    except InfrastructureError as error:
        return f"not on this machine; the backend monty needs none ({error})"
    if good.exception != NOT_A_LITERAL or fork.exception != "PermissionError":
        raise RedQueenError(f"unexpected outcomes: {good}, {fork}")
    behind = f"Landlock {landlock}" if landlock else "no Landlock in this kernel"
    return f"runs CPython in bubblewrap behind seccomp, {behind}"


def _base() -> str:
    model = PopulationModel.load(PolicyConfig(), slots=2, seed=0)
    engine = Config().engine.build(model)
    try:
        asked = [Request(slot, user("def f(a):\n    return"), 1) for slot in (None, 0, 1)]
        texts = engine.generate(asked, Sampling(4, temperature=0.0))
    finally:
        engine.close()
    if len({text.token_ids for text in texts}) != 1:
        raise RedQueenError("fresh adapters change what the base says")
    return f"seedling loads ({model.num_parameters / 1e6:.1f} M parameters) and generates"


def _peft() -> str:
    try:
        return f"peft {importlib.metadata.version('peft')}; it loads exported adapters"
    except importlib.metadata.PackageNotFoundError:
        return "peft is not installed; exported adapters load wherever it is"


def _vllm() -> str:
    if find_spec("vllm") is None:
        return "not installed; only engine.type = 'vllm' needs it (docs/engines.md)"
    return f"vllm {importlib.import_module('vllm').__version__}"


def _ray() -> str:
    if find_spec("ray") is None:
        return "not installed; only cluster.type = 'ray' needs it (docs/cluster.md)"
    return f"ray {importlib.metadata.version('ray')}; all nodes need this version"


def _lean() -> str:
    try:
        return probe()
    except (ConfigError, InfrastructureError) as error:
        return f"not on this machine; only the environment lean needs it ({error})"


def _disk() -> str:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    if free < 1:
        raise RedQueenError(f"{free:.1f} GiB free here; a run needs up to 1 GiB")
    return f"{free:.0f} GiB free here"


CHECKS: dict[str, Check] = {
    "python": _python,
    "packages": _packages,
    "cpu": _cpu,
    "gpu": _gpu,
    "sandbox": _sandbox,
    "jail": _jail,
    "base": _base,
    "peft": _peft,
    "vllm": _vllm,
    "ray": _ray,
    "lean": _lean,
    "disk": _disk,
}


def run_checks() -> int:
    """Print a line for each check; 1 if one failed."""
    failed = 0
    for name, check in CHECKS.items():
        try:
            print(f"ok    {name:9} {check()}")
        except (RedQueenError, RuntimeError, OSError, ImportError) as error:
            failed += 1
            print(f"FAIL  {name:9} {error}")
        sys.stdout.flush()
    return 1 if failed else 0
