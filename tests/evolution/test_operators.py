import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from redqueen.config import EvolutionConfig
from redqueen.evolution import CROSSOVERS, MUTATIONS
from redqueen.evolution.factors import FOUNDER_ROW_NORM

CONFIG = EvolutionConfig()
NAMES = [*MUTATIONS, *CROSSOVERS]
SHAPES = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=5)


def adapter(seed: int, shapes=((10, 12), (12, 10), (10, 12)), rank=3, dtype=torch.float32):
    g = torch.Generator().manual_seed(seed)
    return {
        f"model.layers.{i}.proj": (
            torch.randn(rank, n, generator=g).to(dtype) / n**0.5,
            torch.randn(m, rank, generator=g).to(dtype),
        )
        for i, (n, m) in enumerate(shapes)
    }


def apply(name: str, parents: list, config: EvolutionConfig = CONFIG, seed: int = 0) -> dict:
    operator = (MUTATIONS | CROSSOVERS)[name]
    parents = parents[:1] if name in MUTATIONS else parents
    return operator(parents, config, torch.Generator().manual_seed(seed))


def delta(adapter: dict, name: str) -> np.ndarray:
    A, B = adapter[name]
    return (B.double() @ A.double()).numpy()


def assert_same_update(one: dict, other: dict, atol: float = 2e-5) -> None:
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(delta(one, name), delta(other, name), atol=atol)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(SHAPES, st.integers(1, 6), st.integers(0, 99), st.booleans())
def test_form_never_changes_and_parents_are_left_alone(
    name: str, shapes: list, rank: int, seed: int, zero: bool
) -> None:
    parents = [adapter(seed + i, shapes, rank) for i in range(2)]
    if zero:
        parents[0] = {n: (a, torch.zeros_like(b)) for n, (a, b) in parents[0].items()}
    before = [{n: (a.clone(), b.clone()) for n, (a, b) in p.items()} for p in parents]
    child = apply(name, parents, seed=seed)
    assert list(child) == list(parents[0])
    for layer, (A, B) in parents[0].items():
        new_A, new_B = child[layer]
        assert (new_A.shape, new_A.dtype) == (A.shape, A.dtype)
        assert (new_B.shape, new_B.dtype) == (B.shape, B.dtype)
        assert bool(torch.isfinite(new_A).all())
        assert bool(torch.isfinite(new_B).all())
    for parent, old in zip(parents, before, strict=True):
        for layer in old:
            assert torch.equal(parent[layer][0], old[layer][0])
            assert torch.equal(parent[layer][1], old[layer][1])
    for tensor in child[layer]:
        tensor.zero_()  # a child must not share memory with a parent
    assert torch.equal(parents[0][layer][0], before[0][layer][0])
    assert torch.equal(parents[1][layer][0], before[1][layer][0])


@pytest.mark.parametrize("name", NAMES)
def test_operators_repeat_from_the_generator(name: str) -> None:
    parents = [adapter(0), adapter(1)]
    one, same, other = (apply(name, parents, seed=s) for s in (1, 1, 2))
    assert all(torch.equal(one[n][i], same[n][i]) for n in one for i in (0, 1))
    if name != "average":
        assert any(not torch.equal(one[n][i], other[n][i]) for n in one for i in (0, 1))


@pytest.mark.parametrize("name", CROSSOVERS)
def test_the_child_of_equal_parents_is_that_parent(name: str) -> None:
    assert_same_update(apply(name, [adapter(3), adapter(3)]), adapter(3))


def test_svd_of_size_zero_gives_the_parents_update() -> None:
    config = EvolutionConfig(svd_scale=0.0, svd_rotation=0.0)
    assert_same_update(apply("svd", [adapter(1)], config), adapter(1))


def test_svd_scales_singular_values_log_normally() -> None:
    config = EvolutionConfig(svd_scale=0.1, svd_rotation=0.0)
    parent = adapter(0, [(20, 30)] * 200, rank=4)
    child = apply("svd", [parent], config)
    logs = []
    for name in parent:
        # Without rotation the child is diagonal in the parent's bases, which keeps the pairing.
        U, S, Vh = np.linalg.svd(delta(parent, name))
        core = (U.T @ delta(child, name) @ Vh.T)[:4, :4]
        np.testing.assert_allclose(core, np.diag(np.diag(core)), atol=1e-4)
        logs += list(np.log(np.diag(core) / S[:4]))
    assert np.mean(logs) == pytest.approx(0.0, abs=0.012)
    assert np.std(logs) == pytest.approx(0.1, abs=0.01)


def test_svd_rotation_keeps_spaces_and_singular_values() -> None:
    config = EvolutionConfig(svd_scale=0.0, svd_rotation=0.3)
    parent = adapter(2, [(20, 30)], rank=4)
    child = apply("svd", [parent], config)
    (name,) = parent
    old, new = delta(parent, name), delta(child, name)
    np.testing.assert_allclose(
        np.linalg.svd(new, compute_uv=False), np.linalg.svd(old, compute_uv=False), atol=1e-5
    )
    U, _, Vh = np.linalg.svd(old)
    np.testing.assert_allclose(U[:, :4] @ U[:, :4].T @ new @ Vh[:4].T @ Vh[:4], new, atol=1e-5)
    assert np.linalg.norm(new - old) > 0.1 * np.linalg.norm(old)


@pytest.mark.parametrize("name", ["svd", "average"])
def test_children_of_untrained_parents_can_still_learn(name: str) -> None:
    parents = [{n: (a, torch.zeros_like(b)) for n, (a, b) in adapter(i).items()} for i in (0, 1)]
    for A, B in apply(name, parents).values():
        assert not B.any()
        torch.testing.assert_close(A.norm(dim=1), torch.full((3,), FOUNDER_ROW_NORM))


def test_gaussian_touches_its_share_of_layers_at_its_size() -> None:
    parent = adapter(0, [(64, 48)] * 30, rank=8)
    parent = {n: (a, 0.02 * b) for n, (a, b) in parent.items()}
    child = apply("layer_gaussian", [parent], EvolutionConfig(layer_fraction=0.1))
    changed = [n for n in parent if not torch.equal(child[n][0], parent[n][0])]
    assert len(changed) == 3
    for name in parent:
        for i in (0, 1):
            old, new = parent[name][i], child[name][i]
            ratio = float((new - old).square().mean().sqrt() / old.square().mean().sqrt())
            assert ratio == pytest.approx(0.1 if name in changed else 0.0, abs=0.02)
    everywhere = apply("layer_gaussian", [parent], EvolutionConfig(layer_fraction=1.0))
    assert all(not torch.equal(everywhere[n][0], parent[n][0]) for n in parent)


def test_gaussian_moves_an_untrained_adapter() -> None:
    parent = {n: (a, torch.zeros_like(b)) for n, (a, b) in adapter(0).items()}
    child = apply("layer_gaussian", [parent], EvolutionConfig(layer_fraction=1.0))
    assert all(bool(child[n][1].any()) for n in parent)


def test_average_is_the_best_approximation_of_the_mean_update() -> None:
    one, two = adapter(0), adapter(1)
    child = apply("average", [one, two])
    for name in one:
        U, S, Vh = np.linalg.svd((delta(one, name) + delta(two, name)) / 2)
        best = U[:, :3] * S[:3] @ Vh[:3]
        np.testing.assert_allclose(delta(child, name), best, atol=1e-5)
        naive = (one[name][1] + two[name][1]) / 2 @ (one[name][0] + two[name][0]) / 2
        assert np.abs(naive.numpy() - best).max() > 0.05


def test_layerwise_takes_each_layer_whole() -> None:
    one, two = adapter(0, [(10, 12)] * 40), adapter(1, [(10, 12)] * 40)
    child = apply("layerwise", [one, two])
    origins = []
    for name in one:
        origins.append([all(map(torch.equal, child[name], p[name])) for p in (one, two)])
        assert sum(origins[-1]) == 1
    assert 8 <= sum(first for first, _ in origins) <= 32


@pytest.mark.parametrize("name", CROSSOVERS)
def test_parents_that_do_not_fit_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="shape"):
        apply(name, [adapter(0, rank=2), adapter(0, rank=3)])
