"""What each mutation does to the update, against dense linear algebra."""

import numpy as np
import pytest
import torch

from redqueen.evolution.factors import FOUNDER_ROW_NORM
from tests.evolution.adapters import (
    ROUTES,
    adapter,
    apply,
    assert_same_update,
    delta,
    of_rank,
    untrained,
)


@pytest.mark.parametrize("route", ROUTES)
def test_svd_scales_singular_values_log_normally(route: str) -> None:
    parent = adapter(0, [(20, 30)] * 200, rank=4)
    child = apply("svd", [parent], route=route, scale=0.1, rotation=0.0)
    logs = []
    for name in parent:
        # Without rotation the child is diagonal in the parent's bases, which keeps the pairing.
        U, S, Vh = np.linalg.svd(delta(parent, name))
        core = (U.T @ delta(child, name) @ Vh.T)[:4, :4]
        np.testing.assert_allclose(core, np.diag(np.diag(core)), atol=1e-4)
        logs += list(np.log(np.diag(core) / S[:4]))
    assert np.mean(logs) == pytest.approx(0.0, abs=0.012)
    assert np.std(logs) == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("rank", [4, 2])
def test_svd_rotation_keeps_spaces_and_singular_values(route: str, rank: int) -> None:
    parent = of_rank(adapter(2, [(20, 30)], rank=4), rank)
    child = apply("svd", [parent], route=route, scale=0.0, rotation=0.3)
    (name,) = parent
    old, new = delta(parent, name), delta(child, name)
    np.testing.assert_allclose(
        np.linalg.svd(new, compute_uv=False), np.linalg.svd(old, compute_uv=False), atol=1e-5
    )
    U, _, Vh = np.linalg.svd(old)
    U, Vh = U[:, :rank], Vh[:rank]
    np.testing.assert_allclose(U @ U.T @ new @ Vh.T @ Vh, new, atol=1e-5)
    assert np.linalg.norm(new - old) > 0.1 * np.linalg.norm(old)


@pytest.mark.parametrize("route", ROUTES)
def test_svd_keeps_singular_values_over_six_decades(route: str) -> None:
    """Components far below the largest are neither lost nor blown up."""
    g = torch.Generator().manual_seed(0)
    U, V = (torch.linalg.qr(torch.randn(n, 7, generator=g).double()).Q for n in (40, 50))
    S = torch.logspace(0, -6, 7, dtype=torch.float64)
    parent = {"layer": (V.mT.float() * 0.6, (U * S).float())}
    child = apply("svd", [parent], route=route, scale=0.0, rotation=0.1)
    values = np.linalg.svd(delta(child, "layer"))[1][:7]
    np.testing.assert_allclose(values, 0.6 * S.numpy(), rtol=1e-3, atol=2e-7)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("size", [3e-6, 3e-8])
def test_svd_does_not_turn_large_components_into_noise(route: str, size: float) -> None:
    """A component of the size of rounding errors is no direction to rotate the others to."""
    g = torch.Generator().manual_seed(1)
    U, V = (torch.linalg.qr(torch.randn(n, 3, generator=g).double()).Q for n in (40, 50))
    S = torch.tensor([1.0, 0.3, size], dtype=torch.float64)
    parent = {"layer": (V.mT.float(), (U * S).float())}
    child = apply("svd", [parent], route=route, scale=0.0, rotation=0.3)
    new = U.numpy().T @ delta(child, "layer") @ V.numpy()
    assert np.abs(new[2]).max() < 2 * size + 1e-7
    assert np.abs(new[:, 2]).max() < 2 * size + 1e-7
    assert np.abs(new[0, 1]) > 1e-3


@pytest.mark.parametrize("route", ROUTES)
def test_svd_of_untrained_parents_stays_zero_and_keeps_its_directions(route: str) -> None:
    parent = untrained(adapter(0))
    for name, (A, B) in apply("svd", [parent], route=route).items():
        assert not B.any()
        torch.testing.assert_close(A @ A.mT, FOUNDER_ROW_NORM**2 * torch.eye(3))
        onto = torch.linalg.pinv(parent[name][0]) @ parent[name][0]
        torch.testing.assert_close(A @ onto, A, atol=1e-5, rtol=0)


@pytest.mark.parametrize("route", ROUTES)
def test_component_mask_keeps_the_other_components_as_they_were(route: str) -> None:
    parent = adapter(4, [(20, 30), (30, 20)] * 100, rank=6)
    child = apply("component_mask", [parent], route=route)
    kept = 0
    for name in parent:
        U, S, Vh = np.linalg.svd(delta(parent, name), full_matrices=False)
        core = U[:, :6].T @ delta(child, name) @ Vh[:6].T
        share = np.diag(core) / S[:6]
        np.testing.assert_allclose(core, np.diag(np.diag(core)), atol=2e-5)
        np.testing.assert_allclose(share, np.round(share), atol=2e-5)
        assert set(np.round(share)) <= {0.0, 1.0}
        kept += int(np.round(share).sum())
        rest = delta(child, name) - U[:, :6] @ core @ Vh[:6]
        np.testing.assert_allclose(rest, 0, atol=2e-5)
    # 1,200 components, kept with chance 0.7: a standard deviation is 0.013
    assert kept / 1200 == pytest.approx(0.7, abs=0.05)


@pytest.mark.parametrize("route", ROUTES)
def test_masked_components_leave_their_place_to_other_directions(route: str) -> None:
    """Rows of A whose component is gone are at right angles to those that stay."""
    parent = adapter(4, [(20, 30)] * 20, rank=6)
    for A, B in apply("component_mask", [parent], route=route).values():
        gone = B.norm(dim=0) < 1e-5
        rows = torch.nn.functional.normalize(A, dim=1)
        torch.testing.assert_close(rows @ rows.mT, torch.eye(6), atol=1e-4, rtol=0)
        torch.testing.assert_close(
            A[gone].norm(dim=1), torch.full((int(gone.sum()),), FOUNDER_ROW_NORM)
        )


@pytest.mark.parametrize(
    ("name", "keys", "count"), [("layer_gaussian", {"fraction": 0.1}, 3), ("gaussian", {}, 30)]
)
def test_gaussians_touch_their_share_of_layers_at_their_size(
    name: str, keys: dict, count: int
) -> None:
    parent = adapter(0, [(64, 48)] * 30, rank=8)
    parent = {n: (a, 0.02 * b) for n, (a, b) in parent.items()}
    child = apply(name, [parent], **keys)
    changed = [n for n in parent if not torch.equal(child[n][0], parent[n][0])]
    assert len(changed) == count
    for layer in parent:
        for i in (0, 1):
            old, new = parent[layer][i], child[layer][i]
            ratio = float((new - old).square().mean().sqrt() / old.square().mean().sqrt())
            assert ratio == pytest.approx(0.1 if layer in changed else 0.0, abs=0.02)
    everywhere = apply("layer_gaussian", [parent], fraction=1.0)
    assert all(not torch.equal(everywhere[n][0], parent[n][0]) for n in parent)


@pytest.mark.parametrize(
    ("name", "keys"), [("layer_gaussian", {"fraction": 1.0}), ("gaussian", {})]
)
def test_gaussians_move_an_untrained_adapter(name: str, keys: dict) -> None:
    parent = untrained(adapter(0))
    child = apply(name, [parent], **keys)
    assert all(bool(child[n][1].any()) for n in parent)


def test_neftune_adds_uniform_noise_of_its_size_to_a_alone() -> None:
    parent = adapter(0, [(640, 48)] * 5, rank=8)
    child = apply("neftune", [parent], alpha=2.0)
    bound = 2.0 / (640 * 8) ** 0.5
    for name in parent:
        noise = (child[name][0] - parent[name][0]) / bound
        assert torch.equal(child[name][1], parent[name][1])
        assert 0.99 < float(noise.abs().max()) < 1.0 + 1e-4
        # uniform on [-1, 1]: mean 0, variance 1/3, fourth moment 1/5, each within 5 deviations
        assert float(noise.mean()) == pytest.approx(0.0, abs=0.041)
        assert float(noise.square().mean()) == pytest.approx(1 / 3, abs=0.021)
        assert float(noise.pow(4).mean()) == pytest.approx(1 / 5, abs=0.019)
        assert float(noise.norm() * bound) == pytest.approx(2.0 / 3**0.5, rel=0.03)


def test_gaussians_share_their_draws() -> None:
    """The full mutation is the layer-selective one with every layer chosen, draws aside."""
    parent = adapter(0, [(64, 48)], rank=8)
    generator = torch.Generator().manual_seed(0)
    A, B = parent["model.layers.0.proj"]
    noise_A = torch.randn(A.shape, generator=generator)
    noise_B = torch.randn(B.shape, generator=generator)
    child = apply("gaussian", [parent])
    expected = {
        "model.layers.0.proj": (
            A + 0.1 * A.square().mean().sqrt() * noise_A,
            B + 0.1 * B.square().mean().sqrt() * noise_B,
        )
    }
    assert_same_update(child, expected, atol=1e-6)
