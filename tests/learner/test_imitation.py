"""Founders that pose tasks imitate seed tasks: what they are shown, and what comes of it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import redqueen
from redqueen import build
from redqueen.errors import ConfigError
from redqueen.learner.imitation import Lesson, draw_lessons
from redqueen.types import Member, Messages, Role
from tests.code_cases import make_code
from tests.trainers import Make

SEEDLING = Path(redqueen.__file__).parent / "bases" / "seedling"
IMITATION = {"teacher": {"imitation": {"updates": 4, "proposals": 8}}}


def spelled(messages: Messages, text: str) -> tuple[list[int], list[int]]:
    """Conversation and reply as the numbers of their characters."""
    return [ord(c) for c in messages[-1].content], [*map(ord, text), 0]


def worlds(**keys: Any) -> Any:
    """One world of code whose seed tasks are six of the generator's."""
    code = make_code(None, "compact", **keys)
    seeds = tuple(code.sources["seed"].tasks(6, 0))
    return {"code": SimpleNamespace(environment=code, seed_tasks=seeds)}


def test_a_lesson_is_a_seed_task_and_shows_only_others() -> None:
    world = worlds(kinds=("code_o", "code_i"))
    lessons = draw_lessons(world, 40, 2, spelled, np.random.default_rng(0))
    programs = {task.payload["program"] for task in world["code"].seed_tasks}
    seen = set()
    for lesson in lessons:
        program, _, args = "".join(map(chr, lesson.token_ids[:-1])).partition("\n<input>\n")
        prompt = "".join(map(chr, lesson.prompt_ids))
        assert program in programs
        assert args
        assert program not in prompt
        assert sum(other in prompt for other in programs) == 2
        assert prompt.startswith(f"<propose_{lesson.kind[-1]}>")
        seen.add(program)
    assert seen == programs


def test_the_same_generator_draws_the_same_lessons() -> None:
    first, again, other = (
        draw_lessons(worlds(), 8, 1, spelled, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_only_what_the_teacher_writes_is_learnt() -> None:
    member = Member(id=3, slot=1, roles=(Role.TEACHER,), mu=25.0, sigma=8.0)
    sample = Lesson("code", "code_o", (5, 6, 7), (8, 9)).sample(member, version=0)
    assert sample.ids.tolist() == [5, 6, 7, 8, 9]
    assert sample.mask.tolist() == [False, False, False, True, True]
    assert (sample.slot, sample.member, sample.reward) == (1, 3, 1.0)


def test_programs_that_are_not_the_teachers_are_no_lessons() -> None:
    with pytest.raises(ConfigError, match="no environment has seed tasks"):
        draw_lessons(worlds(kinds=("code_f",)), 4, 1, spelled, np.random.default_rng(0))


def test_without_teachers_it_is_refused(tiny: Make, tmp_path: Path) -> None:
    config = tiny(
        population={"teachers": 0, "students": 2},
        learner=IMITATION,
        evolution={"enabled": False},
    )
    with (
        pytest.raises(ConfigError, match="there must be teachers"),
        build.start(config, tmp_path / "run"),
    ):
        pass
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_teachers_begin_with_what_seed_tasks_taught_them(tiny: Make, tmp_path: Path) -> None:
    config = tiny(
        population={"teachers": 2, "students": 1},
        learner=IMITATION,
        policy={"dtype": "float32"},
        environments={"code": {"kinds": ["code_o"]}},
    )
    model = AutoModelForCausalLM.from_pretrained(SEEDLING, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(SEEDLING)

    def base_loss(ids: torch.Tensor, prompt: int) -> float:
        """The base's cross-entropy of what follows the prompt, by transformers itself."""
        labels = ids.clone()
        labels[:prompt] = -100
        with torch.no_grad():
            return float(model(ids[None], labels=labels[None]).loss)

    with build.start(config, tmp_path / "run") as trainer:
        teachers = trainer.population.by_role(Role.TEACHER)
        first, second, student = (trainer.adapters.get(slot) for slot in range(3))
        assert all(first[name].B.norm() > 0 for name in first)
        assert all(not torch.equal(first[name].B, second[name].B) for name in first)
        assert all(student[name].B.norm() == 0 for name in student)

        def encode(messages: Messages, text: str) -> tuple[list[int], list[int]]:
            prompt, reply = (tokenizer(item)["input_ids"] for item in (messages[-1].content, text))
            return prompt, [*reply, tokenizer.eos_token_id]

        lessons = draw_lessons(trainer.worlds, 6, 2, encode, np.random.default_rng(9))
        for member in teachers:
            scored = trainer.learner.rescored([item.sample(member, 0) for item in lessons])
            now = [-float(item.logprobs[item.mask].mean()) for item in scored]
            before = [
                base_loss(torch.from_numpy(item.ids).long(), item.prompt_length) for item in scored
            ]
            assert np.mean(now) < np.mean(before)
        untaught = trainer.population.by_role(Role.STUDENT)[0]
        scored = trainer.learner.rescored([item.sample(untaught, 0) for item in lessons])
        for item in scored:
            own = -float(item.logprobs[item.mask].mean())
            assert own == pytest.approx(
                base_loss(torch.from_numpy(item.ids).long(), item.prompt_length), abs=0.02
            )
    with build.resume(tmp_path / "run") as trainer:
        again = trainer.adapters.get(0)
        assert all(torch.equal(first[name].B, again[name].B) for name in first)
