"""A member's update on a real forward pass, with others in the step and without them."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from redqueen.config import LearnerConfig
from redqueen.learner import Learner, StackedAdamW
from redqueen.models.population_model import PopulationModel
from redqueen.types import Role, Sample

MEMBERS = range(3)


def make_samples(model: PopulationModel) -> list[Sample]:
    """Two groups a member, of texts of uneven length; half of them are right."""
    rng = np.random.default_rng(0)
    rows = []
    for slot in MEMBERS:
        for group in range(2):
            prompt = rng.integers(3, 40, 5 + 7 * slot + group).tolist()
            texts = [rng.integers(3, 40, rng.integers(2, 20)).tolist() for _ in range(4)]
            rows += [(slot, f"{slot}/{group}", prompt, text) for text in texts]
    slots, groups, prompts, texts = zip(*rows, strict=True)
    with torch.no_grad():
        logprobs_BT, _ = model.score(slots, prompts, texts)
    return [
        Sample(
            ids=np.array([*prompt, *text], np.int32),
            mask=np.arange(len(prompt) + len(text)) >= len(prompt),
            logprobs=np.array([*[0.0] * len(prompt), *now[: len(text)]], np.float32),
            reward=float(number % 2), slot=slot, member=slot, role=Role.STUDENT,
            environment="code", kind="code_o", group=group, version=0,
        )
        for number, (slot, group, prompt, text, now) in enumerate(
            zip(slots, groups, prompts, texts, logprobs_BT.numpy(), strict=True)
        )
    ]  # fmt: skip


def updated(model: PopulationModel, batching: str, slots: Sequence[int]) -> dict[str, torch.Tensor]:
    """Adapter and moments of member 1 after an update in which these members learn."""
    optimizer = StackedAdamW(model.adapters.parameters())
    config = LearnerConfig(batching=batching)
    learner = Learner(model, optimizer, config, temperature=1.0, seed=0, steps=1)
    batch = [sample for sample in make_samples(model) if sample.slot in slots]
    assert learner.update(batch, 1, dict.fromkeys(MEMBERS, 0)).trained_sequences == len(batch)
    factors = {
        f"{n}.{i}": t for n, pair in model.adapters.get(1).items() for i, t in enumerate(pair)
    }
    return factors | optimizer.slot_state(1)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("tokens", [64, 4096])
def test_passes_of_its_own_give_a_member_the_same_bits_alone_and_together(
    make_model: Callable[..., PopulationModel], kind: str, tokens: int
) -> None:
    for dtype in ("float32", "bfloat16"):
        alone, together = (
            updated(make_model(kind, learn_tokens=tokens, dtype=dtype), "member", slots)
            for slots in ([1], MEMBERS)
        )
        assert all(torch.equal(alone[name], together[name]) for name in alone)


def test_shared_passes_give_the_same_but_for_rounding(
    make_model: Callable[..., PopulationModel],
) -> None:
    alone, together = (
        updated(make_model(learn_tokens=4096), "shared", slots) for slots in ([1], MEMBERS)
    )
    for name in alone:
        if name.startswith("mean/"):
            torch.testing.assert_close(alone[name], together[name], rtol=1e-4, atol=1e-7)
