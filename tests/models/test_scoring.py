"""Scoring: padding, order, masks."""

import pytest
import torch

from redqueen.types import Request
from tests.small_models import ARCHITECTURES

SLOTS: list[int | None] = [1, None, 0, 1, 2]
PROMPTS = [(5, 9, 11), (40,), (7, 7, 30, 31, 8, 4), (12, 3), (60, 61)]
TOKENS = [(8, 2), (20, 21, 22, 23, 24, 2), (9,), (30, 31, 32), ()]


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_rows_equal_a_plain_forward_each(make_policy, kind: str) -> None:
    policy = make_policy(kind)
    with torch.no_grad():
        scores = policy.score(SLOTS, PROMPTS, TOKENS, temperature=0.5)
        base_BT, base_mask_BT = policy.base_score(PROMPTS, TOKENS, temperature=0.5)
    assert scores.logprobs_BT.shape == (5, 6)
    assert scores.logprobs_BT.dtype == torch.float32
    assert scores.mask_BT.sum(1).tolist() == [2, 6, 1, 3, 0]
    assert torch.equal(scores.mask_BT, base_mask_BT)
    assert torch.count_nonzero(scores.logprobs_BT[~scores.mask_BT]) == 0
    for row, (slot, prompt, tokens) in enumerate(zip(SLOTS, PROMPTS, TOKENS, strict=True)):
        for routed, found_BT in ((slot, scores.logprobs_BT), (None, base_BT)):
            with torch.no_grad(), policy.router.route([routed]):
                logits = policy.base.model(torch.tensor([[*prompt, *tokens]])).logits[0]
            logprobs = (logits / 0.5).log_softmax(-1)
            for t, token in enumerate(tokens):
                expected = logprobs[len(prompt) - 1 + t]
                assert float(found_BT[row, t]) == pytest.approx(float(expected[token]), abs=1e-4)


def test_rows_may_have_temperatures_of_their_own(make_policy) -> None:
    policy = make_policy()
    own = [0.5, 1.0, 2.0, 0.7, 1.3]
    with torch.no_grad():
        found = policy.score(SLOTS, PROMPTS, TOKENS, temperature=own)[0]
        base = policy.base_score(PROMPTS, TOKENS, temperature=own)[0]
        for row, temperature in enumerate(own):
            expected = policy.score(SLOTS, PROMPTS, TOKENS, temperature=temperature)[0]
            torch.testing.assert_close(found[row], expected[row], rtol=1e-5, atol=1e-6)
            expected = policy.base_score(PROMPTS, TOKENS, temperature=temperature)[0]
            torch.testing.assert_close(base[row], expected[row], rtol=1e-5, atol=1e-6)


def test_only_completion_positions_reach_the_head(make_policy) -> None:
    policy = make_policy("gpt2")
    seen = []
    policy.base.model.lm_head.register_forward_hook(lambda m, args, out: seen.append(out.shape))
    policy.score(SLOTS, PROMPTS, TOKENS)
    assert seen == [(1, 12, 112)]


def test_gradient_reaches_adapters_only_when_wanted(make_policy) -> None:
    policy = make_policy()
    assert policy.score(SLOTS, PROMPTS, TOKENS)[0].requires_grad
    with torch.no_grad():
        assert not policy.score(SLOTS, PROMPTS, TOKENS)[0].requires_grad
    assert not policy.base_score(PROMPTS, TOKENS)[0].requires_grad


def test_base_score_is_the_untouched_base(make_policy) -> None:
    policy = make_policy()
    with torch.no_grad():
        before = policy.base_score(PROMPTS, TOKENS)[0]
        for tensor in policy.adapters.parameters().values():
            tensor.fill_(3.0)
        assert torch.equal(policy.base_score(PROMPTS, TOKENS)[0], before)
        assert torch.equal(policy.score([None] * 5, PROMPTS, TOKENS)[0], before)


def test_bad_arguments(make_policy) -> None:
    policy = make_policy()
    with pytest.raises(ValueError, match="at least one"):
        policy.score([], [], [])
    with pytest.raises(ValueError, match="as many"):
        policy.score([0], [(1,), (2,)], [(1,), (2,)])
    with pytest.raises(ValueError, match="no tokens"):
        policy.score([0], [()], [(1,)])
    with pytest.raises(ValueError, match="temperature"):
        policy.score([0], [(1,)], [(1,)], temperature=0.0)
    with pytest.raises(ValueError, match="positive, not -1"):
        policy.score([0, 0], [(1,), (1,)], [(1,), (1,)], temperature=[1.0, -1.0])
    with pytest.raises(ValueError, match="3 temperatures for 1 rows"):
        policy.score([0], [(1,)], [(1,)], temperature=[1.0, 1.0, 1.0])


def test_bfloat16_base_stays_near_its_recorded_logprobs(make_policy) -> None:
    policy = make_policy(dtype="bfloat16")
    assert all(t.dtype == torch.float32 for t in policy.adapters.parameters().values())
    rows = [Request(i % 3, f"f({i})", i) for i in range(24)]
    done = policy.generate(rows, max_new_tokens=32, temperature=1.0)
    logprobs_BT, mask_BT = policy.score(
        [c.slot for c in done], [c.prompt_ids for c in done], [c.token_ids for c in done]
    )
    recorded = torch.tensor([x for c in done for x in c.logprobs])
    assert (logprobs_BT[mask_BT] - recorded).abs().mean() < 0.1
    grads = torch.autograd.grad(logprobs_BT.sum(), list(policy.adapters.parameters().values()))
    assert all(g.dtype == torch.float32 and g.abs().max() > 0 for g in grads)
