"""The two routes through small matrices, against dense linear algebra."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from redqueen.evolution import frames
from redqueen.evolution.factors import FOUNDER_ROW_NORM, ThinSVD, to_factors
from redqueen.evolution.frames import Frame, gram_frame, make_frame, qr_frame, recombine

MAKERS = {"qr": qr_frame, "gram": gram_frame}


def pairs(
    layers: int, parents: int, rank: int, inputs: int, outputs: int, seed: int, dtype=torch.float64
) -> list:
    g = torch.Generator().manual_seed(seed)
    return [
        tuple(
            (
                torch.randn(rank, inputs, generator=g, dtype=torch.float64).to(dtype),
                torch.randn(outputs, rank, generator=g, dtype=torch.float64).to(dtype),
            )
            for _ in range(parents)
        )
        for _ in range(layers)
    ]


def dense(layer: tuple, X: np.ndarray | None = None) -> np.ndarray:
    A = torch.cat([a for a, _ in layer]).double().numpy()
    B = torch.cat([b for _, b in layer], dim=-1).double().numpy()
    return B @ (np.eye(len(A)) if X is None else X) @ A


@pytest.mark.parametrize("route", MAKERS)
@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(15, 30),
    st.integers(15, 30),
    st.integers(0, 999),
)
def test_child_is_the_best_approximation(
    route: str, layers: int, parents: int, rank: int, inputs: int, outputs: int, seed: int
) -> None:
    some = pairs(layers, parents, rank, inputs, outputs, seed)
    k = rank * parents
    X = torch.randn(
        layers, k, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    children = MAKERS[route](some).child(X)
    for layer, core, (A, B) in zip(some, X.numpy(), children, strict=True):
        target = dense(layer, core)
        U, S, Vh = np.linalg.svd(target)
        best = U[:, :rank] * S[:rank] @ Vh[:rank]
        slack = (1e-12 if route == "qr" else 2e-6) * S[0]
        assert np.linalg.norm((B @ A).numpy() - target) <= np.linalg.norm(best - target) + slack


@pytest.mark.parametrize("route", MAKERS)
@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 5), st.integers(0, 999))
def test_components_are_those_of_the_dense_svd(
    route: str, layers: int, parents: int, rank: int, seed: int
) -> None:
    some = pairs(layers, parents, rank, 17, 21, seed)
    frame = MAKERS[route](some)
    for parent in range(parents):
        c = frame.components(parent)
        for i, layer in enumerate(some):
            A, B = (tensor.numpy() for tensor in layer[parent])
            S = c.S[i].numpy()
            U, Vh = B @ c.left[i].numpy() / S, c.right[i].numpy() @ A / S[:, None]
            values = np.linalg.svd(B @ A, compute_uv=False)[:rank]
            np.testing.assert_allclose(S, values, atol=1e-7 * values[0])
            np.testing.assert_allclose(U.T @ U, np.eye(rank), atol=1e-6)
            np.testing.assert_allclose(Vh @ Vh.T, np.eye(rank), atol=1e-6)
            np.testing.assert_allclose(U * S @ Vh, B @ A, atol=1e-6 * values[0])
            largest = np.abs(c.right[i].numpy()).argmax(axis=1)
            assert (c.right[i].numpy()[np.arange(rank), largest] > 0).all()


def test_components_do_not_hang_on_the_route() -> None:
    some = pairs(4, 2, 3, 17, 21, 5)
    for parent in (0, 1):
        one, other = (maker(some).components(parent) for maker in (qr_frame, gram_frame))
        torch.testing.assert_close(one.left, other.left, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(one.right, other.right, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("chunk", [1, 7, 16, 1000])
def test_chunks_do_not_change_the_gram(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(frames, "CHUNK", chunk)
    some = pairs(2, 2, 3, 16, 23, 1, torch.float32)
    frame = gram_frame(some)
    for i, layer in enumerate(some):
        A = torch.cat([a for a, _ in layer]).double()
        B = torch.cat([b for _, b in layer], dim=-1).double()
        torch.testing.assert_close(frame.R_a[i].mT @ frame.R_a[i], A @ A.mT)
        torch.testing.assert_close(frame.R_b[i].mT @ frame.R_b[i], B.mT @ B)


def test_the_gram_route_is_taken_by_long_factors_alone() -> None:
    def route(inputs: int, outputs: int, dtype=torch.float32) -> str:
        some = pairs(1, 2, 4, inputs, outputs, 0, dtype)
        return "gram" if make_frame(some).bases is None else "qr"

    assert route(4000, 96) == "gram"
    assert route(4000, 95) == "qr"
    assert route(4089, 7) == "qr"  # shorter than the stacked rank
    assert route(4088, 8) == "gram"
    assert route(4000, 96, torch.float64) == "qr"
    assert route(4000, 96, torch.bfloat16) == "gram"


def test_a_layer_without_enough_directions_goes_by_qr() -> None:
    """The rows of A span less than the rank: the rest of the child's rows come from elsewhere."""
    some = pairs(3, 1, 4, 20, 30, 2, torch.float32)
    A, B = some[1][0]
    some[1] = ((A[:1].expand(4, 20).clone(), torch.zeros_like(B)),)
    frame = gram_frame(some)
    children = frame.child(frame.identity())
    for layer, (new_A, new_B) in zip(some, children, strict=True):
        torch.testing.assert_close(
            (new_B @ new_A).double(), torch.tensor(dense(layer)), atol=1e-5, rtol=0
        )
        assert int(torch.linalg.matrix_rank(new_A)) == 4
    assert not children[1][1].any()


def test_long_factors_over_the_usual_route() -> None:
    """Rank 8 on a layer as long as those that take the Gram route in earnest."""
    some = pairs(2, 2, 8, 4200, 300, 3, torch.float32)
    parents = [{f"{i}": layer[p] for i, layer in enumerate(some)} for p in (0, 1)]
    frames_seen: list[Frame] = []

    def core(frame: Frame) -> torch.Tensor:
        frames_seen.append(frame)
        return torch.diag_embed(torch.tensor([0.7] * 8 + [0.3] * 8).double()).repeat(2, 1, 1)

    child = recombine(parents, core)
    assert [frame.bases for frame in frames_seen] == [None]
    for i, layer in enumerate(some):
        target = dense(layer, np.diag([0.7] * 8 + [0.3] * 8))
        A, B = child[f"{i}"]
        S = np.linalg.svd(target, compute_uv=False)
        distance = np.linalg.norm((B.double() @ A.double()).numpy() - target)
        assert distance <= np.linalg.norm(S[8:]) * (1 + 1e-9) + 1e-6 * S[0]


def test_large_components_are_balanced_and_small_ones_stay_trainable() -> None:
    g = torch.Generator().manual_seed(0)
    A, B = torch.randn(3, 7, generator=g).double(), torch.randn(6, 3, generator=g).double()
    U, S, Vh = torch.linalg.svd(B @ A, full_matrices=False)
    svd = ThinSVD(U[:, :3], S[:3], Vh[:3])
    new_A, new_B = to_factors(svd, 3)
    assert bool((S[:3] > FOUNDER_ROW_NORM**2).all())
    torch.testing.assert_close(new_A.norm(dim=-1), S[:3].sqrt())
    torch.testing.assert_close(new_B.norm(dim=-2), S[:3].sqrt())
    torch.testing.assert_close(new_B @ new_A, B @ A)
    zero_A, zero_B = to_factors(svd._replace(S=torch.zeros(3).double()), 3)
    assert not zero_B.any()
    torch.testing.assert_close(zero_A.norm(dim=-1), torch.full((3,), FOUNDER_ROW_NORM).double())
    wide_A, wide_B = to_factors(svd, 5)
    assert (wide_A.shape, wide_B.shape) == ((5, 7), (6, 5))
    torch.testing.assert_close(wide_B @ wide_A, B @ A)
    cut_A, cut_B = to_factors(svd, 1)
    torch.testing.assert_close(cut_B @ cut_A, S[0] * torch.outer(U[:, 0], Vh[0]))
