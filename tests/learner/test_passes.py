"""Passes over a batch: memory that runs out splits them, and changes nothing else."""

import json

import numpy as np
import pytest
import torch

from redqueen.errors import InfrastructureError

from .toy_bigram import VERSIONS, Bigram, batch_of, make_learner


class SmallMemory(Bigram):
    """Runs out of memory on more rows than it has room for, once others have been learnt."""

    room = 10_000

    def score(self, slots, prompt_ids, token_ids, **options):
        if len(slots) > self.room and self.B.grad is not None:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ...")
        return super().score(slots, prompt_ids, token_ids, **options)


def test_out_of_memory_splits_the_batch_and_changes_nothing_else(caplog) -> None:
    plenty, little = SmallMemory(2, tokens=60), SmallMemory(2, tokens=60)
    little.room = 3
    batch = batch_of(plenty, [0, 1])
    learners = make_learner(plenty), make_learner(little)
    reports = [learner.update(batch, 0, VERSIONS) for learner in learners]
    torch.testing.assert_close(little.B, plenty.B, rtol=1e-5, atol=1e-6)
    assert reports[0].metrics().keys() == reports[1].metrics().keys()
    assert "out of memory while learning" in caplog.text
    assert learners[0].state()["parts"] == 1
    assert learners[1].state()["parts"] > 1
    # What was learnt of the machine is kept: the next step does not run out again.
    caplog.clear()
    again = make_learner(little)
    again.restore(json.loads(json.dumps(learners[1].state())))
    again.update(batch_of(little, [0, 1]), 1, VERSIONS)
    assert "out of memory" not in caplog.text


def test_out_of_memory_while_rescoring_splits_the_batch() -> None:
    plenty, little = Bigram(2, tokens=60), SmallMemory(2, tokens=60)
    little.room, little.B.grad = 3, torch.zeros_like(little.B)
    batch = batch_of(plenty, [0, 1])
    for now, then in zip(make_learner(little).rescored(batch), batch, strict=True):
        np.testing.assert_allclose(now.logprobs, then.logprobs, atol=1e-6)


def test_one_sequence_that_does_not_fit_is_one_sentence() -> None:
    policy = SmallMemory(2, tokens=60)
    policy.room = 0
    learner, before = make_learner(policy), policy.B.detach().clone()
    with pytest.raises(InfrastructureError, match=r"single sequence.*gradient_checkpointing"):
        learner.update(batch_of(policy, [0, 1]), 0, VERSIONS)
    assert torch.equal(policy.B, before)
