"""Worker processes against the same policy alone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from redqueen.config import LearnerConfig, PolicyConfig
from redqueen.engines.cpu.workers import Report
from redqueen.engines.policy import Policy
from redqueen.errors import InfrastructureError
from redqueen.learner.update import Batch, backward
from redqueen.types import Completion, Request, Role, Trajectory
from tests.small_models import randomize

REQUESTS = [Request(i % 3, "f(1)" if i % 2 else "x = 12", i) for i in range(40)]


def load(directory: Path) -> Policy:
    config = PolicyConfig(
        base=str(directory), rank=4, alpha=6.0, device="cpu", dtype="float32", workers=2
    )
    policy = Policy.load(config, 3, 5)
    randomize(policy)
    return policy


@pytest.fixture(scope="module")
def alone(model_dirs: dict[str, Path]) -> Policy:
    return load(model_dirs["llama"])


@pytest.fixture
def crewed(model_dirs: dict[str, Path]) -> Iterator[Policy]:
    policy = load(model_dirs["llama"])
    policy.start_workers()
    assert policy.crew is not None
    assert len(policy.crew) == 2
    yield policy
    policy.close()


def batches(policy: Policy) -> list[Batch]:
    texts = policy.generate(REQUESTS, max_new_tokens=20, temperature=1.0)
    made = [
        Trajectory(
            slot=text.slot or 0,
            member=text.slot or 0,
            role=Role.STUDENT,
            kind="code_o",
            group="0",
            prompt_ids=text.prompt_ids,
            token_ids=text.token_ids,
            logprobs=text.logprobs,
            reward=0.0,
        )
        for text in texts
    ]
    return [
        Batch(tuple(made[start : start + 8]), (1.0, -0.5) * 4, (0.1,) * 8, LearnerConfig(), 1.0)
        for start in range(0, 40, 8)
    ]


def gradients(policy: Policy, jobs: list[Batch]) -> tuple[list[np.ndarray], list[torch.Tensor]]:
    parameters = list(policy.adapters.parameters().values())
    for parameter in parameters:
        parameter.grad = None
    sums = policy.map_gradients(backward, jobs)
    found = [parameter.grad for parameter in parameters]
    assert all(gradient is not None for gradient in found)
    return sums, [gradient.clone() for gradient in found if gradient is not None]


def test_a_crew_writes_what_one_process_writes(alone: Policy, crewed: Policy) -> None:
    parts: list[Mapping[int, Completion]] = []
    expected = alone.generate(REQUESTS, max_new_tokens=20, temperature=1.0)
    found = crewed.generate(REQUESTS, max_new_tokens=20, temperature=1.0, on_written=parts.append)
    assert [c.token_ids for c in found] == [c.token_ids for c in expected]
    assert [c.slot for c in found] == [r.slot for r in REQUESTS]
    assert len(parts) > 2
    assert {i: text for part in parts for i, text in part.items()} == dict(enumerate(found))
    assert sum(map(len, parts)) == 40
    for one, other in zip(found, expected, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_gradients_add_up_and_repeat_to_the_bit(alone: Policy, crewed: Policy) -> None:
    jobs = batches(alone)
    expected_sums, expected = gradients(alone, jobs)
    found_sums, found = gradients(crewed, jobs)
    _, again = gradients(crewed, jobs)
    for one, other in zip(found_sums, expected_sums, strict=True):
        assert np.allclose(one, other, atol=1e-5)
    for one, other, third in zip(found, expected, again, strict=True):
        assert float((one - other).abs().max()) <= 1e-5 * float(other.abs().max())
        assert torch.equal(one, third)


def test_workers_read_the_adapters_as_they_are_now(alone: Policy, crewed: Policy) -> None:
    before = crewed.generate(REQUESTS, max_new_tokens=20, temperature=1.0)
    kept = {name: tensor.clone() for name, tensor in alone.adapters.state_dict().items()}
    with torch.no_grad():
        for policy in (alone, crewed):
            for tensor in policy.adapters.parameters().values():
                tensor.mul_(-0.5)
    try:
        expected = alone.generate(REQUESTS, max_new_tokens=20, temperature=1.0)
        found = crewed.generate(REQUESTS, max_new_tokens=20, temperature=1.0)
    finally:
        alone.adapters.load_state_dict(kept)
    assert [c.token_ids for c in found] == [c.token_ids for c in expected]
    assert [c.token_ids for c in found] != [c.token_ids for c in before]


def fail_at_one(policy: Policy, job: int, report: Report) -> None:
    for part in range(3):
        report(job * 10 + part)
        if job == 1:
            raise ValueError("job one")


def die(policy: Policy, job: int, report: Report) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_jobs_report_arrives_in_order_and_an_error_leaves_the_crew_usable(
    crewed: Policy,
) -> None:
    assert crewed.crew is not None
    heard: list[tuple[int, int]] = []

    def hear(number: int, part: int) -> None:
        heard.append((number, part))
        if part == 31:
            raise KeyError("heard enough")

    with pytest.raises(ValueError, match="job one"):
        crewed.crew.map(fail_at_one, [0, 1, 2], hear)
    with pytest.raises(KeyError, match="heard enough"):
        crewed.crew.map(fail_at_one, [3, 0], hear)
    heard.clear()
    crewed.crew.map(fail_at_one, [2, 0], hear)
    assert [part for number, part in heard if number == 0] == [20, 21, 22]
    assert [part for number, part in heard if number == 1] == [0, 1, 2]


def test_a_worker_that_dies_is_an_error_that_says_so(crewed: Policy) -> None:
    assert crewed.crew is not None
    with pytest.raises(InfrastructureError, match="worker process"):
        crewed.crew.map(die, [0], lambda number, part: None)


def test_without_workers_the_policy_goes_on_alone(crewed: Policy, alone: Policy) -> None:
    crewed.close()
    crewed.close()
    expected = alone.generate(REQUESTS[:4], max_new_tokens=5, temperature=1.0)
    assert crewed.generate(REQUESTS[:4], max_new_tokens=5, temperature=1.0) == expected


def test_one_worker_is_none(model_dirs: dict[str, Path]) -> None:
    config = PolicyConfig(base=str(model_dirs["llama"]), device="cpu", workers=1)
    policy = Policy.load(config, 1, 0)
    policy.start_workers()
    assert policy.crew is None


def test_peak_memory_counts_the_workers(alone: Policy, crewed: Policy) -> None:
    assert crewed.generate(REQUESTS, max_new_tokens=2, temperature=1.0)
    own, all_ = alone.peak_memory()["host"], crewed.peak_memory()["host"]
    # Two workers with torch in each; this process is the same in both sums.
    assert all_ > own + 200


OWNER = """
import sys, time
from redqueen.config import PolicyConfig
from redqueen.engines.policy import Policy

if __name__ == "__main__":
    policy = Policy.load(PolicyConfig(base=sys.argv[1], device="cpu", workers=2), 1, 0)
    policy.start_workers()
    print(*policy.crew.pids, flush=True)
    time.sleep(60)
"""


def lives(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
    return "State:\tZ" not in status


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_end_with_an_owner_that_is_killed(
    model_dirs: dict[str, Path], tmp_path: Path
) -> None:
    script = tmp_path / "owner.py"
    script.write_text(OWNER)
    command = [sys.executable, str(script), str(model_dirs["llama"])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pids = [int(word) for word in owner.stdout.readline().split()]
        assert len(pids) == 2
        assert all(map(lives, pids))
        owner.kill()
    end = time.monotonic() + 30
    while any(map(lives, pids)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(map(lives, pids))
