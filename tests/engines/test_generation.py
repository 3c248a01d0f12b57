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

from redqueen.config.policy import PolicyConfig
from redqueen.engines.base import Sampling
from redqueen.engines.decoding import make_rows
from redqueen.engines.generation import draw
from redqueen.engines.torch import Torch, TorchEngine
from redqueen.errors import ConfigError, InfrastructureError
from redqueen.models.population_model import PopulationModel
from redqueen.types import Completion, Messages, Request, user
from tests.small_models import ARCHITECTURES, randomize, save_tokenizer

PROMPTS = ["f(1)", "x = 12; y = x + 1", "a", "def g(n):", "f(1)", "[1, 2, 3]", "f(1)", "z"]
SLOTS: list[int | None] = [0, 1, 2, None, 0, 2, 1, None]


def requests(seed: int = 100) -> list[Request]:
    return [
        Request(slot, user(prompt), seed + i)
        for i, (slot, prompt) in enumerate(zip(SLOTS, PROMPTS, strict=True))
    ]


def unbatched_greedy(
    engine: TorchEngine, slot: int | None, messages: Messages, count: int
) -> list[tuple[int, float]]:
    """The slow reference: one row, no cache, full forward for every token."""
    ids = list(engine.model.encode(messages))
    written = []
    for _ in range(count):
        with torch.no_grad(), engine.model.router.route([slot]):
            logprobs = engine.model.base.model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        token = int(logprobs.argmax())
        written.append((token, float(logprobs[token])))
        ids.append(token)
        if token in engine.model.base.eos_ids:
            break
    return written


def mean_mismatch(
    engine: TorchEngine, completions: Sequence[Completion], temperature: float
) -> float:
    with torch.no_grad():
        logprobs_BT, mask_BT = engine.model.score(
            [c.slot for c in completions],
            [c.prompt_ids for c in completions],
            [c.token_ids for c in completions],
            temperature=temperature,
        )
    recorded = torch.tensor([x for c in completions for x in c.logprobs])
    return float((logprobs_BT[mask_BT] - recorded).abs().mean())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ARCHITECTURES)
@pytest.mark.parametrize("rows", [256, 3])
def test_greedy_rows_equal_the_unbatched_ones(make_engine, kind: str, rows: int) -> None:
    engine = make_engine(kind, rows=rows)
    completions = engine.generate(requests(), Sampling(20, 0.0))
    for request, completion in zip(requests(), completions, strict=True):
        expected = unbatched_greedy(engine, request.slot, request.messages, 20)
        assert completion.slot == request.slot
        assert completion.prompt_ids == engine.model.encode(request.messages)
        assert completion.token_ids == tuple(token for token, _ in expected)
        worst = max(abs(a - b) for a, (_, b) in zip(completion.logprobs, expected, strict=True))
        assert worst <= 1e-4


@pytest.mark.parametrize("kind", ARCHITECTURES)
@pytest.mark.parametrize("temperature", [0.7, 1.0])
def test_recorded_logprobs_equal_scored_ones(make_engine, kind: str, temperature: float) -> None:
    engine = make_engine(kind)
    completions = engine.generate(requests(), Sampling(40, temperature))
    assert mean_mismatch(engine, completions, temperature) <= 1e-4
    top = engine.generate(requests(), Sampling(40, temperature, 0.6))
    assert mean_mismatch(engine, top, temperature) <= 1e-4
    greedy = engine.generate(requests(), Sampling(40, 0.0))
    assert mean_mismatch(engine, greedy, 1.0) <= 1e-4


def test_a_stale_adapter_shows(make_engine) -> None:
    engine = make_engine()
    rows = [Request(0, user(prompt), i) for i, prompt in enumerate(PROMPTS)]
    completions = engine.generate(rows, Sampling(40, 1.0))
    engine.model.adapters.set(0, engine.model.adapters.get(1))
    assert mean_mismatch(engine, completions, 1.0) > 0.1


def test_same_seeds_same_text_and_neighbours_do_not_matter(make_engine) -> None:
    engine = make_engine()
    first = engine.generate(requests(), Sampling(30, 1.0))
    assert first == engine.generate(requests(), Sampling(30, 1.0))
    for request, completion in zip(requests(), first, strict=True):
        (alone,) = engine.generate([request], Sampling(30, 1.0))
        assert alone.token_ids == completion.token_ids
    backwards = engine.generate(requests()[::-1], Sampling(30, 1.0))
    assert [c.token_ids for c in backwards] == [c.token_ids for c in first][::-1]
    others = engine.generate(requests(seed=500), Sampling(30, 1.0))
    assert [c.token_ids for c in others] != [c.token_ids for c in first]


def test_rows_end_at_eos_or_at_the_limit(make_engine) -> None:
    engine = make_engine()
    # Sixty rows at a wide temperature end at many different steps: the batch compacts often.
    rows = [Request(i % 3, user(PROMPTS[i % 8]), i) for i in range(60)]
    parts: list[Mapping[int, Completion]] = []
    done = engine.generate(rows, Sampling(50, 3.0), parts.append)
    lengths = Counter(len(c.token_ids) for c in done)
    assert len(lengths) > 5
    for completion in done:
        assert completion.finished == (completion.token_ids[-1] == 2)
        assert completion.finished or len(completion.token_ids) == 50
        assert 2 not in completion.token_ids[:-1]
        assert len(completion.logprobs) == len(completion.token_ids)
        assert "</s>" not in completion.text
        body = engine.model.tokenizer.decode([i for i in completion.token_ids if i not in (0, 2)])
        assert completion.text == body
    # Who is done is handed over at once, in order of length, each text once.
    ends = [{len(text.token_ids) for text in part.values()} for part in parts]
    assert [min(part) for part in ends] == [max(part) for part in ends] == sorted(lengths)
    assert {i: text for part in parts for i, text in part.items()} == dict(enumerate(done))
    assert sum(map(len, parts)) == 60
    assert mean_mismatch(engine, done, 3.0) <= 1e-4


def test_generation_stops_where_the_context_ends(make_engine) -> None:
    engine = make_engine("gpt2")
    long, short = "x" * 90, "x" * 10
    rows = [Request(0, user(long), 1), Request(0, user(short), 2)]
    done = engine.generate(rows, Sampling(20, 0.0))
    assert len(done[0].token_ids) <= 6
    engine.model.base.model(torch.tensor([[*done[0].prompt_ids, *done[0].token_ids]]))
    with pytest.raises(ConfigError, match=r"96 tokens, but the base's context is 96"):
        engine.generate([Request(0, user("x" * 96), 1)], Sampling(1, 0.0))


def test_a_row_at_the_end_of_the_context_does_not_stop_its_neighbours(make_engine) -> None:
    # GPT-2 has no position beyond its context, and one finished row of 16 stays in the batch.
    engine = make_engine("gpt2")
    rows = [Request(0, user("x" * 90), 1), *(Request(0, user("x" * 10), i) for i in range(2, 17))]
    engine.model.base = replace(engine.model.base, eos_ids=frozenset())
    done = engine.generate(rows, Sampling(20, 1.0))
    assert [len(c.token_ids) for c in done] == [6] + [20] * 15
    assert mean_mismatch(engine, done, 1.0) <= 1e-4


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
    model = PopulationModel.load(
        PolicyConfig(base=str(tmp_path), rank=4, device="cpu", dtype="float32"), slots=3, seed=1
    )
    randomize(model)
    engine = Torch().build(model)
    rows = requests()
    done = engine.generate(rows, Sampling(24, 0.0))
    for request, completion in zip(rows, done, strict=True):
        expected = unbatched_greedy(engine, request.slot, request.messages, 24)
        assert completion.token_ids == tuple(token for token, _ in expected)
    assert mean_mismatch(engine, done, 1.0) <= 1e-4


def test_no_requests_and_bad_settings(make_engine) -> None:
    engine = make_engine()
    assert engine.generate([], Sampling(4, 1.0)) == []
    with pytest.raises(ValueError, match="no tokens"):
        engine.generate([Request(0, user(""), 1)], Sampling(4, 1.0))
    for bad in ({"max_new_tokens": 0}, {"temperature": -1.0}, {"top_p": 0.0}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            Sampling(**{"max_new_tokens": 4, "temperature": 1.0, "top_p": 1.0, **bad})


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
def test_rows_have_temperatures_of_their_own(make_engine, kind: str, rows: int) -> None:
    """Each row writes what it would in a call at its temperature, and is scored with it."""
    engine = make_engine(kind, rows=rows)
    temperatures = [0.5, None, 1.6, None, 0.8, 0.5, None, 1.6]
    mixed = [replace(r, temperature=t) for r, t in zip(requests(), temperatures, strict=True)]
    completions = engine.generate(mixed, Sampling(30, 1.1))
    for request, completion, temperature in zip(requests(), completions, temperatures, strict=True):
        (alone,) = engine.generate([request], Sampling(30, temperature or 1.1))
        assert completion.token_ids == alone.token_ids
        assert completion.logprobs == pytest.approx(alone.logprobs, abs=1e-4)
    with torch.no_grad():
        slots = [c.slot for c in completions]
        prompts, tokens = [
            [getattr(c, n) for c in completions] for n in ("prompt_ids", "token_ids")
        ]
        found_BT, mask_BT = engine.model.score(
            slots, prompts, tokens, temperature=[t or 1.1 for t in temperatures]
        )
        wrong_BT, _ = engine.model.score(slots, prompts, tokens, temperature=1.1)
    recorded = torch.tensor([x for c in completions for x in c.logprobs])
    assert (found_BT[mask_BT] - recorded).abs().max() <= 1e-4
    assert (wrong_BT[mask_BT] - recorded).abs().mean() > 0.05


def test_bad_temperatures_of_requests(make_engine) -> None:
    engine = make_engine()
    for temperature, call, message in ((0.0, 1.0, "positive"), (float("nan"), 1.0, "positive"),
                               (0.7, 0.0, "greedy")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            engine.generate([Request(0, user("a"), 1, temperature)], Sampling(2, call))


@pytest.mark.parametrize("fitting", [1, 3])
def test_where_memory_runs_out_fewer_rows_are_written_at_a_time(
    make_model, caplog: pytest.LogCaptureFixture, fitting: int
) -> None:
    model = make_model()
    sizes: list[int] = []

    def short(base, slots, prompts, room):
        sizes.append(len(slots))
        if len(slots) > fitting:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return make_rows(base, slots, prompts, room)

    sampling = Sampling(6, 1.0)
    expected = TorchEngine(model, 256).generate(requests(), sampling)
    engine = TorchEngine(model, 256, short)
    finished: dict[int, Completion] = {}
    written = engine.generate(requests(), sampling, finished.update)
    assert [item.text for item in written] == [item.text for item in expected]
    assert finished == dict(enumerate(written))
    assert engine.rows <= fitting
    assert "memory ran out" in caplog.text
    sizes.clear()
    engine.generate(requests(), sampling)
    assert max(sizes) <= fitting  # it is not tried again


def test_a_row_that_does_not_fit_alone_is_an_error(make_model) -> None:
    def short(base, slots, prompts, room):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        TorchEngine(make_model(), 8, short).generate(requests(), Sampling(2, 1.0))


def test_completions_carry_the_version_of_the_last_sync(make_engine) -> None:
    engine = make_engine()
    adapters = engine.model.adapters
    assert {c.version for c in engine.generate(requests(), Sampling(2, 1.0))} == {0}
    engine.sync(range(3), adapters, 7)
    engine.sync([1], adapters, 8)
    done = engine.generate(requests(), Sampling(2, 1.0))
    assert [c.version for c in done] == [{0: 7, 1: 8, 2: 7, None: 0}[c.slot] for c in done]


def test_sync_takes_over_the_weights_of_another_stack(make_engine) -> None:
    engine, other = make_engine(), make_engine()
    with torch.no_grad():
        for tensor in other.model.adapters.parameters().values():
            tensor.mul_(-0.5)
    before = engine.generate(requests(), Sampling(20, 0.0))
    expected = other.generate(requests(), Sampling(20, 0.0))
    engine.sync([0, 2], other.model.adapters, 1)
    done = engine.generate(requests(), Sampling(20, 0.0))
    for slot, old, new, text in zip(SLOTS, before, expected, done, strict=True):
        assert text.token_ids == (new if slot in (0, 2) else old).token_ids
    assert [c.token_ids for c in before] != [c.token_ids for c in expected]


@pytest.mark.parametrize("top_p", [1.0, 0.9])
def test_logits_that_are_no_numbers_are_one_clear_sentence(make_engine, top_p: float) -> None:
    token, logprob = draw(
        torch.full((2, 5), math.nan), torch.tensor([0.0, 0.9]), Sampling(4, 1.0, top_p)
    )
    assert token.max() < 5
    assert logprob.isnan().all()
    engine = make_engine("qwen2")
    with torch.no_grad():
        next(iter(engine.model.adapters.B.values()))[1] = math.nan
    with pytest.raises(InfrastructureError, match="slot 1"):
        engine.generate(requests(), Sampling(4, 1.0, top_p))
