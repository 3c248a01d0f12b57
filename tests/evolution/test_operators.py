"""What holds for every operator."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evolution.adapters import (
    CROSSOVERS,
    MUTATIONS,
    OPERATORS,
    ROUTES,
    adapter,
    apply,
    assert_same_update,
    of_rank,
    untrained,
)

LAYERS = st.lists(st.tuples(st.integers(1, 24), st.integers(1, 24)), min_size=1, max_size=5)
NO_DRAWS = ("average", "svd_subspace")
SIZE_ZERO = {
    "svd": {"scale": 0.0, "rotation": 0.0},
    "layer_gaussian": {"scale": 0.0},
    "gaussian": {"scale": 0.0},
    "component_mask": {"drop": 0.0},
    "neftune": {"alpha": 0.0},
}


def degraded(parent: dict, how: str, rank: int) -> dict:
    if how == "untrained":
        return untrained(parent)
    if how == "deficient":
        return of_rank(parent, rank // 2)
    if how == "repeated":  # the rows of A span less than r directions
        return {n: (a[:1].expand_as(a).clone(), b) for n, (a, b) in parent.items()}
    if how == "zero":
        return {n: (torch.zeros_like(a), torch.zeros_like(b)) for n, (a, b) in parent.items()}
    return parent


@pytest.mark.parametrize("name", OPERATORS)
@settings(max_examples=40, deadline=None)
@given(
    LAYERS,
    st.integers(1, 6),
    st.integers(0, 99),
    st.sampled_from(["trained", "untrained", "deficient", "repeated", "zero"]),
    st.booleans(),
    st.sampled_from([torch.float32, torch.bfloat16, torch.float64]),
    st.sampled_from(ROUTES),
)
def test_form_never_changes_and_parents_are_left_alone(
    name: str, shapes: list, rank: int, seed: int, how: str, twins: bool, dtype, route: str
) -> None:
    parents = [adapter(seed + i * (not twins), shapes, rank, dtype) for i in range(2)]
    parents = [degraded(parent, how, rank) for parent in parents]
    before = [{n: (a.clone(), b.clone()) for n, (a, b) in p.items()} for p in parents]
    child = apply(name, parents, seed=seed, route=route)
    assert list(child) == list(parents[0])
    for layer, (A, B) in parents[0].items():
        for new, old in zip(child[layer], (A, B), strict=True):
            assert (new.shape, new.dtype, new.device) == (old.shape, old.dtype, old.device)
            assert bool(torch.isfinite(new).all())
    for parent, old in zip(parents, before, strict=True):
        for layer in old:
            assert torch.equal(parent[layer][0], old[layer][0])
            assert torch.equal(parent[layer][1], old[layer][1])
    for layer in child:
        for tensor in child[layer]:
            tensor.zero_()  # a child must not share memory with a parent
        assert torch.equal(parents[0][layer][0], before[0][layer][0])
        assert torch.equal(parents[1][layer][0], before[1][layer][0])


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", OPERATORS)
def test_operators_repeat_from_the_generator(name: str, route: str) -> None:
    parents = [adapter(0), adapter(1)]
    one, same, other = (apply(name, parents, seed=s, route=route) for s in (1, 1, 2))
    assert all(torch.equal(one[n][i], same[n][i]) for n in one for i in (0, 1))
    differs = any(not torch.equal(one[n][i], other[n][i]) for n in one for i in (0, 1))
    assert differs == (name not in NO_DRAWS)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", MUTATIONS)
@settings(max_examples=15, deadline=None)
@given(LAYERS, st.integers(1, 6), st.integers(0, 99), st.sampled_from(["trained", "deficient"]))
def test_mutations_of_size_zero_give_the_parents_update(
    name: str, route: str, shapes: list, rank: int, seed: int, how: str
) -> None:
    parent = degraded(adapter(seed, shapes, rank), how, rank)
    assert_same_update(apply(name, [parent], seed, route, **SIZE_ZERO[name]), parent)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", [n for n in CROSSOVERS if n != "dare"])
@settings(max_examples=15, deadline=None)
@given(LAYERS, st.integers(1, 6), st.integers(0, 99), st.sampled_from(["trained", "deficient"]))
def test_the_child_of_equal_parents_is_that_parent(
    name: str, route: str, shapes: list, rank: int, seed: int, how: str
) -> None:
    parent = degraded(adapter(seed, shapes, rank), how, rank)
    assert_same_update(apply(name, [parent, parent], seed=seed, route=route), parent)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("how", ["untrained", "deficient", "repeated", "zero"])
@pytest.mark.parametrize("name", OPERATORS)
def test_children_can_learn(name: str, how: str, route: str) -> None:
    """Every layer has a gradient, and B's reaches as many directions as A has rows with one."""
    if how == "zero" and name in ("layer_gaussian", "gaussian", "layerwise"):
        pytest.skip("a dead layer stays as it is: copied, or with noise relative to nothing")
    parents = [degraded(adapter(i), how, 3) for i in range(2)]
    for A, B in apply(name, parents, route=route).values():
        A, B = A.requires_grad_(), B.requires_grad_()
        x, target = torch.randn(7, A.shape[1]), torch.randn(7, B.shape[0])
        loss = (x @ A.mT @ B.mT - target).square().sum()
        grad_A, grad_B = torch.autograd.grad(loss, (A, B))
        assert bool((grad_A.norm(dim=1) + grad_B.norm(dim=0) > 1e-3).all())


@pytest.mark.parametrize("name", OPERATORS)
def test_both_routes_make_the_same_child(name: str) -> None:
    parents = [adapter(0, [(20, 30)] * 4, rank=4), adapter(1, [(20, 30)] * 4, rank=4)]
    by_qr, by_gram = (apply(name, parents, seed=5, route=route) for route in ROUTES)
    assert_same_update(by_qr, by_gram, atol=3e-6)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", OPERATORS)
def test_bfloat16_factors_are_worked_on_in_full(name: str, route: str) -> None:
    """The child is the full precision child, rounded once."""
    parents = [adapter(i, dtype=torch.bfloat16) for i in range(2)]
    full = [{n: (a.float(), b.float()) for n, (a, b) in p.items()} for p in parents]
    rounded, exact = (apply(name, p, seed=3, route=route) for p in (parents, full))
    for layer in exact:
        for low, high in zip(rounded[layer], exact[layer], strict=True):
            torch.testing.assert_close(low, high.bfloat16(), rtol=0.008, atol=1e-3)


@pytest.mark.parametrize("name", CROSSOVERS)
def test_parents_that_do_not_fit_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="shape"):
        apply(name, [adapter(0, rank=2), adapter(0, rank=3)])
    with pytest.raises(ValueError, match="different layers"):
        apply(name, [adapter(0), adapter(0, [(10, 12)])])
