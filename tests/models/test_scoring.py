"""Scoring: padding, order, masks."""

from dataclasses import replace

import pytest
import torch

from redqueen.engines.base import Sampling
from redqueen.engines.torch import Torch
from redqueen.types import Request, user
from tests.small_models import ARCHITECTURES

SLOTS: list[int | None] = [1, None, 0, 1, 2]
PROMPTS = [(5, 9, 11), (40,), (7, 7, 30, 31, 8, 4), (12, 3), (60, 61)]
TOKENS = [(8, 2), (20, 21, 22, 23, 24, 2), (9,), (30, 31, 32), ()]


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_rows_equal_a_plain_forward_each(make_model, kind: str) -> None:
    model = make_model(kind)
    with torch.no_grad():
        scores = model.score(SLOTS, PROMPTS, TOKENS, temperature=0.5)
        base_BT, base_mask_BT = model.base_score(PROMPTS, TOKENS, temperature=0.5)
    assert scores.logprobs_BT.shape == (5, 6)
    assert scores.logprobs_BT.dtype == torch.float32
    assert scores.mask_BT.sum(1).tolist() == [2, 6, 1, 3, 0]
    assert torch.equal(scores.mask_BT, base_mask_BT)
    assert torch.count_nonzero(scores.logprobs_BT[~scores.mask_BT]) == 0
    for row, (slot, prompt, tokens) in enumerate(zip(SLOTS, PROMPTS, TOKENS, strict=True)):
        for routed, found_BT in ((slot, scores.logprobs_BT), (None, base_BT)):
            with torch.no_grad(), model.router.route([routed]):
                logits = model.base.model(torch.tensor([[*prompt, *tokens]])).logits[0]
            logprobs = (logits / 0.5).log_softmax(-1)
            for t, token in enumerate(tokens):
                expected = logprobs[len(prompt) - 1 + t]
                assert float(found_BT[row, t]) == pytest.approx(float(expected[token]), abs=1e-4)


def test_rows_may_have_temperatures_of_their_own(make_model) -> None:
    model = make_model()
    temperatures = [0.5, 1.0, 2.0, 0.7, 1.3]
    with torch.no_grad():
        found = model.score(SLOTS, PROMPTS, TOKENS, temperature=temperatures)[0]
        base = model.base_score(PROMPTS, TOKENS, temperature=temperatures)[0]
        for row, temperature in enumerate(temperatures):
            expected = model.score(SLOTS, PROMPTS, TOKENS, temperature=temperature)[0]
            torch.testing.assert_close(found[row], expected[row], rtol=1e-5, atol=1e-6)
            expected = model.base_score(PROMPTS, TOKENS, temperature=temperature)[0]
            torch.testing.assert_close(base[row], expected[row], rtol=1e-5, atol=1e-6)


def test_the_head_of_the_library_makes_no_logits_but_one_row(make_model) -> None:
    model = make_model("gpt2")
    seen = []
    model.base.model.lm_head.register_forward_hook(lambda m, args, out: seen.append(out.shape))
    model.score(SLOTS, PROMPTS, TOKENS)
    assert seen == [(1, 1, 112)]


@pytest.mark.parametrize("kind", ARCHITECTURES)
@pytest.mark.parametrize("packed", [True, False])
def test_layers_computed_again_give_the_same_gradients(make_model, kind: str, packed: bool) -> None:
    gradients = []
    for checkpointing in (False, True):
        model = make_model(kind, gradient_checkpointing=checkpointing)
        if not packed:
            model.base = replace(model.base, packed=None)
        logprobs_BT = model.score(SLOTS, PROMPTS, TOKENS).logprobs_BT
        logprobs_BT.sum().backward()
        slopes = (parameter.grad for parameter in model.adapters.parameters().values())
        gradients.append([logprobs_BT.detach(), *slopes])
    for plain, again in zip(*gradients, strict=True):
        torch.testing.assert_close(again, plain, rtol=1e-5, atol=1e-6)


def test_gradient_reaches_adapters_only_when_wanted(make_model) -> None:
    model = make_model()
    assert model.score(SLOTS, PROMPTS, TOKENS)[0].requires_grad
    with torch.no_grad():
        assert not model.score(SLOTS, PROMPTS, TOKENS)[0].requires_grad
    assert not model.base_score(PROMPTS, TOKENS)[0].requires_grad


def test_base_score_is_the_untouched_base(make_model) -> None:
    model = make_model()
    with torch.no_grad():
        before = model.base_score(PROMPTS, TOKENS)[0]
        for tensor in model.adapters.parameters().values():
            tensor.fill_(3.0)
        assert torch.equal(model.base_score(PROMPTS, TOKENS)[0], before)
        assert torch.equal(model.score([None] * 5, PROMPTS, TOKENS)[0], before)


def test_bad_arguments(make_model) -> None:
    model = make_model()
    with pytest.raises(ValueError, match="at least one"):
        model.score([], [], [])
    with pytest.raises(ValueError, match="as many"):
        model.score([0], [(1,), (2,)], [(1,), (2,)])
    with pytest.raises(ValueError, match="no tokens"):
        model.score([0], [()], [(1,)])
    with pytest.raises(ValueError, match="temperature"):
        model.score([0], [(1,)], [(1,)], temperature=0.0)
    with pytest.raises(ValueError, match="positive, not -1"):
        model.score([0, 0], [(1,), (1,)], [(1,), (1,)], temperature=[1.0, -1.0])
    with pytest.raises(ValueError, match="3 temperatures for 1 rows"):
        model.score([0], [(1,)], [(1,)], temperature=[1.0, 1.0, 1.0])


def test_bfloat16_base_stays_near_its_recorded_logprobs(make_model) -> None:
    model = make_model(dtype="bfloat16")
    assert all(t.dtype == torch.float32 for t in model.adapters.parameters().values())
    rows = [Request(i % 3, user(f"f({i})"), i) for i in range(24)]
    done = Torch().build(model).generate(rows, Sampling(32, 1.0))
    logprobs_BT, mask_BT = model.score(
        [c.slot for c in done], [c.prompt_ids for c in done], [c.token_ids for c in done]
    )
    recorded = torch.tensor([x for c in done for x in c.logprobs])
    assert (logprobs_BT[mask_BT] - recorded).abs().mean() < 0.1
    grads = torch.autograd.grad(logprobs_BT.sum(), list(model.adapters.parameters().values()))
    assert all(g.dtype == torch.float32 and g.abs().max() > 0 for g in grads)
