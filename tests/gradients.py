"""Values and gradients of a function against those that automatic differentiation gives."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 4e-2}


def randn(*shape: int, seed: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def same_with_gradients(
    ours: Callable[..., Tensor], plain: Callable[..., Tensor], inputs: list[Tensor]
) -> None:
    """Values and gradients, relative to the largest; the plain way in float32."""
    dtype = inputs[0].dtype
    leaves = [x.clone().requires_grad_(True) for x in inputs]
    wide = [x.float().requires_grad_(True) for x in inputs]
    result, expected = ours(*leaves), plain(*wide)
    assert result.dtype == dtype
    probe = randn(*result.shape, seed=99, dtype=torch.float32).to(result.device)
    slopes = torch.autograd.grad((result.float() * probe).sum(), leaves)
    references = torch.autograd.grad((expected * probe).sum(), wide)
    for one, other in zip(
        (result.detach(), *slopes), (expected.detach(), *references), strict=True
    ):
        assert float((one.float() - other).abs().max()) <= TOLERANCE[dtype] * float(
            other.abs().max()
        )


both = pytest.mark.parametrize("dtype", TOLERANCE)
