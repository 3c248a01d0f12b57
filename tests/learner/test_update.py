import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from redqueen.errors import InfrastructureError
from redqueen.learner.advantages.reinforce_pp import ReinforcePlusPlus
from redqueen.learner.batching import deal_minibatches
from redqueen.types import Role, Sample

from .toy_bigram import VERSIONS, Bigram, batch_of, make_batch, make_learner, make_sample


def reference_gradients(policy: Bigram, batch: list[Sample], slot: int) -> list[torch.Tensor]:
    """-sum over tokens of A log p / tokens, one sequence at a time: the on-policy gradient."""
    advantages = ReinforcePlusPlus().advantages(batch, {})
    tokens = sum(t.mask.sum() for t in batch if t.slot == slot)
    total = torch.zeros(())
    for t, a in zip(batch, advantages, strict=True):
        if t.slot == slot:
            logprobs, _ = policy.score([slot], [t.ids[:1]], [t.ids[1:]], temperature=1.0)
            total = total - float(a) * logprobs.sum() / tokens
    grads = torch.autograd.grad(total, [policy.A, policy.B])
    return [g[slot] for g in grads]


@pytest.mark.parametrize("tokens", [6, 17, 10_000])
def test_one_update_is_adamw_on_the_policy_gradient(tokens: int) -> None:
    policy = Bigram(3, tokens)
    batch = batch_of(policy, [0, 2])
    expected = []
    for slot in (0, 2):
        leaves = [p[slot].detach().clone().requires_grad_() for p in (policy.A, policy.B)]
        for p, g in zip(leaves, reference_gradients(policy, batch, slot), strict=True):
            p.grad = g
        norm = float(torch.nn.utils.clip_grad_norm_(leaves, 1.0))
        torch.optim.AdamW(leaves, lr=0.05, betas=(0.9, 0.99), weight_decay=0.0).step()
        expected.append((slot, leaves, norm))
    idle = policy.A[1].detach().clone()
    report = make_learner(policy).update(batch, 0, VERSIONS)
    for slot, leaves, norm in expected:
        torch.testing.assert_close(
            policy.A[slot].detach(), leaves[0].detach(), rtol=1e-4, atol=1e-5
        )
        torch.testing.assert_close(
            policy.B[slot].detach(), leaves[1].detach(), rtol=1e-4, atol=1e-5
        )
        assert report.members[100 + slot].grad_norm == pytest.approx(norm, rel=1e-4)
    assert torch.equal(policy.A[1].detach(), idle)
    assert report.logprob_mismatch < 1e-6
    assert report.clip_fraction == 0.0
    assert report.optimizer_steps == 1
    assert report.sequences == len(batch)
    assert report.tokens == sum(t.mask.sum() for t in batch)
    drawn = [x for t in batch for x in t.logprobs[t.mask]]
    assert report.entropy == pytest.approx(-np.mean(drawn))
    rewards = [t.reward for t in batch if t.slot == 2]
    assert report.members[102].reward == pytest.approx(np.mean(rewards))
    assert report.metrics()["member/102/reward"] == report.members[102].reward


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"epochs": 2, "minibatches": 3},
        {"loss_norm": "sequence"},
        {"kl_coefficient": 0.1},
        {"advantage": "grpo"},
    ],
    ids=str,
)
def test_a_members_update_does_not_depend_on_the_others(changes: dict) -> None:
    alone, together = Bigram(3), Bigram(3)
    mine = batch_of(alone, [1])
    others = batch_of(together, [0, 2], count=40, seed=5)
    make_learner(alone, **changes).update(mine, 4, VERSIONS)
    make_learner(together, **changes).update([*others[:50], *mine, *others[50:]], 4, VERSIONS)
    for p, q in ((alone.A, together.A), (alone.B, together.B)):
        torch.testing.assert_close(p[1], q[1], rtol=1e-4, atol=1e-5)
        assert not torch.equal(q[0], p[0])


def test_equal_input_gives_equal_bits() -> None:
    policies = Bigram(2), Bigram(2)
    for policy in policies:
        learner = make_learner(policy, epochs=2, minibatches=2, kl_coefficient=0.05)
        for step in range(2):
            learner.update(batch_of(policy, [0, 1], seed=step), step, VERSIONS)
    assert torch.equal(policies[0].A, policies[1].A)
    assert torch.equal(policies[0].B, policies[1].B)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_every_member_learns_its_bandit(temperature: float) -> None:
    policy = Bigram(4)
    learner = make_learner(policy, temperature=temperature)

    def expected_reward(slot: int) -> float:
        """Exact for completions of one token after the prompt token 0."""
        p = torch.softmax(policy.logits(slot, 0).detach() / temperature, -1)
        return float((p[0::2].sum() * 1.0) - 0.5 * p[1::2].sum())

    before = [expected_reward(s) for s in range(4)]
    for step in range(40):
        batch = [t for slot in (0, 3) for t in make_batch(policy, slot, 24, 10 + step, temperature)]
        report = learner.update(batch, step, VERSIONS)
        assert report.logprob_mismatch < 1e-5
    after = [expected_reward(s) for s in range(4)]
    assert all(after[s] > before[s] + 0.25 for s in (0, 3))
    assert all(after[s] > 0.85 for s in (0, 3))
    assert after[2] == before[2]


def test_a_stale_adapter_stops_the_update_before_any_weight_changes() -> None:
    policy = Bigram(2)
    batch = batch_of(policy, [0, 1], count=60)
    with torch.no_grad():
        policy.B[1] += torch.randn(policy.B[1].shape, generator=torch.Generator().manual_seed(1))
    before = policy.A.detach().clone(), policy.B.detach().clone()
    learner = make_learner(policy)
    with pytest.raises(InfrastructureError, match=r"member 101: .*stale or missing adapter"):
        learner.update(batch, 0, VERSIONS)
    assert torch.equal(policy.A, before[0])
    assert torch.equal(policy.B, before[1])
    assert not learner.optimizer.steps.any()
    assert policy.A.grad is None


def test_a_member_that_only_a_later_minibatch_changes_is_checked_before_the_first() -> None:
    policy = Bigram(2)
    batch = batch_of(policy, [0, 1], count=8)
    members = [sample.member for sample in batch]
    learner = make_learner(policy, advantage="grpo", minibatches=2)
    first, _ = deal_minibatches(members, 2, learner.seed, 0, 0)
    batch = [
        replace(s, group=f"alone {i}") if s.slot == 1 and i in first
        else replace(s, group=f"of {s.slot}", reward=float(i % 3 == 0))
        for i, s in enumerate(batch)
    ]  # fmt: skip
    with torch.no_grad():
        policy.B[1] += torch.randn(policy.B[1].shape, generator=torch.Generator().manual_seed(1))
    before = policy.B.detach().clone()
    with pytest.raises(InfrastructureError, match=r"member 101: .*stale or missing adapter"):
        learner.update(batch, 0, VERSIONS)
    assert torch.equal(policy.B, before)


def test_another_temperature_or_nan_is_noticed_too() -> None:
    policy = Bigram(1)
    with pytest.raises(InfrastructureError, match="temperature"):
        make_learner(policy, temperature=2.0).update(make_batch(policy, 0, 24, 0), 0, VERSIONS)
    batch = make_batch(policy, 0, 24, 0)
    with torch.no_grad():
        policy.B[0, 3] = float("nan")
    with pytest.raises(InfrastructureError, match="differ by nan"):
        make_learner(policy).update(batch, 0, VERSIONS)


def test_the_mismatch_is_checked_even_when_there_is_nothing_to_learn() -> None:
    policy = Bigram(2)
    batch = [replace(t, reward=1.0) for t in batch_of(policy, [0, 1], count=20)]
    before = policy.B.detach().clone()
    report = make_learner(policy, weight_decay=0.1).update(batch, 0, VERSIONS)
    assert (report.trained_sequences, report.checked) == (0, 0.25)
    assert report.members[100].grad_norm == report.members[100].learning_rate == 0.0
    assert torch.equal(policy.B, before)
    shifted = [replace(t, logprobs=t.logprobs - 1) for t in batch]
    with pytest.raises(InfrastructureError):
        make_learner(policy).update(shifted, 0, VERSIONS)


def test_a_share_of_every_member_that_changes_is_checked() -> None:
    """One live sequence of twenty is not enough; a member that does not change is left alone."""
    policy = Bigram(2)
    one, other = (make_batch(policy, slot, 20, slot) for slot in (0, 1))
    batch = [replace(t, kind="all", reward=float(t is one[0])) for t in one]
    batch = [replace(t, kind="live" if t.reward else "idle") for t in batch]
    batch[1] = replace(batch[1], kind="live")
    report = make_learner(policy).update(
        [*batch, *(replace(t, reward=1.0) for t in other)], 0, VERSIONS
    )
    assert (report.trained_sequences, report.checked) == (2, 5 / 40)
    stale = [replace(t, logprobs=t.logprobs - 1) for t in batch[2:5]]
    with pytest.raises(InfrastructureError, match="member 100"):
        make_learner(policy).update([*batch[:2], *stale, *batch[5:]], 0, VERSIONS)


@pytest.mark.parametrize("norm", ["token", "sequence"])
def test_skipped_sequences_count_in_the_normaliser(norm: str) -> None:
    """As many sequences of zero advantage again must halve a step that is not clipped."""
    policy = Bigram(1)
    live = [replace(t, kind="live") for t in make_batch(policy, 0, 12, 3)]
    idle = [replace(t, kind="idle", reward=0.0) for t in live]
    gradients = []
    for batch in (live, live + idle):
        learner = make_learner(policy, learning_rate=1e-12, loss_norm=norm)
        report = learner.update(batch, 0, VERSIONS)
        gradients.append(report.members[100].grad_norm)
        assert report.trained_sequences == 12
    assert gradients[1] == pytest.approx(gradients[0] / 2, rel=1e-4)


def test_reused_batches_are_clipped_and_reported() -> None:
    policy = Bigram(2)
    report = make_learner(policy, epochs=6, learning_rate=0.2).update(
        batch_of(policy, [0, 1]), 0, VERSIONS
    )
    assert report.optimizer_steps == 6
    assert 0.0 < report.clip_fraction < 1.0
    assert report.approx_kl > 0.0
    assert report.logprob_mismatch < 1e-6


def test_kl_keeps_the_policy_near_the_base() -> None:
    distances = []
    for coefficient in (0.0, 5.0):
        policy = Bigram(1)
        learner = make_learner(policy, kl_coefficient=coefficient, learning_rate=0.02)
        for step in range(15):
            learner.update(make_batch(policy, 0, 24, step), step, VERSIONS)
        distances.append((policy.B[0] @ policy.A[0]).norm().item())
    assert distances[1] < 0.5 * distances[0]


def test_warmup_is_each_slots_own() -> None:
    policy = Bigram(2)
    learner = make_learner(policy, warmup_steps=3, epochs=2)
    rates: dict[int, list[float]] = {100: [], 101: []}
    for step in range(6):
        if step == 4:
            learner.optimizer.reset_slot(1)
        report = learner.update(
            batch_of(policy, [0, 1] if step else [0], seed=step), step, VERSIONS
        )
        for id_, member in report.members.items():
            rates[id_].append(member.learning_rate / 0.05)
    assert rates[100] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 1.0])
    assert rates[101] == pytest.approx([0.25, 0.5, 0.75, 0.25, 0.5])


def test_the_rate_falls_on_a_line_to_its_last_share() -> None:
    policy = Bigram(1)
    learner = make_learner(policy, learning_rate_end=0.2)
    learner.steps = 5
    rates = [
        learner.update(batch_of(policy, [0], seed=step), step, VERSIONS).members[100].learning_rate
        / 0.05
        for step in range(1, 8)
    ]
    assert rates == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2, 0.2, 0.2])


def test_an_empty_step_and_bad_samples() -> None:
    policy = Bigram(1)
    learner = make_learner(policy)
    report = learner.update([], 0, VERSIONS)
    assert (report.sequences, report.optimizer_steps, report.members) == (0, 0, {})
    assert all(np.isfinite(list(report.metrics().values())))
    (t,) = make_batch(policy, 0, 1, 0)
    for bad in (
        replace(t, mask=np.zeros_like(t.mask)),
        replace(t, mask=np.ones_like(t.mask)),
        replace(t, logprobs=t.logprobs[1:]),
    ):
        with pytest.raises(ValueError, match="a sample needs a prompt"):
            learner.update([bad], 0, VERSIONS)


def test_a_sample_of_another_version_stops_the_update_and_names_the_member() -> None:
    policy = Bigram(2)
    before = policy.B.detach().clone()
    batch = batch_of(policy, [0, 1])
    stale = [*batch[:-1], replace(batch[-1], version=3)]
    learner = make_learner(policy)
    for samples, versions in ((stale, VERSIONS), (batch, {0: 0, 1: 4}), (batch, {0: 0})):
        with pytest.raises(InfrastructureError, match=r"member 101: .* written by version \d"):
            learner.update(samples, 0, versions)
    assert torch.equal(policy.B, before)
    foreign = [*batch[:-1], replace(batch[-1], version=3, origin="elsewhere")]
    assert learner.update(foreign, 0, VERSIONS).sequences == len(batch)


def test_of_foreign_texts_the_positive_advantages_may_count_alone() -> None:
    policy = Bigram(1)
    batch = batch_of(policy, [0])
    advantages = ReinforcePlusPlus().advantages(batch, {})
    worse = {i for i, advantage in enumerate(advantages) if advantage < 0}
    assert 2 < len(worse) < len(batch) - 2
    foreign = {i for i in range(len(batch)) if i % 2}
    mixed = [
        replace(sample, origin="elsewhere") if i in foreign else sample
        for i, sample in enumerate(batch)
    ]
    learner = make_learner(policy, foreign_advantages="positive")
    report = learner.update(mixed, 0, VERSIONS)
    assert report.trained_sequences == len(batch) - len(worse & foreign)
    assert make_learner(Bigram(1)).update(mixed, 0, VERSIONS).trained_sequences == len(batch)


@pytest.mark.parametrize("norm", ["token", "sequence"])
@pytest.mark.parametrize("kl", [0.0, 0.3])
def test_tokens_that_were_not_sampled_have_no_part_in_the_update(norm: str, kl: float) -> None:
    """A conversation [0] 4 5 | 2 | 3 6 | 1 whose second and last turns are not the member's: the
    gradient is that of its own four tokens, each given all that stands before it."""
    policy = Bigram(1)
    ids = (0, 4, 5, 2, 3, 6, 1)
    sampled = (1, 2, 4, 5)
    rows = [
        torch.log_softmax(policy.logits(0, ids[i - 1]), -1)[ids[i]] if i in sampled else None
        for i in range(7)
    ]
    whole = make_sample(
        ids[1:], [9.0] * 6, reward=1.0, slot=0, member=100, role=Role.STUDENT, environment="toy",
        kind="kind0", group="g", version=0,
    )  # fmt: skip
    conversation = replace(
        whole,
        mask=np.array([i in sampled for i in range(7)]),
        logprobs=np.array([9.0 if r is None else r.item() for r in rows], dtype=np.float32),
    )
    other = replace(make_batch(policy, 0, 1, 0)[0], group="g", kind="kind0", reward=0.0)
    tokens = {"token": 4 + other.mask.sum(), "sequence": 2 * 4}[norm]
    others = {"token": tokens, "sequence": 2 * other.mask.sum()}[norm]
    a = 0.5 / (np.std([1.0, 0.0], ddof=1) + 1e-6)
    other_rows, _ = policy.score([0], [other.ids[:1]], [other.ids[1:]], temperature=1.0)
    loss = -a * sum(r for r in rows if r is not None) / tokens + a * other_rows.sum() / others
    base = [torch.log_softmax(policy.logits(None, ids[i - 1]), -1)[ids[i]] for i in sampled]
    for weight, pairs in (
        (tokens, zip(base, [rows[i] for i in sampled], strict=True)),
        (others, zip(policy.base_score([other.ids[:1]], [other.ids[1:]], temperature=1.0)[0][0],
                     other_rows[0], strict=True)),
    ):  # fmt: skip
        loss = loss + kl * sum((b - p).expm1() - (b - p) for b, p in pairs) / weight
    gradients = torch.autograd.grad(loss, [policy.A, policy.B])
    expected = float(torch.sqrt(sum(g.square().sum() for g in gradients)))
    learner = make_learner(policy, loss_norm=norm, kl_coefficient=kl)
    report = learner.update([conversation, other], 0, VERSIONS)
    assert report.members[100].grad_norm == pytest.approx(expected, rel=1e-4)
    assert report.tokens == 4 + other.mask.sum()
    assert report.logprob_mismatch < 1e-6


def test_each_role_has_its_own_scheme_and_memory_which_survives_a_checkpoint() -> None:
    def learner_of(policy: Bigram):
        schemes = {"student": {"advantage": "grpo"}, "teacher": {"advantage": "rae"}}
        return make_learner(policy, **schemes)

    policies = Bigram(2), Bigram(2)
    learners = [learner_of(policy) for policy in policies]
    for step in range(3):
        if step == 2:
            learners[1] = learner_of(policies[1])
            learners[1].optimizer.load_state_dict(learners[0].optimizer.state_dict())
            learners[1].restore(json.loads(json.dumps(learners[0].state())))
        for policy, learner in zip(policies, learners, strict=True):
            batch = make_batch(policy, 0, 8, step)
            teachers = [replace(t, role=Role.TEACHER) for t in make_batch(policy, 1, 3, step)]
            report = learner.update([*batch, *teachers], step, VERSIONS)
            assert report.members[101].advantage > 0.0
        if step < 2:
            learners[1].optimizer.load_state_dict(learners[0].optimizer.state_dict())
    assert learners[0].state() == learners[1].state()
    assert set(learners[0].state()["teacher"]["baselines"]) == {"toy/kind0", "toy/kind1"}
    assert learners[0].state()["student"] == {}
    assert torch.equal(policies[0].B, policies[1].B)


def test_an_update_that_fails_leaves_the_memory_as_it_was() -> None:
    policy = Bigram(1)
    learner = make_learner(policy, advantage="rae")
    batch = make_batch(policy, 0, 8, 0)
    learner.update(batch, 0, VERSIONS)
    before = learner.state()
    with pytest.raises(InfrastructureError):
        learner.update([replace(t, logprobs=t.logprobs - 1) for t in batch], 1, VERSIONS)
    assert learner.state() == before


def test_a_members_own_rate_multiplies_the_scheduled_one() -> None:
    """A factor of 1.5 is a run at 1.5 times the learning rate, for that slot alone."""
    plain, fast, mixed = Bigram(2), Bigram(2), Bigram(2)
    batch = batch_of(plain, [0, 1])
    make_learner(plain).update(batch, 0, VERSIONS)
    make_learner(fast, learning_rate=0.075).update(batch, 0, VERSIONS)
    report = make_learner(mixed).update(batch, 0, VERSIONS, {1: 1.5})
    rates = [report.members[100 + slot].learning_rate for slot in (0, 1)]
    assert rates == pytest.approx([0.05, 0.075])
    for both, slow, quick in ((mixed.A, plain.A, fast.A), (mixed.B, plain.B, fast.B)):
        assert torch.equal(both[0], slow[0])
        torch.testing.assert_close(both[1], quick[1])
        assert not torch.equal(both[1], slow[1])


@pytest.mark.parametrize("kl", [0.0, 0.1])
def test_members_sampled_at_their_own_temperature_are_scored_at_it(kl: float) -> None:
    alone, together = Bigram(2), Bigram(2)
    hot = [replace(t, temperature=1.7) for t in make_batch(alone, 1, 24, 3, temperature=1.7)]
    cool = make_batch(together, 0, 24, 3, temperature=0.6)
    make_learner(alone, temperature=1.7, kl_coefficient=kl).update(hot, 0, VERSIONS)
    report = make_learner(together, temperature=0.6, kl_coefficient=kl).update(
        [*cool, *hot], 0, VERSIONS
    )
    assert report.logprob_mismatch < 1e-6
    torch.testing.assert_close(together.A[1], alone.A[1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together.B[1], alone.B[1], rtol=1e-4, atol=1e-5)
    forgotten = [replace(t, temperature=None) for t in hot]
    with pytest.raises(InfrastructureError, match=r"member 101: .*another temperature"):
        make_learner(Bigram(2), temperature=0.6).update([*cool, *forgotten], 0, VERSIONS)


def test_the_share_without_an_advantage_is_reported() -> None:
    policy = Bigram(1)
    live = [replace(t, kind="live") for t in make_batch(policy, 0, 12, 3)]
    idle = [replace(t, kind="idle", reward=0.0) for t in live[:4]]
    report = make_learner(policy).update([*live, *idle], 0, VERSIONS)
    assert report.metrics()["zero_advantages"] == 0.25
    assert make_learner(policy).update([], 0, VERSIONS).zero_advantages == 1.0
