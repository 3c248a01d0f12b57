"""Conversations as tokens, and what a population model splits and sums."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from redqueen.config.policy import PolicyConfig
from redqueen.errors import ConfigError
from redqueen.models.population_model import PopulationModel
from redqueen.types import Message, user

TALK = (Message("system", "be brief"), Message("user", "f(1)"))
TEMPLATE = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content }};{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


@pytest.fixture
def with_template(tmp_path: Path, model_dirs: dict[str, Path]) -> Callable[[str], PopulationModel]:
    def make(template: str) -> PopulationModel:
        for file in model_dirs["llama"].iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        tokenizer = AutoTokenizer.from_pretrained(tmp_path)
        tokenizer.chat_template = template
        tokenizer.save_pretrained(tmp_path)
        return PopulationModel.load(PolicyConfig(base=str(tmp_path), device="cpu"), 1, 0)

    return make


def test_without_a_chat_template_contents_follow_each_other(make_model) -> None:
    model = make_model()
    assert model.render(TALK) == "be brieff(1)"
    assert model.encode(user("f(1)")) == model.base.encode("f(1)")


def test_a_chat_template_is_applied_and_asks_for_the_answer(with_template) -> None:
    model = with_template(TEMPLATE)
    assert model.render(TALK) == "[system]be brief;[user]f(1);[assistant]"
    assert model.encode(TALK) == model.base.encode("[system]be brief;[user]f(1);[assistant]")


def test_a_template_that_refuses_is_one_sentence_about_the_base(with_template) -> None:
    model = with_template(
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system turn') }}{% endif %}x"
    )
    assert model.render(user("f(1)")) == "x"
    with pytest.raises(ConfigError, match=r"policy\.base.*system, user: no system turn"):
        model.render(TALK)


def test_a_conversation_is_tokenised_once(make_model, monkeypatch) -> None:
    model = make_model()
    rendered: list[object] = []
    render = model.render
    monkeypatch.setattr(model, "render", lambda talk: rendered.append(talk) or render(talk))
    first = model.encode(user("x = 12"))
    assert model.encode(user("x = 12")) == first
    assert model.encode(user("x = 13")) != first
    assert rendered == [user("x = 12"), user("x = 13")]


def test_workers_share_the_tokens_of_a_pass(make_model) -> None:
    model = make_model(learn_tokens=2048)
    prompts, tokens = [(3, 4)] * 64, [tuple(range(3, 35))] * 64
    alone = model.micro_batches([0] * 64, prompts, tokens)
    shared = model.micro_batches([0] * 64, prompts, tokens, workers=2)
    assert sorted(i for batch in shared for i in batch) == list(range(64))
    assert max(2 + 32 * len(batch) for batch in shared) <= 1024
    assert len(shared) % 2 == 0
    assert len(alone) < len(shared)


def test_map_gradients_adds_up(make_model) -> None:
    model = make_model()

    def job(scorer: PopulationModel, slot: int) -> float:
        logprobs_BT, _ = scorer.score([slot], [(5, 9)], [(8, 2)])
        logprobs_BT.sum().backward()
        return float(logprobs_BT.sum())

    sums = model.map_gradients(job, [0, 1, 0])
    assert sums[0] == sums[2] != sums[1]
    name, b = next(iter(model.adapters.B.items()))
    assert b.grad is not None
    once = torch.autograd.grad(model.score([0], [(5, 9)], [(8, 2)])[0].sum(), b)[0]
    torch.testing.assert_close(b.grad[0], 2 * once[0], rtol=1e-5, atol=1e-6, msg=name)
    assert torch.count_nonzero(b.grad[2]) == 0
