"""The engine on vLLM with vLLM, on the seedling: `make test-vllm`, in an environment of its own.

The tests marked `real` have a pretrained base and a process of their own:

    .venv-vllm/bin/python -m pytest -m real tests/engines/test_vllm.py
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import tomli_w
import torch

pytest.importorskip("vllm")

from redqueen.config import merge
from redqueen.config.policy import PolicyConfig
from redqueen.engines.base import Sampling
from redqueen.engines.torch import Torch
from redqueen.engines.vllm import Vllm, VllmEngine
from redqueen.errors import ConfigError
from redqueen.models.population_model import PopulationModel
from redqueen.models.suppression import dropped_tokens, opening_tokens
from redqueen.rng import torch_rng
from redqueen.store import RunStore
from redqueen.types import Completion, Request, Suppression, user

MEMBERS = 8
WITHIN = 1e-3
"""Nats: how far a log-probability may be from the forward pass in float32."""
REAL = Path(os.environ.get("REDQUEEN_REAL_BASE", "build/bases/qwen-coder"))
"""Made by `make base-qwen-coder`."""
LONG = "def f(a, b):\n" + "".join(f"    c{i} = a + b * {i}\n" for i in range(40)) + "    return c3"
"""More tokens than a block of vLLM's prefix cache."""


def eight_members(base: str, init_noise: float) -> Iterator[VllmEngine]:
    """Eight members with room for as many adapters in a batch, so that every place is taken."""
    config = PolicyConfig(base=base, dtype="float32", device="cpu", init_noise=init_noise, rank=8)
    model = PopulationModel.load(config, MEMBERS, seed=3)
    made = Vllm(rows=32, memory=1.0).build(model)
    yield made
    made.close()


@pytest.fixture(scope="module")
def engine() -> Iterator[VllmEngine]:
    """On the seedling."""
    yield from eight_members("seedling", 0.1)


@pytest.fixture(scope="module")
def real_engine() -> Iterator[VllmEngine]:
    """On a pretrained base, with adapters that change it but leave it a model of language."""
    if not REAL.is_dir():
        pytest.skip(f"no base in {REAL}")
    yield from eight_members(str(REAL), 0.02)


def requests(count: int, slots: Sequence[int | None], **more: Any) -> list[Request]:
    """`count` prompts, each for all slots."""
    texts = [f"def f(a):\n    return a + {i}\n\nf({i})" for i in range(count)]
    pairs = [(slot, user(text)) for text in texts for slot in slots]
    return [Request(slot, text, seed, **more) for seed, (slot, text) in enumerate(pairs)]


def worst(
    model: PopulationModel,
    texts: Sequence[Completion],
    asked: Sequence[Request],
    temperature: float,
) -> float:
    """Return the largest difference to the log-probabilities of the model's forward pass."""
    with torch.no_grad():
        scores = model.score(
            [text.slot for text in texts],
            [text.prompt_ids for text in texts],
            [text.token_ids for text in texts],
            temperature=[r.temperature or temperature for r in asked],
            suppressions=[r.suppression for r in asked],
        )
    written = torch.tensor([x for text in texts for x in text.logprobs])
    return float((scores.logprobs_BT[scores.mask_BT] - written).abs().max())


def shift(model: PopulationModel, slot: int, seed: int) -> None:
    """Change a member as many steps of learning would."""
    with torch.no_grad():
        for name, b in model.adapters.B.items():
            b[slot] = torch.randn(b[slot].shape, generator=torch_rng(seed, name)) * 0.05


EVERYBODY: list[int | None] = [*range(MEMBERS), None]


@pytest.mark.parametrize(
    ("sampling", "temperature"),
    [(Sampling(24, 0.0), 1.0), (Sampling(24, 1.0), 1.0), (Sampling(24, 0.7, 0.8), 0.7)],
    ids=["greedy", "sampled", "top-p"],
)
def test_members_and_base_in_one_batch_agree_with_the_forward_pass(
    engine: VllmEngine, sampling: Sampling, temperature: float
) -> None:
    asked = requests(3, EVERYBODY)
    texts = engine.generate(asked, sampling)
    assert worst(engine.model, texts, asked, temperature) <= WITHIN
    expected = Torch().build(engine.model).generate(asked, sampling)
    equal = [a.token_ids == b.token_ids for a, b in zip(texts, expected, strict=True)]
    assert sum(equal) >= len(equal) - 1, "drawn by other rules"
    others = [replace(t, slot=0 if t.slot is None else (t.slot + 1) % MEMBERS) for t in texts]
    assert worst(engine.model, others, asked, temperature) > 100 * WITHIN, "members are alike"


def test_a_changed_adapter_is_used_from_the_next_call_on(engine: VllmEngine) -> None:
    asked = requests(4, [2, 5, None])
    shift(engine.model, 2, seed=1)
    stale = engine.generate(asked, Sampling(24, 1.0))
    assert worst(engine.model, stale, asked, 1.0) > 100 * WITHIN, "the change does not show"
    engine.sync(range(MEMBERS), engine.model.adapters, 1)
    texts = engine.generate(asked, Sampling(24, 1.0))
    assert worst(engine.model, texts, asked, 1.0) <= WITHIN
    assert {text.version for text in texts if text.slot is not None} == {1}


@pytest.mark.real
def test_members_of_a_pretrained_base_agree_before_and_after_a_change(
    real_engine: VllmEngine,
) -> None:
    asked, sampling = requests(1, EVERYBODY), Sampling(16, 1.0)
    model = real_engine.model
    assert worst(model, real_engine.generate(asked, sampling), asked, 1.0) <= WITHIN
    model.adapters.set(2, {name: (a, b * 4) for name, (a, b) in model.adapters.get(2).items()})
    stale = real_engine.generate(asked, sampling)
    assert worst(model, stale, asked, 1.0) > 10 * WITHIN, "the change does not show"
    real_engine.sync(range(MEMBERS), model.adapters, 1)
    assert worst(model, real_engine.generate(asked, sampling), asked, 1.0) <= WITHIN


def test_no_block_of_the_prefix_cache_outlives_its_adapter(engine: VllmEngine) -> None:
    model, asked = engine.model, [Request(slot, user(LONG), 1) for slot in (4, 6, 4)]
    assert len(model.encode(asked[0].messages)) > 2 * 128
    before = model.adapters.get(4)
    # The last time the weights are those of the first: blocks may be used again, and are right.
    for seed in (11, 12, None):
        if seed is None:
            model.adapters.set(4, before)
        else:
            shift(model, 4, seed)
        engine.sync([4], model.adapters, 2)
        for _ in range(2):
            texts = engine.generate(asked, Sampling(8, 1.0))
            assert worst(model, texts, asked, 1.0) <= WITHIN


def test_requests_have_temperatures_and_forbidden_tokens(engine: VllmEngine) -> None:
    opening = ("def", "f", "0", "1", "<")
    rules = [Suppression(0.4, seed=5), Suppression(0.2, 6, ("1",), opening), None]
    asked = [
        Request(slot, user("def f(a):\n    return a\n\nf(1)"), seed, temperature, rule)
        for seed, (slot, temperature, rule) in enumerate(
            (slot, temperature, rule)
            for slot in (0, 7, None) for temperature in (0.5, 1.6) for rule in rules
        )
    ]  # fmt: skip
    texts = engine.generate(asked, Sampling(24, 1.0))
    assert worst(engine.model, texts, asked, 1.0) <= WITHIN
    base = engine.model.base
    for request, text in zip(asked, texts, strict=True):
        if request.suppression is not None:
            dropped_V = dropped_tokens(base, request.suppression, base.embeddings)
            assert not dropped_V[list(text.token_ids)].any()
            assert text.token_ids[0] not in opening_tokens(base, request.suppression)
    with pytest.raises(ValueError, match="greedy"):
        engine.generate(asked, Sampling(4, 0.0))


def test_texts_end_where_they_should(engine: VllmEngine) -> None:
    base = engine.model.base
    heard: list[int] = []
    asked = requests(12, [1, None])
    texts = engine.generate(asked, Sampling(300, 1.0), lambda done: heard.extend(done))
    assert sorted(heard) == list(range(len(asked)))
    assert heard != sorted(heard), "nothing came early"
    ended = [text for text in texts if text.finished]
    assert ended
    for text in ended:
        assert text.token_ids[-1] in base.eos_ids
        assert not base.eos_ids & set(text.token_ids[:-1])
    assert base.context is not None
    # As far as the context goes, and no further.
    asked = [Request(0, user("x = 1\n" * 220), 0)]
    room = base.context - len(engine.model.encode(asked[0].messages))
    assert 0 < room < 300
    [text] = engine.generate(asked, Sampling(base.context, 1.0))
    assert text.finished or len(text.token_ids) == room
    with pytest.raises(ConfigError, match="context"):
        engine.generate([Request(0, user("x = 1\n" * 600), 0)], Sampling(4, 1.0))


def test_a_call_that_was_left_early_does_not_disturb_the_next(engine: VllmEngine) -> None:
    def leave(done: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.generate(requests(4, EVERYBODY), Sampling(64, 1.0), leave)
    asked = requests(2, EVERYBODY)
    texts = engine.generate(asked, Sampling(8, 1.0))
    assert len(texts) == len(asked)
    assert worst(engine.model, texts, asked, 1.0) <= WITHIN


def test_layers_that_vllm_cannot_adapt_are_named(engine: VllmEngine) -> None:
    assert engine.server.refused(list(engine.model.adapters.layers)) == []
    others = ["model.layers.0.mlp.router", "model.layers.1.mlp.router", "model.vision.proj_in"]
    assert engine.server.refused(others) == ["proj_in", "router"]


Train = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def train(tiny_values: dict[str, Any], tmp_path: Path) -> Train:
    """Run `redqueen train` by itself, in float32, with fewer adapters in a batch than members."""

    def run(
        type_: str, keys: Mapping[str, Any] = MappingProxyType({}), **learner: object
    ) -> subprocess.CompletedProcess[str]:
        settings = {
            **keys,
            "engine": {"type": type_, "rows": 32, "memory": 1.0, "max_loras": 2},
            "learner": {"importance_cap": 2.0, "max_logprob_mismatch": 1e-3, **learner},
            "eval": {"enabled": False},
        }
        file = tmp_path / "run.toml"
        file.write_text(tomli_w.dumps(merge(tiny_values, settings)), encoding="utf-8")
        return subprocess.run(
            [sys.executable, "-m", "redqueen.cli", "train", str(file), "--out", tmp_path / "run"],
            capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"},
        )  # fmt: skip

    return run


def test_two_steps_of_a_run(train: Train, tmp_path: Path) -> None:
    done = train("vllm")
    assert done.returncode == 0, done.stderr[-2000:]
    with RunStore.open(tmp_path / "run", read_only=True) as store:
        weights = dict(store.load_metrics("importance_weight"))
        mismatches = dict(store.load_metrics("logprob_mismatch"))
    assert weights == pytest.approx({1: 1.0, 2: 1.0}, abs=1e-4)
    assert all(0.0 < value < 1e-4 for value in mismatches.values())


def test_texts_are_written_while_others_learn(train: Train, tmp_path: Path) -> None:
    keys = {"steps": 3, "checkpoint_every": 3, "rollout": {"overlap": True},
            "evolution": {"enabled": False}}  # fmt: skip
    done = train("vllm", keys, max_logprob_mismatch=0.05)
    assert done.returncode == 0, done.stderr[-2000:]
    with RunStore.open(tmp_path / "run", read_only=True) as store:
        rows = store.rows("SELECT DISTINCT step, version FROM proposals ORDER BY 1")
        beside = {time.phase for time in store.load_phases(2, background=True)}
    assert [tuple(row) for row in rows] == [(1, 0), (2, 0), (3, 1)]
    assert beside >= {"propose", "solve"}


def test_a_stale_adapter_stops_the_run_within_one_step(train: Train, tmp_path: Path) -> None:
    done = train("tests.engines.stale_vllm:Stale", learning_rate=0.02, warmup_steps=0)
    assert done.returncode != 0
    assert "stale or missing adapter" in done.stderr
    with RunStore.open(tmp_path / "run", read_only=True) as store:
        assert [step for step, _ in store.load_metrics("loss")] == [1]
