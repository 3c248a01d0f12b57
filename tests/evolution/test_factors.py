import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from redqueen.evolution.factors import (
    FOUNDER_ROW_NORM,
    layers_by_shape,
    product_inner,
    relative_change,
    stack,
    thin_svd,
    to_factors,
)

SHAPES = st.tuples(
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(0, 999),
)


def pair(batch: int, rank: int, inputs: int, outputs: int, seed: int, scale: float = 1.0):
    g = torch.Generator().manual_seed(seed)
    A = torch.randn(batch, rank, inputs, generator=g, dtype=torch.float64)
    B = scale * torch.randn(batch, outputs, rank, generator=g, dtype=torch.float64)
    return A, B


@settings(max_examples=60, deadline=None)
@given(SHAPES)
def test_thin_svd_equals_the_dense_one(shape: tuple) -> None:
    A, B = pair(*shape)
    U, S, Vh = thin_svd(A, B)
    k = S.shape[-1]
    assert k == min(shape[1:4])
    dense = (B @ A).numpy()
    np.testing.assert_allclose(U.numpy() * S[..., None, :].numpy() @ Vh.numpy(), dense, atol=1e-10)
    np.testing.assert_allclose(S, np.linalg.svd(dense, compute_uv=False)[..., :k], atol=1e-10)
    eye = torch.eye(k, dtype=torch.float64).expand(shape[0], k, k)
    torch.testing.assert_close(U.mT @ U, eye)
    torch.testing.assert_close(Vh @ Vh.mT, eye)


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.integers(1, 6), st.sampled_from([1e-3, 1.0, 30.0]))
def test_to_factors_is_the_best_approximation(shape: tuple, rank: int, scale: float) -> None:
    A, B = pair(*shape, scale=scale)
    new_A, new_B = to_factors(thin_svd(A, B), rank)
    assert new_A.shape == (shape[0], rank, shape[2])
    assert new_B.shape == (shape[0], shape[3], rank)
    U, S, Vh = np.linalg.svd((B @ A).numpy(), full_matrices=False)
    best = U[..., :rank] * S[..., None, :rank] @ Vh[..., :rank, :]
    np.testing.assert_allclose(new_B @ new_A, best, atol=1e-10 * max(1, scale))


def test_large_components_are_balanced_and_small_ones_stay_trainable() -> None:
    A, B = pair(1, 3, 7, 6, 0)
    _, S, _ = thin_svd(A, B)
    new_A, new_B = to_factors(thin_svd(A, B), 3)
    assert bool((S > FOUNDER_ROW_NORM**2).all())
    torch.testing.assert_close(new_A.norm(dim=-1), S.sqrt())
    torch.testing.assert_close(new_B.norm(dim=-2), S.sqrt())
    zero_A, zero_B = to_factors(thin_svd(A, torch.zeros_like(B)), 3)
    assert not zero_B.any()
    torch.testing.assert_close(zero_A.norm(dim=-1), torch.full((1, 3), FOUNDER_ROW_NORM).double())


def test_stack_holds_the_weighted_sum_exactly() -> None:
    pairs = [pair(2, 3, 7, 6, seed) for seed in range(3)]
    A, B = stack(pairs, (0.5, -2.0, 1.0))
    assert A.shape == (2, 9, 7)
    expected = sum(w * b @ a for w, (a, b) in zip((0.5, -2.0, 1.0), pairs, strict=True))
    torch.testing.assert_close(B @ A, expected)


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


def test_layers_of_equal_shape_are_stacked_together() -> None:
    A, B = pair(3, 2, 5, 4, 0)
    one = {"a": (A[0], B[0]), "wide": (torch.ones(2, 9), B[1]), "b": (A[2], B[2])}
    groups = layers_by_shape([one, one])
    assert [names for names, _ in groups] == [["a", "b"], ["wide"]]
    torch.testing.assert_close(groups[0][1][1][0], torch.stack([A[0], A[2]]))
    with pytest.raises(ValueError, match="different layers"):
        layers_by_shape([one, {"a": one["a"]}])
    with pytest.raises(ValueError, match="differ in shape at a"):
        layers_by_shape([one, one | {"a": one["wide"]}])
