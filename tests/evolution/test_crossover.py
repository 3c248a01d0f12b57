"""What each crossover makes of two updates, against dense linear algebra."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evolution.adapters import (
    ROUTES,
    adapter,
    apply,
    assert_same_update,
    delta,
    of_rank,
    truncated,
)


@pytest.mark.parametrize("route", ROUTES)
@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 30), st.integers(1, 30), st.integers(1, 6), st.integers(0, 99), st.floats(-3, 1)
)
def test_average_is_the_best_approximation_of_the_mean_update(
    route: str, inputs: int, outputs: int, rank: int, seed: int, size: float
) -> None:
    one, two = (adapter(seed + i, [(inputs, outputs)], rank) for i in range(2))
    two = {n: (a, 10**size * b) for n, (a, b) in two.items()}
    child = apply("average", [one, two], route=route)
    for name in one:
        mean = (delta(one, name) + delta(two, name)) / 2
        best = np.linalg.norm(truncated(mean, rank) - mean)
        # The distance is compared, as near ties leave more than one best approximation.
        distance = np.linalg.norm(delta(child, name) - mean)
        assert distance <= best + 1e-6 * np.linalg.norm(mean)


def test_average_is_not_the_product_of_averaged_factors() -> None:
    one, two = adapter(0), adapter(1)
    child = apply("average", [one, two])
    for name in one:
        best = truncated((delta(one, name) + delta(two, name)) / 2, 3)
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


@pytest.mark.parametrize("route", ROUTES)
def test_dare_without_drops_is_the_average(route: str) -> None:
    parents = [adapter(0), adapter(1)]
    child = apply("dare", parents, route=route, drop=0.0)
    assert_same_update(child, apply("average", parents, route=route), atol=1e-6)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("drop", [0.3, 0.5])
def test_dare_is_unbiased_with_the_variance_of_dropped_entries(route: str, drop: float) -> None:
    """Over 4,000 layers alike, of parents whose components all fit into the child's rank.

    A parent's treated update lies p / (1 - p) |P|^2 from it on average, for dropped entries and
    for dropped components alike; the mean of two has a quarter of the sum.
    """
    layers, p = 4000, drop
    one, two = (of_rank(adapter(i, [(10, 12)], rank=6), 3) for i in range(2))
    (name,) = one
    parents = [{f"{i}": parent[name] for i in range(layers)} for parent in (one, two)]
    child = apply("dare", parents, seed=7, route=route, drop=drop)
    A = torch.stack([child[f"{i}"][0] for i in range(layers)]).double()
    B = torch.stack([child[f"{i}"][1] for i in range(layers)]).double()
    updates = (B @ A).numpy()
    P = [delta(parent, name) for parent in (one, two)]
    target = (P[0] + P[1]) / 2
    spread = updates.std(axis=0) / layers**0.5
    # 120 entries, of a normal deviate: one beyond 4.5 deviations in 1,200 such tests
    assert np.abs(updates.mean(axis=0) - target).max() < 4.5 * spread.max()
    assert (np.abs(updates.mean(axis=0) - target) < 4.5 * spread + 1e-6).all()
    distance = np.square(updates - target).sum(axis=(1, 2)).mean()
    expected = p / (1 - p) * sum(np.square(parent).sum() for parent in P) / 4
    assert distance == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("route", ROUTES)
def test_dare_is_the_best_approximation_of_what_is_left(route: str) -> None:
    """Each child is one of the 2^6 possible sums of kept components, cut to rank 3."""
    one, two = adapter(0, [(10, 12)] * 10), adapter(1, [(10, 12)] * 10)
    child = apply("dare", [one, two], route=route)
    for name in one:
        pieces = []
        for parent in (one, two):
            U, S, Vh = np.linalg.svd(delta(parent, name), full_matrices=False)
            pieces += [S[j] * np.outer(U[:, j], Vh[j]) for j in range(3)]
        masks = [[m >> j & 1 for j in range(6)] for m in range(64)]
        sums = [sum(k * piece for k, piece in zip(m, pieces, strict=True)) for m in masks]
        errors = [
            np.abs(truncated(total + 0.0 * pieces[0], 3) - delta(child, name)).max()
            for total in sums
        ]  # 1 / (2 (1 - p)) = 1
        assert min(errors) < 1e-5


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(("share", "lead"), [(0.0, 0), (0.5, 2), (0.6, 2), (0.7, 3), (1.0, 4)])
def test_svd_subspace_joins_leading_and_trailing_components(
    route: str, share: float, lead: int
) -> None:
    one, two = (adapter(i, [(20, 30)] * 3, rank=4) for i in range(2))
    child = apply("svd_subspace", [one, two], route=route, share=share)
    for name in one:
        trailing = delta(two, name) - truncated(delta(two, name), lead)
        expected = truncated(delta(one, name), lead) + trailing
        np.testing.assert_allclose(delta(child, name), expected, atol=1e-5)


@pytest.mark.parametrize("route", ROUTES)
def test_extrapolation_goes_from_the_worse_through_the_better(route: str) -> None:
    better, worse = adapter(0, rank=6), adapter(1, rank=6)
    better, worse = of_rank(better, 3), of_rank(worse, 3)  # so that nothing is cut off
    factors = []
    for seed in range(60):
        child = apply("extrapolation", [better, worse], seed=seed, route=route)
        of_layers = set()
        for name in better:
            step = delta(better, name) - delta(worse, name)
            moved = delta(child, name) - delta(worse, name)
            f = float((moved * step).sum() / (step * step).sum())
            np.testing.assert_allclose(moved, f * step, atol=2e-5)
            of_layers.add(round(f, 4))
        assert len(of_layers) == 1
        factors += of_layers
    assert 1.0 <= min(factors) < 1.05
    assert 1.45 < max(factors) <= 1.5
    assert np.mean(factors) == pytest.approx(1.25, abs=0.075)


def test_extrapolation_of_reach_one_is_the_better_parent() -> None:
    child = apply("extrapolation", [adapter(0), adapter(1)], reach=1.0)
    assert_same_update(child, adapter(0))
