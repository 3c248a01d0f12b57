"""Generation: exact under batching and padding, agrees with scoring, seeded row by row."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import MistralConfig, MistralForCausalLM

from redqueen.config import PolicyConfig
from redqueen.engines.generation import Sampling, draw
from redqueen.engines.policy import Policy
from redqueen.errors import ConfigError
from redqueen.types import Completion, Request
from tests.small_models import ARCHITECTURES, randomize, save_tokenizer

PROMPTS = ["f(1)", "x = 12; y = x + 1", "a", "def g(n):", "f(1)", "[1, 2, 3]", "f(1)", "z"]
SLOTS: list[int | None] = [0, 1, 2, None, 0, 2, 1, None]


def requests(seed: int = 100) -> list[Request]:
    return [
        Request(slot, prompt, seed + i)
        for i, (slot, prompt) in enumerate(zip(SLOTS, PROMPTS, strict=True))
    ]


def unbatched_greedy(policy: Policy, slot: int | None, prompt: str, count: int) -> list[tuple]:
    """The slow reference: one row, no cache, full forward for every token."""
    ids = list(policy.base.encode(prompt))
    written = []
    for _ in range(count):
        with torch.no_grad(), policy.router.route([slot]):
            logprobs = policy.base.model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        token = int(logprobs.argmax())
        written.append((token, float(logprobs[token])))
        ids.append(token)
        if token in policy.base.eos_ids:
            break
    return written


def mean_gap(policy: Policy, completions: Sequence[Completion], temperature: float) -> float:
    with torch.no_grad():
        logprobs_BT, mask_BT = policy.score(
            [c.slot for c in completions],
            [c.prompt_ids for c in completions],
            [c.token_ids for c in completions],
            temperature=temperature,
        )
    recorded = torch.tensor([x for c in completions for x in c.logprobs])
    return float((logprobs_BT[mask_BT] - recorded).abs().mean())


@pytest.mark.parametrize("kind", ARCHITECTURES)
@pytest.mark.parametrize("rows", [256, 3])
def test_greedy_rows_equal_the_unbatched_ones(make_policy, kind: str, rows: int) -> None:
    policy = make_policy(kind, generation_rows=rows)
    completions = policy.generate(requests(), max_new_tokens=20, temperature=0.0)
    for request, completion in zip(requests(), completions, strict=True):
        expected = unbatched_greedy(policy, request.slot, request.prompt, 20)
        assert completion.slot == request.slot
        assert completion.prompt_ids == policy.base.encode(request.prompt)
        assert completion.token_ids == tuple(token for token, _ in expected)
        worst = max(abs(a - b) for a, (_, b) in zip(completion.logprobs, expected, strict=True))
        assert worst <= 1e-4


@pytest.mark.parametrize("kind", ARCHITECTURES)
@pytest.mark.parametrize("temperature", [0.7, 1.0])
def test_recorded_logprobs_equal_scored_ones(make_policy, kind: str, temperature: float) -> None:
    policy = make_policy(kind)
    completions = policy.generate(requests(), max_new_tokens=40, temperature=temperature)
    assert mean_gap(policy, completions, temperature) <= 1e-4
    top = policy.generate(requests(), max_new_tokens=40, temperature=temperature, top_p=0.6)
    assert mean_gap(policy, top, temperature) <= 1e-4
    greedy = policy.generate(requests(), max_new_tokens=40, temperature=0.0)
    assert mean_gap(policy, greedy, 1.0) <= 1e-4


def test_a_stale_adapter_shows(make_policy) -> None:
    policy = make_policy()
    rows = [Request(0, prompt, i) for i, prompt in enumerate(PROMPTS)]
    completions = policy.generate(rows, max_new_tokens=40, temperature=1.0)
    policy.adapters.set(0, policy.adapters.get(1))
    assert mean_gap(policy, completions, 1.0) > 0.1


def test_same_seeds_same_text_and_neighbours_do_not_matter(make_policy) -> None:
    policy = make_policy()
    first = policy.generate(requests(), max_new_tokens=30, temperature=1.0)
    assert first == policy.generate(requests(), max_new_tokens=30, temperature=1.0)
    for request, completion in zip(requests(), first, strict=True):
        (alone,) = policy.generate([request], max_new_tokens=30, temperature=1.0)
        assert alone.token_ids == completion.token_ids
    backwards = policy.generate(requests()[::-1], max_new_tokens=30, temperature=1.0)
    assert [c.token_ids for c in backwards] == [c.token_ids for c in first][::-1]
    others = policy.generate(requests(seed=500), max_new_tokens=30, temperature=1.0)
    assert [c.token_ids for c in others] != [c.token_ids for c in first]


def test_rows_end_at_eos_or_at_the_limit(make_policy) -> None:
    policy = make_policy()
    # Sixty rows at a wide temperature end at many different steps: the batch compacts often.
    rows = [Request(i % 3, PROMPTS[i % 8], i) for i in range(60)]
    parts: list[Mapping[int, Completion]] = []
    done = policy.generate(rows, max_new_tokens=50, temperature=3.0, on_written=parts.append)
    lengths = Counter(len(c.token_ids) for c in done)
    assert len(lengths) > 5
    for completion in done:
        assert completion.finished == (completion.token_ids[-1] == 2)
        assert completion.finished or len(completion.token_ids) == 50
        assert 2 not in completion.token_ids[:-1]
        assert len(completion.logprobs) == len(completion.token_ids)
        assert "</s>" not in completion.text
        body = policy.tokenizer.decode(completion.token_ids, skip_special_tokens=True)
        assert completion.text == body
    # Who is done is handed over at once, in order of length, each text once.
    ends = [{len(text.token_ids) for text in part.values()} for part in parts]
    assert [min(own) for own in ends] == [max(own) for own in ends] == sorted(lengths)
    assert {i: text for part in parts for i, text in part.items()} == dict(enumerate(done))
    assert sum(map(len, parts)) == 60
    assert mean_gap(policy, done, 3.0) <= 1e-4


def test_generation_stops_where_the_context_ends(make_policy) -> None:
    policy = make_policy("gpt2")
    long, short = "x" * 90, "x" * 10
    rows = [Request(0, long, 1), Request(0, short, 2)]
    done = policy.generate(rows, max_new_tokens=20, temperature=0.0)
    assert len(done[0].token_ids) <= 6
    policy.base.model(torch.tensor([[*done[0].prompt_ids, *done[0].token_ids]]))
    with pytest.raises(ConfigError, match=r"96 tokens, but the base's context is 96"):
        policy.generate([Request(0, "x" * 96, 1)], max_new_tokens=1, temperature=0.0)


def test_a_row_at_the_end_of_the_context_does_not_stop_its_neighbours(make_policy) -> None:
    # GPT-2 has no position beyond its context, and one finished row of 16 stays in the batch.
    policy = make_policy("gpt2")
    rows = [Request(0, "x" * 90, 1), *(Request(0, "x" * 10, i) for i in range(2, 17))]
    policy.base = replace(policy.base, eos_ids=frozenset())
    done = policy.generate(rows, max_new_tokens=20, temperature=1.0)
    assert [len(c.token_ids) for c in done] == [6] + [20] * 15
    assert mean_gap(policy, done, 1.0) <= 1e-4


def test_sliding_window_attention_is_exact(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=112,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=8,
        initializer_range=0.3,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    MistralForCausalLM(config).save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    policy = Policy.load(
        PolicyConfig(base=str(tmp_path), rank=4, device="cpu", dtype="float32"), slots=3, seed=1
    )
    randomize(policy)
    rows = requests()
    done = policy.generate(rows, max_new_tokens=24, temperature=0.0)
    for request, completion in zip(rows, done, strict=True):
        expected = unbatched_greedy(policy, request.slot, request.prompt, 24)
        assert completion.token_ids == tuple(token for token, _ in expected)
    assert mean_gap(policy, done, 1.0) <= 1e-4


def test_no_requests_and_bad_settings(make_policy) -> None:
    policy = make_policy()
    assert policy.generate([], max_new_tokens=4, temperature=1.0) == []
    with pytest.raises(ValueError, match="no tokens"):
        policy.generate([Request(0, "", 1)], max_new_tokens=4, temperature=1.0)
    for bad in ({"max_new_tokens": 0}, {"temperature": -1.0}, {"top_p": 0.0}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            policy.generate(
                requests(), **{"max_new_tokens": 4, "temperature": 1.0, "top_p": 1.0, **bad}
            )


@settings(max_examples=60, deadline=None)
@given(
    tenths=st.lists(st.integers(-80, 80), min_size=2, max_size=12, unique=True),
    uniform=st.floats(0, 1, exclude_max=True),
    temperature=st.floats(0.2, 3),
    top_p=st.floats(0.05, 1),
)
def test_draw_inverts_the_distribution(
    tenths: list[int], uniform: float, temperature: float, top_p: float
) -> None:
    """Against a plain loop over sorted tokens, away from the cell borders."""
    logits = [value / 10 for value in tenths]
    peak = max(x / temperature for x in logits)
    weights = [math.exp(x / temperature - peak) for x in logits]
    probs = [w / sum(weights) for w in weights]
    order = list(range(len(probs)))
    kept = set(order)
    if top_p < 1:
        order.sort(key=lambda i: -logits[i])
        kept, mass = set(), 0.0
        for i in order:
            if mass < top_p:
                kept.add(i)
                mass += probs[i]
    total = sum(probs[i] for i in kept)
    below, allowed = 0.0, set()
    for i in order:
        if i in kept:
            above = below + probs[i]
            if below - 1e-5 <= uniform * total <= above + 1e-5:
                allowed.add(i)
            below = above
    token, logprob = draw(
        torch.tensor([logits]),
        torch.tensor([uniform], dtype=torch.float64),
        Sampling(1, temperature, top_p),
    )
    chosen = int(token)
    # Where top_p falls on a border within rounding, the set may differ by one token.
    if all(abs(sum(probs[j] for j in order[: n + 1]) - top_p) > 1e-5 for n in range(len(order))):
        assert chosen in allowed
    assert float(logprob) == pytest.approx(math.log(probs[chosen]), abs=1e-4)


def test_draws_follow_the_distribution() -> None:
    logits = torch.tensor([2.0, 0.0, 1.0, -1.0, -math.inf])
    count = 20_000
    uniform = torch.rand(count, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    token, _ = draw(logits.expand(count, 5), uniform, Sampling(1, 1.0))
    share = torch.bincount(token, minlength=5) / count
    assert share[4] == 0
    # Four standard errors.
    assert ((share - logits.softmax(0)).abs() <= 4 * (0.25 / count) ** 0.5).all()
    token, _ = draw(logits.expand(count, 5), uniform, Sampling(1, 1.0, top_p=0.8))
    assert set(token.tolist()) == {0, 2}


def test_the_last_uniform_never_draws_an_impossible_token() -> None:
    logits = torch.tensor([[0.0, -math.inf, 0.0, -math.inf]])
    last = torch.tensor([1.0 - 2.0**-53], dtype=torch.float64)
    token, logprob = draw(logits, last, Sampling(1, 1.0))
    assert int(token) == 2
    assert math.isfinite(float(logprob))


@pytest.mark.parametrize("kind", ARCHITECTURES)
@pytest.mark.parametrize("rows", [256, 3])
def test_rows_have_temperatures_of_their_own(make_policy, kind: str, rows: int) -> None:
    """Each row writes what it would in a call at its temperature, and is scored with it."""
    policy = make_policy(kind, generation_rows=rows)
    own = [0.5, None, 1.6, None, 0.8, 0.5, None, 1.6]
    mixed = [replace(r, temperature=t) for r, t in zip(requests(), own, strict=True)]
    completions = policy.generate(mixed, max_new_tokens=30, temperature=1.1)
    for request, completion, temperature in zip(requests(), completions, own, strict=True):
        (alone,) = policy.generate([request], max_new_tokens=30, temperature=temperature or 1.1)
        assert completion.token_ids == alone.token_ids
        assert completion.logprobs == pytest.approx(alone.logprobs, abs=1e-4)
    with torch.no_grad():
        slots = [c.slot for c in completions]
        prompts, tokens = [
            [getattr(c, n) for c in completions] for n in ("prompt_ids", "token_ids")
        ]
        found_BT, mask_BT = policy.score(
            slots, prompts, tokens, temperature=[t or 1.1 for t in own]
        )
        wrong_BT, _ = policy.score(slots, prompts, tokens, temperature=1.1)
    recorded = torch.tensor([x for c in completions for x in c.logprobs])
    assert (found_BT[mask_BT] - recorded).abs().max() <= 1e-4
    assert (wrong_BT[mask_BT] - recorded).abs().mean() > 0.05


def test_bad_temperatures_of_requests(make_policy) -> None:
    policy = make_policy()
    for own, call, message in ((0.0, 1.0, "positive"), (float("nan"), 1.0, "positive"),
                               (0.7, 0.0, "greedy")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            policy.generate([Request(0, "a", 1, own)], max_new_tokens=2, temperature=call)
