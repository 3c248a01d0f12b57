import numpy as np
import pytest
import torch

from redqueen.evolution.factors import (
    product_inner,
    relative_change,
    shape_groups,
)


def pair(batch: int, rank: int, inputs: int, outputs: int, seed: int, scale: float = 1.0):
    g = torch.Generator().manual_seed(seed)
    A = torch.randn(batch, rank, inputs, generator=g, dtype=torch.float64)
    B = scale * torch.randn(batch, outputs, rank, generator=g, dtype=torch.float64)
    return A, B


def test_norms_match_dense_ones() -> None:
    A, B = pair(2, 3, 7, 6, 5)
    C, D = pair(2, 3, 7, 6, 6)
    assert product_inner((A, B), (C, D)) == pytest.approx(float(((B @ A) * (D @ C)).sum()))
    parent = {"x": (A[0], B[0]), "y": (A[1], B[1])}
    child = {"x": (C[0], D[0]), "y": (A[1], 1.01 * B[1])}

    def dense(f: dict) -> np.ndarray:
        return np.concatenate([(b @ a).numpy().ravel() for a, b in f.values()])

    larger = max(np.linalg.norm(dense(parent)), np.linalg.norm(dense(child)))
    expected = np.linalg.norm(dense(child) - dense(parent)) / larger
    assert relative_change(child, parent) == pytest.approx(expected)
    assert relative_change(parent, parent) == pytest.approx(0.0, abs=1e-7)
    tiny = {n: (a, b * (1 + 1e-5)) for n, (a, b) in parent.items()}
    assert relative_change(tiny, parent) == pytest.approx(1e-5, rel=1e-2)
    zero = {n: (a, torch.zeros_like(b)) for n, (a, b) in parent.items()}
    assert relative_change(zero, zero) == 0.0
    assert relative_change(parent, zero) == pytest.approx(1.0)


def test_layers_of_equal_shape_are_grouped() -> None:
    A, B = pair(3, 2, 5, 4, 0)
    one = {"a": (A[0], B[0]), "wide": (torch.ones(2, 9), B[1]), "b": (A[2], B[2])}
    assert shape_groups([one, one]) == [["a", "b"], ["wide"]]
    with pytest.raises(ValueError, match="different layers"):
        shape_groups([one, {"a": one["a"]}])
    with pytest.raises(ValueError, match="differ in shape at a"):
        shape_groups([one, one | {"a": one["wide"]}])
