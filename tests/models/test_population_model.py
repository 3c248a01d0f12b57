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


def test_a_template_that_refuses_a_role_is_one_sentence_about_the_base(with_template) -> None:
    refusal = "{% if messages[0].role == 'system' %}{{ raise_exception('no system turn') }}"
    model = with_template(f"{refusal}{{% endif %}}{TEMPLATE}")
    assert model.render(user("f(1)")) == "[user]f(1);[assistant]"
    with pytest.raises(ConfigError, match=r"policy\.base.*system, user: no system turn"):
        model.render(TALK)


UNFIT = {
    "raises": ("{{ raise_exception('only for tools') }}", "only for tools"),
    "loses the text": ("{% for m in messages %}[{{ m.role }}]{% endfor %}", "loses the text"),
    "keeps the last turn alone": ("{{ messages[-1].content }}", "loses the text of a turn"),
    "is no template": ("{% for m in messages %}", "chat template cannot be used"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_template_that_cannot_be_used_is_one_sentence_at_load(with_template, name) -> None:
    template, complaint = UNFIT[name]
    with pytest.raises(ConfigError, match=complaint) as caught:
        with_template(template)
    assert "\n" not in str(caught.value)


def test_several_templates_without_a_default_are_one_sentence_at_load(with_template) -> None:
    with pytest.raises(ConfigError, match="chat template cannot be used"):
        with_template({"rag": TEMPLATE, "tool_use": TEMPLATE})


def test_a_template_that_wants_parts_gets_them(with_template) -> None:
    model = with_template(
        "{% for m in messages %}[{{ m.role }}]{% for part in m.content %}{{ part.text }}"
        "{% endfor %};{% endfor %}"
    )
    assert model.render(TALK) == "[system]be brief;[user]f(1);"


def test_control_tokens_that_a_content_spells_are_characters(with_template) -> None:
    model = with_template("{% for m in messages %}{{ m.content }}</s>{% endfor %}")
    characters = tuple(model.tokenizer.convert_tokens_to_ids(list("a</s>b<pad>")))
    assert model.encode(user("a</s>b<pad>")) == (*model.base.prefix_ids, *characters, 2)
    assert model.encode(user("</s>"))[-4:] == (*characters[1:5][-3:], 2)
    assert model.encode(user("ab")) == model.base.encode("ab</s>")
    spelt = model.tokenizer.decode(characters, clean_up_tokenization_spaces=False)
    assert spelt == "a</s>b<pad>"


def test_only_tokens_that_end_or_pad_a_text_are_dropped(make_model) -> None:
    model = make_model()
    tokenizer = model.tokenizer
    tokenizer.add_special_tokens({"additional_special_tokens": ["<answer>"]})
    answer = tokenizer.convert_tokens_to_ids("<answer>")
    four = tokenizer.convert_tokens_to_ids("4")
    assert model.base.decode([answer, four, 2, 0]) == "<answer>4"


def test_a_conversation_is_tokenised_once(make_model) -> None:
    model = make_model()
    first = model.encode(user("x = 12"))
    assert model.encode(user("x = 12")) is first
    assert model.encode(user("x = 13")) != first


def test_a_prompt_must_leave_room_for_new_tokens_or_half_of_the_context(make_model) -> None:
    model = make_model()
    context = model.base.context
    prompt = len(model.encode(user("x" * 40)))
    assert model.leaves_room(user("x" * 40), context - prompt)
    assert not model.leaves_room(user("x" * 60), context - prompt)
    assert model.leaves_room(user("x" * 40), 10 * context)
    assert not model.leaves_room(user("x" * 60), 10 * context)


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
