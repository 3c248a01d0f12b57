"""The engine on vLLM without vLLM: a server in plain torch stands in, and reads the same files."""

import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from redqueen import registry
from redqueen.config.policy import PolicyConfig
from redqueen.engines.base import Sampling
from redqueen.engines.generation import Draws
from redqueen.engines.torch import Torch
from redqueen.engines.vllm import Vllm, VllmEngine
from redqueen.engines.vllm.engine import Job, Written, try_engine
from redqueen.engines.vllm.files import AdapterFile, AdapterFiles, round_rank
from redqueen.errors import ConfigError
from redqueen.models.population_model import PopulationModel
from redqueen.types import Request, Suppression, user
from tests.small_models import in_peft, randomize


class SlowServer:
    """Writes one text at a time with the adapters of its files, without a cache."""

    def __init__(self, model: PopulationModel) -> None:
        """`model` is the server's copy of the base, with room for one adapter."""
        self.model = model
        self.device = torch.device("cpu")
        self.loaded: dict[int, AdapterFile] = {}
        self.names: list[str] = []
        self.adapters: set[str | None] = set()
        """Of the last call."""
        self.closed = False
        self.reads = True
        """Whether it uses the adapters."""

    def load(self, adapter: AdapterFile) -> None:
        assert adapter.id not in self.loaded
        assert (adapter.path / "adapter_model.safetensors").exists()
        self.loaded[adapter.id] = adapter
        self.names.append(adapter.name)

    def drop(self, adapter: AdapterFile) -> None:
        del self.loaded[adapter.id]

    def write(self, jobs: Sequence[Job], draws: Draws) -> Iterator[Written]:
        self.adapters = {job.adapter.name if job.adapter else None for job in jobs}
        for job in reversed(jobs):
            if job.adapter is not None and self.reads:
                self.model.import_adapter(0, self.loaded[job.adapter.id].path)
            ids, logprobs = list(job.prompt_ids), []
            for step in range(job.limit):
                with torch.no_grad(), self.model.router.route([0 if job.adapter else None]):
                    logits = self.model.base.model(torch.tensor([ids])).logits[:, -1]
                token, logprob = draws(logits, torch.tensor([job.number]), torch.tensor([step]))
                ids.append(int(token))
                logprobs.append(float(logprob))
                if int(token) in self.model.base.eos_ids:
                    break
            yield Written(job.number, tuple(ids[len(job.prompt_ids) :]), tuple(logprobs))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def parts(model_dirs: dict[str, Path]) -> tuple[VllmEngine, SlowServer]:
    config = PolicyConfig(base=str(model_dirs["llama"]), device="cpu", dtype="float32", rank=3)
    model = PopulationModel.load(config, slots=3, seed=0)
    randomize(model)
    server = SlowServer(PopulationModel.load(config, slots=1, seed=1))
    return VllmEngine(model, server), server


REQUESTS = [
    Request(slot, user(text), seed, temperature, suppression)
    for seed, (slot, text, temperature, suppression) in enumerate(
        [
            (0, "f(1)", None, None),
            (None, "f(1)", 0.5, None),
            (2, "x = 12", 1.7, Suppression(share=0.5, seed=3)),
            (1, "a", None, Suppression(opening=("a", "b"))),
            (0, "f(1)", 0.5, None),
        ]
    )
]


@pytest.mark.parametrize("top_p", [1.0, 0.7])
def test_texts_are_those_of_the_torch_engine(parts, top_p: float) -> None:
    engine, _ = parts
    heard: dict[int, object] = {}
    sampling = Sampling(12, 1.0, top_p)
    texts = engine.generate(REQUESTS, sampling, heard.update)
    expected = Torch().build(engine.model).generate(REQUESTS, sampling)
    assert heard == dict(enumerate(texts))
    for text, other in zip(texts, expected, strict=True):
        assert text.token_ids == other.token_ids
        assert text.logprobs == pytest.approx(other.logprobs, abs=1e-4)
        assert (text.slot, text.prompt_ids, text.text, text.finished) == (
            other.slot, other.prompt_ids, other.text, other.finished,
        )  # fmt: skip
    assert engine.generate([], sampling) == []


def test_the_base_has_an_adapter_of_zeros_only_beside_members(parts) -> None:
    engine, server = parts
    engine.generate([Request(None, user("a"), 0)], Sampling(2, 0.0))
    assert server.adapters == {None}
    engine.generate(REQUESTS[:2], Sampling(2, 1.0))
    assert "base" in server.adapters
    assert None not in server.adapters


def test_only_what_changed_is_loaded_again_under_another_name(parts) -> None:
    engine, server = parts
    model = engine.model
    assert [name.partition("-")[0] for name in server.names] == ["base", "slot", "slot", "slot"]
    engine.sync(range(3), model.adapters, 4)
    assert len(server.names) == 4
    before = server.loaded.copy()
    with torch.no_grad():
        next(iter(model.adapters.B.values()))[1] += 0.1
    engine.sync(range(3), model.adapters, 4)
    assert server.names[4].startswith("slot-1@4-")
    gone = [file for id_, file in before.items() if id_ not in server.loaded]
    assert [file.name.partition("@")[0] for file in gone] == ["slot-1"]
    assert not gone[0].path.exists()
    # Another member in the slot, of the same version: its name is its own.
    with torch.no_grad():
        next(iter(model.adapters.B.values()))[1] += 0.1
    engine.sync([1], model.adapters, 4)
    assert server.names[5].startswith("slot-1@4-")
    assert len(set(server.names)) == len(server.names)
    [text] = engine.generate([Request(1, user("a"), 0)], Sampling(2, 0.0))
    assert text.version == 4


def test_sync_copies_from_another_stack_and_the_next_text_shows_it(parts) -> None:
    engine, _ = parts
    other = PopulationModel.load(engine.model.config, slots=3, seed=5)
    randomize(other, scale=0.4)
    engine.sync([2], other.adapters, 7)
    request = Request(2, user("def g(n):"), 1)
    [text] = engine.generate([request], Sampling(8, 1.0))
    [expected] = Torch().build(other).generate([request], Sampling(8, 1.0))
    assert text.token_ids == expected.token_ids
    assert text.version == 7


def test_close_removes_the_files(parts) -> None:
    engine, server = parts
    paths = [file.path for file in server.loaded.values()]
    assert len(paths) == 4
    engine.close()
    assert server.closed
    assert not any(os.path.exists(path) for path in paths)


def test_the_trial_passes_a_faithful_server_and_leaves_the_adapters(parts) -> None:
    engine, server = parts
    before = engine.model.adapters.buffer.clone()
    try_engine(engine)
    assert torch.equal(engine.model.adapters.buffer, before)
    assert len(server.loaded) == 4


@pytest.mark.parametrize("fault", ["no adapter", "another head"])
def test_the_trial_refuses_another_model(parts, fault: str) -> None:
    engine, server = parts
    if fault == "another head":
        server.model.base.model.get_output_embeddings().weight.data *= 0.8
    else:
        server.reads = False
    with pytest.raises(ConfigError, match=r"log-probabilities of (an adapter|the base) differ"):
        try_engine(engine)


def test_peft_loads_the_files(parts) -> None:
    engine, server = parts
    model = engine.model
    [file] = [file for file in server.loaded.values() if file.name.startswith("slot-2")]
    plain = PopulationModel.load(model.config, slots=1, seed=0).base.model
    ids = torch.tensor([[5, 9, 40, 7]])
    with torch.no_grad():
        theirs = in_peft(plain, file.path)(ids).logits
        with model.router.route([2]):
            ours = model.base.model(ids).logits
    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-4)


def test_an_unchanged_adapter_is_not_written(parts) -> None:
    files = AdapterFiles(parts[0].model)
    first = files.update(0, 1)
    assert first is not None
    assert files.update(0, 2) is None
    assert files.update(1, 2) is not None
    files.close()


def test_ranks_are_rounded_up_to_what_vllm_takes() -> None:
    allowed = (1, 8, 16, 32)
    assert [round_rank(rank, allowed) for rank in (1, 2, 8, 9, 32)] == [1, 8, 8, 16, 32]
    with pytest.raises(ConfigError, match=r"policy.rank = 33"):
        round_rank(33, allowed)


def test_what_it_cannot_read_is_refused(make_model) -> None:
    model = make_model()
    model.config = model.config.model_copy(update={"quantization": "8bit"})
    with pytest.raises(ConfigError, match=r"policy.quantization"):
        Vllm().build(model)


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed here")
def test_without_vllm_the_message_says_how_to_install_it(make_model) -> None:
    assert registry.load("engine", "vllm") is Vllm
    with pytest.raises(ConfigError, match=r"pip install 'redqueen\[vllm\]'"):
        Vllm().build(make_model())
