"""`policy.dtype = "auto"` means the type that the device multiplies fast."""

import time

import pytest
import torch

from redqueen.config.policy import PolicyConfig
from redqueen.models.population_model import PopulationModel
from redqueen.models.precision import DTYPES, settle_dtype

CPU = torch.device("cpu")


def seconds_of(dtype: torch.dtype) -> float:
    one, other = (torch.ones(512, 512, dtype=dtype) for _ in range(2))
    one @ other
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        one @ other
        times.append(time.perf_counter() - begun)
    return min(times)


def test_auto_is_never_the_much_slower_type() -> None:
    dtype = DTYPES[settle_dtype(PolicyConfig(), CPU).dtype]
    (other,) = set(DTYPES.values()) - {dtype}
    assert seconds_of(dtype) < 5 * seconds_of(other)


def test_a_gpu_computes_in_bfloat16() -> None:
    assert settle_dtype(PolicyConfig(), torch.device("cuda")).dtype == "bfloat16"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_named_type_stays(dtype: str) -> None:
    assert settle_dtype(PolicyConfig(dtype=dtype), CPU).dtype == dtype


def test_a_loaded_model_says_which_it_took(model_dirs) -> None:
    config = PolicyConfig(base=str(model_dirs["llama"]), device="cpu")
    model = PopulationModel.load(config, 1, 0)
    assert DTYPES[model.config.dtype] is model.base.dtype
    assert model.config.dtype == settle_dtype(config, CPU).dtype
