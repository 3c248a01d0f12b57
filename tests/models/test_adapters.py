"""The adapter stack: initialisation, slots, checkpoints."""

import pytest
import torch
from safetensors.torch import load, save

from redqueen.errors import ConfigError
from redqueen.models.adapters import AdapterStack, LayerShape

LAYERS = {"a.q": LayerShape(64, 32), "b": LayerShape(16, 48)}


def stack(slots: int = 3, rank: int = 4, noise: float = 0.0, seed: int = 1) -> AdapterStack:
    made = AdapterStack(LAYERS, slots=slots, rank=rank, alpha=8.0)
    made.initialize(seed, noise)
    return made


def test_shapes_and_names() -> None:
    one = stack()
    shapes = {name: tuple(t.shape) for name, t in one.parameters().items()}
    assert shapes == {
        "a.q.A": (3, 4, 64),
        "a.q.B": (3, 32, 4),
        "b.A": (3, 4, 16),
        "b.B": (3, 48, 4),
    }
    assert all(t.is_leaf and t.requires_grad for t in one.parameters().values())
    assert one.scaling == 2.0
    assert one.num_parameters == 4 * (64 + 32 + 16 + 48)


def test_founders_are_lora_initialised() -> None:
    one = AdapterStack({"x": LayerShape(256, 8)}, slots=2, rank=64, alpha=8.0)
    one.initialize(seed=1)
    a = one.A["x"].detach()
    assert a.abs().max() <= 1 / 16
    # Uniform on ±bound has standard deviation bound / sqrt(3).
    assert float(a.std()) == pytest.approx(1 / 16 / 3**0.5, rel=0.02)
    assert torch.count_nonzero(one.B["x"]) == 0
    one.initialize(seed=1, init_noise=0.5)
    assert torch.equal(one.A["x"], a)
    assert float(one.B["x"].detach().std()) == pytest.approx(0.5, rel=0.1)


def test_a_slot_is_drawn_from_its_own_seed() -> None:
    small, large = stack(slots=2, noise=0.1), stack(slots=5, noise=0.1)
    for name, tensor in small.parameters().items():
        assert torch.equal(tensor, large.parameters()[name][:2])
        assert not torch.equal(tensor[0], tensor[1])
        assert not torch.equal(tensor, stack(slots=2, noise=0.1, seed=2).parameters()[name])


def test_get_and_set_touch_one_slot_in_place() -> None:
    one = stack(noise=0.1)
    before = {name: t.detach().clone() for name, t in one.parameters().items()}
    held = one.get(0)
    one.set(2, held)
    for name, tensor in one.parameters().items():
        assert tensor.is_leaf
        assert torch.equal(tensor[2], before[name][0])
        assert torch.equal(tensor[:2], before[name][:2])
    with torch.no_grad():
        one.A["b"][0].zero_()
    assert torch.equal(held["b"].A, before["b.A"][0]), "get gives copies"
    one.set(0, held)
    assert torch.equal(one.A["b"][0], before["b.A"][0])


def test_set_writes_nothing_unless_all_fits() -> None:
    one = stack(noise=0.1)
    before = one.A["a.q"].detach().clone()
    factors = {
        name: (torch.zeros_like(f.A), torch.zeros_like(f.B)) for name, f in one.get(1).items()
    }
    bad_shape = {**factors, "b": (torch.zeros(4, 17), factors["b"][1])}
    with pytest.raises(ValueError, match=r"b: A \(4, 17\)"):
        one.set(1, bad_shape)
    with pytest.raises(ValueError, match="differ in layers: b"):
        one.set(1, {"a.q": factors["a.q"]})
    with pytest.raises(IndexError, match="slot 3"):
        one.set(3, factors)
    with pytest.raises(IndexError, match="slot -1"):
        one.get(-1)
    assert torch.equal(one.A["a.q"], before)


def test_state_dict_round_trip_through_safetensors() -> None:
    one, other = stack(noise=0.1), stack(noise=0.3, seed=9)
    leaf = other.A["b"]
    other.load_state_dict(load(save(one.state_dict())))
    assert other.A["b"] is leaf
    for name, tensor in one.parameters().items():
        assert torch.equal(tensor, other.parameters()[name])


def test_foreign_checkpoints_are_named() -> None:
    one = stack()
    with pytest.raises(ConfigError, match="rank and population"):
        one.load_state_dict(stack(slots=4).state_dict())
    state = one.state_dict()
    with pytest.raises(ConfigError, match=r"other layers \(b\.A, b\.B\)"):
        one.load_state_dict({name: state[name] for name in ("a.q.A", "a.q.B")})


def test_all_factors_lie_in_one_buffer_that_can_be_handed_over() -> None:
    """What one stack writes, a second over the same buffer reads; each tensor begins aligned."""
    layers = {f"layer{i}": LayerShape(3 + i, 5) for i in range(7)}
    one, other = (AdapterStack(layers, slots=3, rank=2, alpha=4.0) for _ in range(2))
    one.initialize(0, init_noise=0.1)
    before = other.state_dict()
    assert not any(torch.equal(before[name], kept) for name, kept in one.state_dict().items())
    other.use_buffer(one.buffer)
    for name, parameter in other.parameters().items():
        assert torch.equal(parameter, one.parameters()[name])
        assert parameter.is_leaf
        assert parameter.requires_grad
        assert (parameter.data_ptr() - one.buffer.data_ptr()) % 64 == 0
    one.reset(1, seed=9, init_noise=0.5)
    assert torch.equal(other.B["layer6"][1], one.B["layer6"][1])
    restored = load(save(other.state_dict()))
    assert all(torch.equal(restored[name], kept) for name, kept in one.state_dict().items())


def test_split_gives_every_parameter_its_part() -> None:
    stack = AdapterStack({"a": LayerShape(3, 5), "b": LayerShape(4, 2)}, slots=2, rank=2, alpha=1.0)
    parts = stack.split(torch.arange(float(stack.buffer.numel())))
    assert {n: p.shape for n, p in parts.items()} == {
        n: p.shape for n, p in stack.parameters().items()
    }
    values = torch.cat([part.flatten() for part in parts.values()])
    assert len(values.unique()) == len(values)
