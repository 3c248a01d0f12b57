import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from redqueen.learner.loss import policy_loss, token_weights

from .toy_bigram import VERSIONS, Bigram, batch_of, make_learner


def slow_loss(new, old, base, lengths, slots, advantages, norm, low, high, beta) -> dict:
    """Per-member losses with plain floats: {slot: loss}, and the number of clipped tokens."""
    losses: dict[int, float] = {}
    clipped = 0
    for slot in set(slots):
        own = [i for i, s in enumerate(slots) if s == slot]
        total = 0.0
        for i in own:
            costs = []
            for t in range(lengths[i]):
                q = math.exp(new[i][t] - old[i][t])
                held = min(max(q, 1 - low), 1 + high)
                surrogate = min(q * advantages[i], held * advantages[i])
                clipped += surrogate < q * advantages[i]
                d = base[i][t] - new[i][t]
                costs.append(-surrogate + beta * (math.exp(d) - d - 1))
            total += sum(costs) if norm == "token" else sum(costs) / lengths[i]
        losses[slot] = total / (sum(lengths[i] for i in own) if norm == "token" else len(own))
    return {"losses": losses, "clipped": clipped}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 7),
    st.integers(0, 10_000),
    st.sampled_from(["token", "sequence"]),
    st.sampled_from([0.0, 0.3]),
)
def test_loss_equals_a_slow_loop(count: int, seed: int, norm: str, beta: float) -> None:
    rng = np.random.default_rng(seed)
    lengths, slots = rng.integers(1, 6, count).tolist(), rng.integers(0, 3, count).tolist()
    new, old, base = rng.normal(-1, 0.4, (3, count, max(lengths)))
    advantages = rng.normal(size=count)
    advantages[rng.random(count) < 0.2] = 0.0
    expected = slow_loss(new, old, base, lengths, slots, advantages, norm, 0.2, 0.3, beta)
    mask = np.arange(max(lengths)) < np.array(lengths)[:, None]
    new_t = torch.tensor(np.where(mask, new, np.nan), requires_grad=True)
    loss = policy_loss(
        new_t,
        torch.tensor(np.where(mask, old, np.inf)),
        torch.tensor(mask),
        torch.tensor(advantages),
        torch.tensor(token_weights(slots, lengths, norm)),
        clip_low=0.2,
        clip_high=0.3,
        base_logprobs_BT=torch.tensor(np.where(mask, base, np.nan)),
        kl_coefficient=beta,
    )
    per_slot = {
        s: float(sum(x for x, o in zip(loss.sequence_loss_B, slots, strict=True) if o == s))
        for s in set(slots)
    }
    assert per_slot == pytest.approx(expected["losses"], abs=1e-12)
    assert loss.total.item() == pytest.approx(sum(expected["losses"].values()), abs=1e-12)
    assert float(loss.clipped_B.sum()) == expected["clipped"]
    gaps = np.where(mask, np.abs(new - old), 0).sum(1)
    np.testing.assert_allclose(loss.mismatch_B, gaps)
    loss.total.backward()
    assert bool(torch.isfinite(new_t.grad).all())
    assert not new_t.grad[torch.tensor(~mask)].any()


def gradient(log_ratio: float, advantage: float, **kwargs: float) -> float:
    new = torch.tensor([[log_ratio]], requires_grad=True)
    zero = torch.zeros(1, 1)
    settings_ = {"clip_low": 0.2, "clip_high": 0.2} | kwargs
    loss = policy_loss(new, zero, zero == 0, torch.tensor([advantage]), torch.ones(1), **settings_)
    loss.total.backward()
    return float(new.grad)


def test_gradient_is_the_policy_gradient_inside_the_clip_and_zero_beyond() -> None:
    assert gradient(0.0, 1.5) == pytest.approx(-1.5)
    assert gradient(0.1, -1.0) == pytest.approx(math.exp(0.1))
    assert gradient(0.3, 1.0) == 0.0
    assert gradient(-0.3, 1.0) == pytest.approx(-math.exp(-0.3))
    assert gradient(-0.3, -1.0) == 0.0
    assert gradient(0.3, 1.0, clip_high=0.5) == pytest.approx(-math.exp(0.3))
    assert math.isfinite(gradient(500.0, -1.0))


def test_kl_to_the_base_is_zero_at_the_base_and_pulls_towards_it() -> None:
    new = torch.tensor([[-1.0, -1.0]], requires_grad=True)
    loss = policy_loss(
        new,
        new.detach(),
        torch.ones(1, 2),
        torch.zeros(1),
        torch.ones(1),
        clip_low=0.2,
        clip_high=0.2,
        base_logprobs_BT=torch.tensor([[-1.0, -0.5]]),
        kl_coefficient=2.0,
    )
    loss.total.backward()
    d = 0.5
    assert float(loss.base_kl_B) == pytest.approx(math.exp(d) - d - 1)
    assert new.grad.tolist() == [[0.0, pytest.approx(2.0 * (1 - math.exp(d)), rel=1e-5)]]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 50)), min_size=1, max_size=20),
    st.sampled_from(["token", "sequence"]),
)
def test_each_members_weights_sum_to_one(rows: list, norm: str) -> None:
    slots, lengths = [s for s, _ in rows], [n for _, n in rows]
    weights = token_weights(slots, lengths, norm)
    for slot in set(slots):
        total = sum(w * n for w, (s, n) in zip(weights, rows, strict=True) if s == slot)
        assert total == pytest.approx(1.0)
    alone = [i for i, s in enumerate(slots) if s == slots[0]]
    np.testing.assert_array_equal(
        weights[alone], token_weights([slots[0]] * len(alone), [lengths[i] for i in alone], norm)
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1.0, 1.3, 5.0]))
def test_truncated_importance_weights_equal_a_slow_loop(seed: int, cap: float) -> None:
    rng = np.random.default_rng(seed)
    new, proximal, sampled = rng.normal(-1, 0.4, (3, 2, 3))
    advantages, mask = rng.normal(size=2), np.array([[True, True, True], [True, False, False]])
    loss = policy_loss(
        torch.tensor(new),
        torch.tensor(np.where(mask, sampled, np.nan)),
        torch.tensor(mask),
        torch.tensor(advantages),
        torch.tensor([0.5, 2.0]),
        clip_low=0.2,
        clip_high=0.3,
        proximal_logprobs_BT=torch.tensor(np.where(mask, proximal, np.inf)),
        importance_cap=cap,
    )
    total, weights, held = 0.0, 0.0, 0
    for row, column in np.argwhere(mask):
        q = math.exp(new[row, column] - proximal[row, column])
        weight = math.exp(proximal[row, column] - sampled[row, column])
        surrogate = min(q * advantages[row], min(max(q, 0.8), 1.3) * advantages[row])
        total -= [0.5, 2.0][row] * min(weight, cap) * surrogate
        weights += min(weight, cap)
        held += weight > cap
    assert loss.total.item() == pytest.approx(total, abs=1e-12)
    assert float(loss.importance_B.sum()) == pytest.approx(weights)
    assert float(loss.truncated_B.sum()) == held
    np.testing.assert_allclose(loss.mismatch_B, np.where(mask, abs(new - sampled), 0).sum(1))


@pytest.mark.parametrize("epochs", [1, 3])
@pytest.mark.parametrize(("cap", "weight"), [(1.2, 1.2), (9.0, 1.5)])
def test_importance_weights_scale_the_gradient_up_to_their_cap(
    epochs: int, cap: float, weight: float
) -> None:
    """An engine that says 2/3 of every probability, beside one that agrees with the learner."""
    plain, weighted = Bigram(2), Bigram(2)
    batch = batch_of(plain, [0, 1])
    low = [replace(s, logprobs=s.logprobs - s.mask * np.float32(np.log(1.5))) for s in batch]
    changes = {"epochs": epochs, "max_grad_norm": 1e6, "max_logprob_mismatch": 1.0}
    expected = make_learner(plain, **changes).update(batch, 0, VERSIONS)
    report = make_learner(weighted, **changes, importance_cap=cap).update(low, 0, VERSIONS)
    for member, update in expected.members.items():
        scaled = weight * update.grad_norm
        assert report.members[member].grad_norm == pytest.approx(scaled, rel=1e-3)
    torch.testing.assert_close(weighted.A, plain.A, rtol=1e-3, atol=1e-4)
    assert report.importance_weight == pytest.approx(weight, rel=1e-4)
    assert report.importance_truncated == (1.0 if cap < 1.5 else 0.0)
    assert report.clip_fraction == expected.clip_fraction
    assert report.metrics()["importance_weight"] == report.importance_weight
    assert "importance_weight" not in expected.metrics()


def test_a_cap_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        make_learner(Bigram(1), importance_cap=0.5)
