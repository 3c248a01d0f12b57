"""Worker processes against the same model in one process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from redqueen.config.policy import PolicyConfig
from redqueen.engines.base import Sampling
from redqueen.engines.cpu import Cpu, CpuEngine
from redqueen.engines.cpu.workers import Send
from redqueen.engines.torch import TorchEngine
from redqueen.errors import InfrastructureError
from redqueen.models.population_model import PopulationModel
from redqueen.types import Completion, Request, user
from tests.small_models import randomize, save_tokenizer, small_model

REQUESTS = [Request(i % 3, user("f(1)" if i % 2 else "x = 12"), i) for i in range(40)]
SAMPLING = Sampling(20, 1.0)


def load(directory: Path) -> PopulationModel:
    config = PolicyConfig(base=str(directory), rank=4, alpha=6.0, device="cpu", dtype="float32")
    model = PopulationModel.load(config, 3, 5)
    randomize(model)
    return model


@pytest.fixture(scope="module")
def alone(model_dirs: dict[str, Path]) -> TorchEngine:
    engine = Cpu(workers=1).build(load(model_dirs["llama"]))
    assert isinstance(engine, TorchEngine)
    return engine


@contextmanager
def two_workers(base: Path) -> Iterator[CpuEngine]:
    engine = Cpu(workers=2).build(load(base))
    assert isinstance(engine, CpuEngine)
    assert len(engine.workers) == 2
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def pair(model_dirs: dict[str, Path]) -> Iterator[CpuEngine]:
    """An engine that tests leave as it was: its processes take seconds to start."""
    with two_workers(model_dirs["llama"]) as engine:
        yield engine


@pytest.fixture
def fresh_pair(model_dirs: dict[str, Path]) -> Iterator[CpuEngine]:
    """An engine that a test may break."""
    with two_workers(model_dirs["llama"]) as engine:
        yield engine


Sequences = tuple[list[int], list[tuple[int, ...]], list[tuple[int, ...]]]


def likelihood(model: PopulationModel, job: Sequences) -> np.ndarray:
    """Leave the gradients of the sum of log-probabilities; return them by sequence."""
    logprobs_BT, mask_BT = model.score(*job)
    (logprobs_BT * mask_BT).sum().backward()
    sums: np.ndarray = (logprobs_BT.detach() * mask_BT).sum(1).numpy()
    return sums


def sequences(engine: TorchEngine) -> list[Sequences]:
    texts = engine.generate(REQUESTS, SAMPLING)
    return [
        (
            [text.slot or 0 for text in texts[start : start + 8]],
            [text.prompt_ids for text in texts[start : start + 8]],
            [text.token_ids for text in texts[start : start + 8]],
        )
        for start in range(0, 40, 8)
    ]


def gradients(
    scorer: PopulationModel | CpuEngine, model: PopulationModel, jobs: list[Sequences]
) -> tuple[list[np.ndarray], list[torch.Tensor]]:
    parameters = list(model.adapters.parameters().values())
    for parameter in parameters:
        parameter.grad = None
    sums = scorer.map_gradients(likelihood, jobs)
    return sums, [p.grad.clone() for p in parameters if p.grad is not None]


@pytest.mark.slow
def test_workers_write_what_one_process_writes(alone: TorchEngine, pair: CpuEngine) -> None:
    parts: list[Mapping[int, Completion]] = []
    expected = alone.generate(REQUESTS, SAMPLING)
    done = pair.generate(REQUESTS, SAMPLING, parts.append)
    assert [c.token_ids for c in done] == [c.token_ids for c in expected]
    assert [c.slot for c in done] == [r.slot for r in REQUESTS]
    assert len(parts) > 2
    assert {i: text for part in parts for i, text in part.items()} == dict(enumerate(done))
    assert sum(map(len, parts)) == 40
    for one, other in zip(done, expected, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
    assert pair.generate([], SAMPLING) == []


@pytest.mark.slow
def test_gradients_add_up_and_repeat_to_the_bit(alone: TorchEngine, pair: CpuEngine) -> None:
    jobs = sequences(alone)
    expected_sums, expected = gradients(alone.model, alone.model, jobs)
    sums, slopes = gradients(pair.scorer, pair.model, jobs)
    _, again = gradients(pair.scorer, pair.model, jobs)
    assert len(expected) == len(slopes) == len(pair.model.adapters.parameters())
    for one, other in zip(sums, expected_sums, strict=True):
        assert np.allclose(one, other, atol=1e-4)
    for one, other, third in zip(slopes, expected, again, strict=True):
        assert float((one - other).abs().max()) <= 1e-4 * float(other.abs().max())
        assert torch.equal(one, third)
    # Gradients that are there already are added to.
    pair.scorer.map_gradients(likelihood, jobs)
    for parameter, one in zip(pair.model.adapters.parameters().values(), slopes, strict=True):
        assert torch.equal(parameter.grad, one + one)


@pytest.mark.slow
def test_the_engine_scores_for_the_learner_as_its_model_does(
    alone: TorchEngine, pair: CpuEngine
) -> None:
    slots, prompts, tokens = sequences(alone)[0]
    with torch.no_grad():
        for name, arguments in (("score", (slots, prompts, tokens)),
                                ("base_score", (prompts, tokens))):  # fmt: skip
            one = getattr(pair.scorer, name)(*arguments, temperature=0.7)
            other = getattr(alone.model, name)(*arguments, temperature=0.7)
            assert torch.allclose(one.logprobs_BT, other.logprobs_BT, atol=1e-4)
    shared = pair.scorer.micro_batches(slots, prompts, tokens)
    assert shared == pair.model.micro_batches(slots, prompts, tokens, 2)


@torch.no_grad()
def scale_adapters(engines: Sequence[TorchEngine | CpuEngine], factor: float) -> None:
    for engine in engines:
        for tensor in engine.model.adapters.parameters().values():
            tensor.mul_(factor)


def test_workers_read_the_adapters_as_they_are_now(alone: TorchEngine, pair: CpuEngine) -> None:
    before = pair.generate(REQUESTS, SAMPLING)
    scale_adapters((alone, pair), -0.5)
    pair.sync([0, 1, 2], pair.model.adapters, 4)
    try:
        expected = alone.generate(REQUESTS, SAMPLING)
        done = pair.generate(REQUESTS, SAMPLING)
    finally:
        scale_adapters((alone, pair), -2.0)  # exact: what they were
        pair.sync([0, 1, 2], pair.model.adapters, 0)
    assert pair.generate(REQUESTS, SAMPLING) == before
    assert [c.token_ids for c in done] == [c.token_ids for c in expected]
    assert [c.token_ids for c in done] != [c.token_ids for c in before]
    assert {c.version for c in before} == {0}
    assert {c.version for c in done} == {4}


@pytest.mark.slow
def test_more_tensors_than_file_descriptors_travel_at_once(tmp_path: Path) -> None:
    """A process can be handed about 250 descriptors; an ordinary base has more tensors."""
    small_model("llama", num_hidden_layers=24).save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    model = load(tmp_path)
    assert len(model.adapters.parameters()) > 300
    engine = Cpu(workers=2).build(model)
    try:
        done = engine.generate(REQUESTS[:16], Sampling(4, 0.0))
    finally:
        engine.close()
    expected = Cpu(workers=1).build(load(tmp_path)).generate(REQUESTS[:16], Sampling(4, 0.0))
    assert [c.token_ids for c in done] == [c.token_ids for c in expected]


def fail_at_one(model: PopulationModel, job: int, send: Send) -> None:
    for part in range(3):
        send((job, part))
        if job == 1:
            raise ValueError("job one")


def die(model: PopulationModel, job: int, send: Send) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_jobs_send_arrives_in_order_and_an_error_leaves_workers_usable(
    pair: CpuEngine,
) -> None:
    heard: list[tuple[int, int]] = []

    def hear(part: tuple[int, int]) -> None:
        heard.append(part)
        if part == (3, 1):
            raise KeyError("heard enough")

    with pytest.raises(ValueError, match="job one"):
        pair.workers.map(fail_at_one, [0, 1, 2], hear)
    with pytest.raises(KeyError, match="heard enough"):
        pair.workers.map(fail_at_one, [3, 0], hear)
    heard.clear()
    pair.workers.map(fail_at_one, [2, 0], hear)
    for job in (0, 2):
        assert [part for number, part in heard if number == job] == [0, 1, 2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_is_the_parent_s_business(
    pair: CpuEngine, number: signal.Signals
) -> None:
    before = pair.generate(REQUESTS, SAMPLING)
    for pid in pair.workers.pids:
        os.kill(pid, number)
    assert pair.generate(REQUESTS, SAMPLING) == before


def test_a_worker_that_dies_is_an_error_and_an_engine_is_closed_more_than_once(
    fresh_pair: CpuEngine,
) -> None:
    pids = fresh_pair.workers.pids
    with pytest.raises(InfrastructureError, match="worker process"):
        fresh_pair.workers.map(die, [0], lambda part: None)
    fresh_pair.close()
    fresh_pair.close()
    assert not any(map(lives, pids))


def test_peak_memory_counts_the_workers(alone: TorchEngine, pair: CpuEngine) -> None:
    assert pair.generate(REQUESTS, Sampling(2, 1.0))
    here, everywhere = alone.peak_memory()["host"], pair.peak_memory()["host"]
    # Two workers with torch in each; this process is the same in both sums.
    assert everywhere > here + 200


OWNER = """
import sys, time
from redqueen.config.policy import PolicyConfig
from redqueen.engines.cpu import Cpu
from redqueen.models.population_model import PopulationModel

if __name__ == "__main__":
    model = PopulationModel.load(PolicyConfig(base=sys.argv[1], device="cpu"), 1, 0)
    engine = Cpu(workers=2).build(model)
    print(*engine.workers.pids, flush=True)
    time.sleep(float(sys.argv[2]))
"""


def lives(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
    return "State:\tZ" not in status


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("killed", [True, False])
def test_workers_end_with_their_owner(
    model_dirs: dict[str, Path], tmp_path: Path, killed: bool
) -> None:
    """One that is killed, and one that ends without closing its engine."""
    script = tmp_path / "owner.py"
    script.write_text(OWNER)
    command = [sys.executable, str(script), str(model_dirs["llama"]), "60" if killed else "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pids = [int(word) for word in owner.stdout.readline().split()]
        assert len(pids) == 2
        if killed:
            assert all(map(lives, pids))
            owner.kill()
        assert owner.wait(timeout=60) == (-signal.SIGKILL if killed else 0)
    end = time.monotonic() + 30
    while any(map(lives, pids)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(map(lives, pids))
