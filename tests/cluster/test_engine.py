"""The cluster's engine against one process, on replicas of this process."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from redqueen.cluster.engine import ClusterEngine
from redqueen.cluster.ray import Ray
from redqueen.cluster.replica import Failure, Replica, Write
from redqueen.config.policy import PolicyConfig
from redqueen.engines.base import Sampling
from redqueen.engines.torch import Torch, TorchEngine
from redqueen.errors import ConfigError
from redqueen.models.population_model import PopulationModel
from redqueen.types import Completion, Request, user
from tests.cluster.pools import HerePool
from tests.small_models import randomize

SLOTS = 3
REQUESTS = [
    Request(None if i % 4 == 3 else i % 4, user("f(1)" if i % 2 else "x = 12"), i)
    for i in range(40)
]
SAMPLING = Sampling(20, 1.0)
Job = tuple[list[int], list[tuple[int, ...]], list[tuple[int, ...]]]
Make = Callable[[int], ClusterEngine]


@pytest.fixture
def policy(model_dirs: dict[str, Path]) -> PolicyConfig:
    base = str(model_dirs["llama"])
    return PolicyConfig(
        base=base, rank=4, alpha=6.0, device="cpu", dtype="float32", learn_tokens=600
    )


def loaded(policy: PolicyConfig) -> PopulationModel:
    model = PopulationModel.load(policy, SLOTS, 5)
    randomize(model)
    return model


@pytest.fixture
def alone(policy: PolicyConfig) -> TorchEngine:
    return Torch().build(loaded(policy))


@pytest.fixture
def make(policy: PolicyConfig) -> Make:
    """A cluster of so many replicas."""

    def make(count: int) -> ClusterEngine:
        pool = HerePool(count, policy, Torch(), SLOTS)
        return ClusterEngine(loaded(policy), pool, rows=8)

    return make


def here(engine: ClusterEngine) -> HerePool:
    assert isinstance(engine.pool, HerePool)
    return engine.pool


def written(texts: list[Completion]) -> list[tuple[int | None, tuple[int, ...]]]:
    return [(text.slot, text.token_ids) for text in texts]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_replicas_write_what_one_process_writes(alone: TorchEngine, make: Make, count: int) -> None:
    parts: list[Mapping[int, Completion]] = []
    engine = make(count)
    expected = alone.generate(REQUESTS, SAMPLING)
    texts = engine.generate(REQUESTS, SAMPLING, parts.append)
    assert written(texts) == written(expected)
    for one, other in zip(texts, expected, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
    assert sum(map(len, parts)) == len(REQUESTS)
    assert {i: text for part in parts for i, text in part.items()} == dict(enumerate(texts))
    assert engine.generate([], SAMPLING) == []


def test_what_a_lost_replica_had_finished_is_not_written_again(
    alone: TorchEngine, make: Make
) -> None:
    engine, finished = make(2), [0] * len(REQUESTS)

    def count(texts: Mapping[int, Completion]) -> None:
        for number in texts:
            finished[number] += 1

    here(engine).losses = [(0, 1), (3, 0)]
    texts = engine.generate(REQUESTS, SAMPLING, count)
    assert written(texts) == written(alone.generate(REQUESTS, SAMPLING))
    assert finished == [1] * len(REQUESTS)
    asked = [set(job.numbers) for n, job in here(engine).sent if n == 0 and isinstance(job, Write)]
    assert len(asked) == 2
    assert asked[1] < asked[0]
    assert not here(engine).losses


def test_weights_are_handed_over_once_a_version_and_never_stale(make: Make) -> None:
    engine, asked = make(2), [Request(slot, user("f(2)"), slot) for slot in range(SLOTS)]
    adapters = engine.model.adapters

    def versions() -> list[int]:
        return [text.version for text in engine.generate(asked, SAMPLING)]

    assert versions() == [0, 0, 0]
    engine.sync(range(SLOTS), adapters, 1)
    assert versions() == versions() == [1, 1, 1]
    assert len(here(engine).puts) == 1, "the weights are the same"
    before = written(engine.generate(asked, SAMPLING))
    with torch.no_grad():
        adapters.B[next(iter(adapters.B))][1] += 1.0
    after = written(engine.generate(asked, SAMPLING))  # nobody has said that they changed
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True]
    engine.sync([1], adapters, 2)
    assert versions() == [1, 2, 1]
    assert len(here(engine).puts) == 2


def likelihood(scorer: PopulationModel, job: Job) -> np.ndarray:
    """Leave the gradients of the sum of log-probabilities; return them by sequence."""
    logprobs_BT, mask_BT = scorer.score(*job)
    (logprobs_BT * mask_BT).sum().backward()
    sums: np.ndarray = (logprobs_BT.detach() * mask_BT).sum(1).numpy()
    return sums


def jobs_of(engine: TorchEngine) -> list[Job]:
    texts = [text for text in engine.generate(REQUESTS, SAMPLING) if text.slot is not None]
    return [
        (
            [text.slot or 0 for text in texts[start : start + 6]],
            [text.prompt_ids for text in texts[start : start + 6]],
            [text.token_ids for text in texts[start : start + 6]],
        )
        for start in range(0, len(texts), 6)
    ]


def gradients(
    scorer: PopulationModel | ClusterEngine, model: PopulationModel, jobs: list[Job]
) -> tuple[np.ndarray, list[torch.Tensor]]:
    for parameter in model.adapters.parameters().values():
        parameter.grad = None
    sums = scorer.map_gradients(likelihood, jobs)
    grads = [p.grad for p in model.adapters.parameters().values()]
    return np.concatenate(sums), [grad.clone() for grad in grads if grad is not None]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_gradients_are_those_of_one_process_whoever_is_lost(
    alone: TorchEngine, make: Make, count: int
) -> None:
    jobs, engine = jobs_of(alone), make(count)
    expected_sums, expected = gradients(alone.model, alone.model, jobs)
    sums, grads = gradients(engine.scorer, engine.model, jobs)
    assert np.allclose(sums, expected_sums, atol=1e-4)
    assert len(grads) == len(expected) == len(engine.model.adapters.parameters())
    for one, other in zip(grads, expected, strict=True):
        assert float((one - other).abs().max()) <= 1e-4 * float(other.abs().max())
    here(engine).losses = [(0, 0)]
    _, again = gradients(engine.scorer, engine.model, jobs)
    assert not here(engine).losses
    assert all(map(torch.equal, grads, again)), "a loss changes a bit"
    engine.scorer.map_gradients(likelihood, jobs)  # gradients that are there are added to
    for parameter, one in zip(engine.model.adapters.parameters().values(), grads, strict=True):
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, one + one, rtol=1e-5, atol=1e-6)


def test_every_replica_has_memory_for_a_whole_micro_batch(make: Make) -> None:
    engine = make(2)
    slots, prompts, tokens = [0] * 40, [(5, 6, 7)] * 40, [tuple(range(3, 33))] * 40
    batches = engine.micro_batches(slots, prompts, tokens)
    assert sorted(i for batch in batches for i in batch) == list(range(40))
    assert len(batches) % 2 == 0
    shared = engine.model.micro_batches(slots, prompts, tokens, workers=2)
    assert max(map(len, batches)) > max(map(len, shared))
    assert max(map(len, batches)) * 30 <= 600
    # Also of a base whose texts are padded.
    padded = engine.model
    padded.base = replace(padded.base, packed=None)
    assert len(padded.micro_batches(slots[:10], prompts[:10], tokens[:10], replicas=2)) == 2


def out_of_memory(scorer: PopulationModel, job: int) -> None:
    raise torch.OutOfMemoryError("no memory for a test")


def test_what_a_job_raises_is_raised_here(make: Make) -> None:
    engine = make(2)
    with pytest.raises(torch.OutOfMemoryError, match="for a test"):
        engine.map_gradients(out_of_memory, [1, 2])
    long = [Request(0, user("x" * 4000), 0)]
    with pytest.raises(ConfigError, match="context"):
        engine.generate(long, SAMPLING)
    assert len(engine.generate(REQUESTS, SAMPLING)) == len(REQUESTS)


def test_a_replica_that_cannot_load_its_base_says_so(policy: PolicyConfig) -> None:
    gone = policy.model_copy(update={"base": "/no/such/base"})
    failure = Replica(gone, Torch(), SLOTS, 1, lambda weights: weights).prepare()
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, ConfigError)
    assert "/no/such/base" in str(failure.error)


@pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray")
def test_members_on_disk_are_refused(policy: PolicyConfig) -> None:
    with pytest.raises(ConfigError, match=r"population\.slots"):
        Ray().build(Torch(), PopulationModel.load(policy, SLOTS, 5, rows=2))


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed here")
def test_without_ray_the_extra_is_named(alone: TorchEngine) -> None:
    with pytest.raises(ConfigError, match=r"redqueen\[ray\]"):
        Ray().build(Torch(), alone.model)
