"""Texts that do without some tokens: which fall, and that sampling and scoring agree."""

import numpy as np
import pytest
import torch

from redqueen.engines.base import Sampling
from redqueen.engines.cpu import Cpu
from redqueen.engines.torch import Torch
from redqueen.models.suppression import dropped_tokens, opening_tokens
from redqueen.types import Request, Suppression, user
from tests.small_models import ARCHITECTURES, EMBEDDINGS

HALF = Suppression(share=0.5, seed=4, keep=("f(",))
NO_A = Suppression(opening=("ab", "b"))


def test_the_share_falls_but_special_and_kept_tokens_stay(make_model) -> None:
    base = make_model().base
    many = Suppression(share=0.3, seed=1, keep=("f(",))
    dropped_V = dropped_tokens(base, many, 50_000)
    # Four standard errors around the share.
    assert abs(dropped_V.mean() - 0.3) < 4 * (0.3 * 0.7 / 50_000) ** 0.5
    assert np.array_equal(dropped_V, dropped_tokens(base, many, 50_000))
    assert not np.array_equal(dropped_V, dropped_tokens(base, Suppression(0.3, 2), 50_000))
    all_but = dropped_tokens(base, Suppression(share=0.999999, seed=0, keep=("f(",)), EMBEDDINGS)
    kept = set(np.flatnonzero(~all_but).tolist())
    assert kept == {*base.eos_ids, *base.tokenizer.all_special_ids, *base.encode("f(")}


def test_an_opening_is_its_first_token(make_model) -> None:
    base = make_model().base
    letters = {base.encode(letter)[-1] for letter in "ab"}
    assert set(opening_tokens(base, NO_A)) == letters


def slow(model, slot, ids, tokens, suppression, temperature) -> list[float]:
    """Log-probabilities by renormalising the full distribution, token by token."""
    result = []
    with torch.no_grad(), model.router.route([slot]):
        logits = model.base.model(torch.tensor([[*ids, *tokens]])).logits[0].double()
    for place, token in enumerate(tokens):
        p = (logits[len(ids) - 1 + place] / temperature).softmax(-1).numpy()
        p[dropped_tokens(model.base, suppression, len(p))] = 0.0
        if place == 0:
            p[opening_tokens(model.base, suppression)] = 0.0
        result.append(float(np.log(p[token] / p.sum())))
    return result


@pytest.mark.slow
@pytest.mark.parametrize("kind", ARCHITECTURES)
@pytest.mark.parametrize("make", [Torch, Cpu])
def test_sampling_and_scoring_agree_with_the_slow_loop(make_model, kind: str, make: type) -> None:
    model = make_model(kind)
    engine = make(**({"workers": 1} if make is Cpu else {})).build(model)
    without = [HALF, NO_A, None, Suppression(0.2, 9, opening=("x",))]
    requests = [
        Request(slot, user("f(1)"), seed, 0.7 if seed % 2 else None, item)
        for seed, (slot, item) in enumerate(zip([0, 1, 2, None], without, strict=True))
    ]
    completions = engine.generate(requests, Sampling(12, 1.3))
    heat = [1.3, 0.7, 1.3, 0.7]
    slots, prompts = [c.slot for c in completions], [c.prompt_ids for c in completions]
    with torch.no_grad():
        scores_BT, _ = model.score(
            slots, prompts, [c.token_ids for c in completions], temperature=heat,
            suppressions=without,
        )  # fmt: skip
    for row, (completion, item) in enumerate(zip(completions, without, strict=True)):
        tokens = completion.token_ids
        expected = slow(
            model, completion.slot, completion.prompt_ids, tokens, item or Suppression(), heat[row]
        )
        assert completion.logprobs == pytest.approx(expected, abs=1e-4)
        assert scores_BT[row, : len(tokens)].tolist() == pytest.approx(expected, abs=1e-4)
        if item:
            assert not dropped_tokens(model.base, item, EMBEDDINGS)[list(tokens)].any()
            assert tokens[0] not in opening_tokens(model.base, item)


def test_gradients_pass_by_what_is_suppressed(make_model) -> None:
    model = make_model()
    logprobs, mask = model.score([0], [(5, 9)], [(40, 41)], suppressions=[Suppression(0.3, 5)])
    dropped = dropped_tokens(model.base, Suppression(0.3, 5), EMBEDDINGS)
    assert not dropped[[40, 41]].any()
    logprobs[mask].sum().backward()
    grads = [p.grad for p in model.adapters.parameters().values()]
    assert all(torch.isfinite(grad).all() for grad in grads)
    assert any(grad.abs().sum() > 0 for grad in grads)
