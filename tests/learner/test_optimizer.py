import pytest
import torch
from safetensors.torch import load, save

from redqueen.errors import ConfigError, InfrastructureError
from redqueen.learner import StackedAdamW

SETTINGS = {"betas": (0.8, 0.95), "weight_decay": 0.1, "max_grad_norm": 0.7}


def parameters(seed: int = 0, slots: int = 4) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    shapes = {"x.A": (slots, 2, 5), "x.B": (slots, 6, 2)}
    return {n: torch.randn(s, generator=g).requires_grad_() for n, s in shapes.items()}


def set_gradients(params: dict, seed: int, scale: float = 0.2) -> None:
    g = torch.Generator().manual_seed(seed)
    for p in params.values():
        p.grad = scale * torch.randn(p.shape, generator=g)


def test_every_slot_equals_an_adamw_of_its_own() -> None:
    """Slots take part in different steps with different rates; torch's AdamW is the reference."""
    params = parameters()
    stacked = StackedAdamW(params, **SETTINGS)
    alone = [[p[s].detach().clone().requires_grad_() for p in params.values()] for s in range(4)]
    reference = [
        torch.optim.AdamW(own, lr=1.0, betas=(0.8, 0.95), weight_decay=0.1) for own in alone
    ]
    rates = [0.1, 0.02, 0.3, 0.05]
    for step, slots in enumerate([[0, 1, 2, 3], [3, 1], [0], [2, 0, 1], [], [0, 1, 2, 3], [1]]):
        set_gradients(params, step, scale=0.01 if step == 3 else 0.2)
        norms = stacked.step(slots, [rates[s] for s in slots])
        for slot, norm in zip(slots, norms, strict=True):
            for own, p in zip(alone[slot], params.values(), strict=True):
                own.grad = p.grad[slot].clone()
            expected = torch.nn.utils.clip_grad_norm_(alone[slot], 0.7)
            assert norm == pytest.approx(float(expected), rel=1e-5)
            reference[slot].param_groups[0]["lr"] = rates[slot]
            reference[slot].step()
    assert stacked.steps.tolist() == [4, 5, 3, 3]
    for slot in range(4):
        for own, p in zip(alone[slot], params.values(), strict=True):
            torch.testing.assert_close(p[slot], own, rtol=1e-5, atol=1e-6)


def test_slots_left_out_keep_every_bit() -> None:
    params = parameters()
    stacked = StackedAdamW(params, **SETTINGS)
    set_gradients(params, 0)
    stacked.step([0, 1, 2, 3], [0.1] * 4)
    before = {n: t.clone() for n, t in (stacked.state_dict() | params).items()}
    set_gradients(params, 1)
    stacked.step([2], [0.1])
    for name, tensor in (stacked.state_dict() | params).items():
        assert torch.equal(tensor[[0, 1, 3]], before[name][[0, 1, 3]])
        assert not torch.equal(tensor[2], before[name][2])


def test_tensors_without_gradient_count_as_zero() -> None:
    params, twin = parameters(), parameters()
    one, other = StackedAdamW(params, **SETTINGS), StackedAdamW(twin, **SETTINGS)
    for p in (params, twin):
        set_gradients(p, 0)
    params["x.B"].grad = None
    twin["x.B"].grad = torch.zeros_like(twin["x.B"])
    assert one.step([0, 2], [0.1, 0.1]) == other.step([0, 2], [0.1, 0.1])
    assert all(torch.equal(params[n], twin[n]) for n in params)
    one.zero_grad()
    assert one.grad_norms([0, 1]) == [0.0, 0.0]


def test_reset_forgets_one_slot() -> None:
    params = parameters()
    stacked = StackedAdamW(params, **SETTINGS)
    for step in range(3):
        set_gradients(params, step)
        stacked.step([0, 1], [0.1, 0.1])
    stacked.reset_slot(1)
    for name, state in stacked.state_dict().items():
        assert bool(state[0].any()), name
        assert not state[1].any()


def test_state_survives_safetensors_and_goes_on_with_the_same_bits() -> None:
    params = parameters()
    stacked = StackedAdamW(params, **SETTINGS)
    set_gradients(params, 0)
    stacked.step([0, 3], [0.1, 0.2])
    stored = save({n: t.detach() for n, t in (stacked.state_dict() | params).items()})
    loaded = load(stored)
    twin = {n: loaded.pop(n).requires_grad_() for n in params}
    resumed = StackedAdamW(twin, **SETTINGS)
    resumed.load_state_dict(loaded)
    for p in (params, twin):
        set_gradients(p, 1)
    stacked.step([0, 1], [0.1, 0.2])
    resumed.step([0, 1], [0.1, 0.2])
    assert all(torch.equal(params[n], twin[n]) for n in params)
    with pytest.raises(ConfigError, match=r"square/x\.A"):
        resumed.load_state_dict({n: t for n, t in loaded.items() if n != "square/x.A"})
    with pytest.raises(ConfigError, match="does not fit"):
        resumed.load_state_dict(StackedAdamW(parameters(slots=3)).state_dict())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_changes_nothing(bad: float) -> None:
    params = parameters()
    stacked = StackedAdamW(params, **SETTINGS)
    set_gradients(params, 0)
    params["x.B"].grad[1, 0, 0] = bad
    before = {n: t.clone() for n, t in (stacked.state_dict() | params).items()}
    with pytest.raises(InfrastructureError, match="slot 1 is not finite"):
        stacked.step([0, 1], [0.1, 0.1])
    for name, tensor in (stacked.state_dict() | params).items():
        assert torch.equal(tensor, before[name])
    stacked.step([0, 2], [0.1, 0.1])


def test_misuse_is_refused() -> None:
    stacked = StackedAdamW(parameters())
    with pytest.raises(ValueError, match="distinct"):
        stacked.step([1, 1], [0.1, 0.1])
    with pytest.raises(ValueError, match="learning rate"):
        stacked.step([1, 2], [0.1])
    with pytest.raises(ValueError, match="first dimension"):
        StackedAdamW({"a": torch.zeros(2, 3), "b": torch.zeros(3, 3)})


def test_a_copied_slot_goes_on_as_its_source_would() -> None:
    """After the copy, equal weights and gradients take equal steps, warm-up and bias included."""
    params = parameters()
    stacked = StackedAdamW(params, **SETTINGS)
    for step in range(3):
        set_gradients(params, step)
        stacked.step([0, 1], [0.1, 0.1])
    before = {n: t.clone() for n, t in stacked.state_dict().items()}
    stacked.copy_slot(1, 3)
    for name, state in stacked.state_dict().items():
        assert torch.equal(state[3], before[name][1])
        assert torch.equal(state[:3], before[name][:3])
    with torch.no_grad():
        for p in params.values():
            p[3] = p[1]
    set_gradients(params, 9)
    for p in params.values():
        p.grad[3] = p.grad[1]
    stacked.step([1, 3], [0.1, 0.1])
    assert all(torch.equal(p[1], p[3]) for p in params.values())
