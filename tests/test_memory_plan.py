"""The plan: shapes from a config alone, memory by part, and what to change."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from redqueen.cli import main
from redqueen.config import Config, merge
from redqueen.errors import ConfigError
from redqueen.plan import (
    CARD,
    LLAMA_3_8B,
    Work,
    advice,
    base_shapes,
    budget_of,
    product_seconds,
    shapes_of,
)
from tests.small_models import make_model, model_dirs

__all__ = ["make_model", "model_dirs"]

Make = Callable[..., Config]
CUDA = torch.device("cuda")


@pytest.fixture
def tiny(tiny: Make) -> Make:
    """The plan decides what others set."""
    left = {"policy": {"learn_tokens": "auto", "gradient_checkpointing": "auto"}}
    return lambda **over: tiny(**merge(left, over))


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_shapes_are_those_of_the_loaded_model(tiny: Make, make_model, model_dirs, kind) -> None:
    model = make_model(kind)
    shapes = base_shapes(tiny(policy={"base": str(model_dirs[kind])}))
    assert shapes.parameters == model.num_parameters
    assert shapes.adapted * model.adapters.rank == model.adapters.num_parameters
    head = model.base.head.output.weight_VD
    assert head is not None
    assert shapes.linear[-1] == tuple(head.shape)
    assert len(shapes.linear) == len(model.adapters.layers) + 1


def test_llama_3_8b_with_a_hundred_adapters(tiny: Make) -> None:
    shapes = shapes_of(LLAMA_3_8B, "all-linear")
    assert shapes.parameters == 8_030_261_248
    config = tiny(
        population={"teachers": 50, "students": 50},
        policy={"rank": 8, "dtype": "bfloat16"},
        rollout={"matches": 50},
    )
    budget = budget_of(config, shapes, CUDA, CARD)
    assert budget.parts["base"] == 2 * shapes.parameters
    one = 4 * 8 * shapes.adapted
    assert budget.parts["adapters"] == 100 * one
    assert budget.parts["moments"] == 2 * budget.parts["adapters"]
    assert budget.recompute
    assert budget.peak > CARD
    assert any("rank = 4" in hint for hint in advice(budget, CARD, config, CUDA))
    assert advice(budget, 10 * CARD, config, CUDA) == []


def test_the_work_of_a_step(tiny: Make) -> None:
    work = Work.of(tiny(rollout={"matches": 2, "tasks_per_match": 3, "attempts": 5}))
    assert (work.members, work.proposals, work.attempts, work.rows) == (4, 6, 30, 30)
    assert Work.of(tiny(population={"teachers": 0, "students": 4})).proposals == 0


@pytest.mark.parametrize(
    ("interaction", "texts"),
    [
        ({"type": "refine", "answers": 3}, 4 * 2 * 3),
        ({"type": "debate", "rounds": 3}, 4 * 2 * 3),
        ({"type": "debate", "rounds": 3, "reads": "summary"}, 4 * 2 * 5),
        ({"type": "specialists", "rounds": 2}, 2 * 2 * 2),  # the critics only go on
        ({"type": "malt", "branches": 3}, 2 * 2 * (1 + 3 + 9)),  # two teams
        ({"type": "vote"}, 4 * 2),
    ],
)
def test_further_turns_are_work(tiny: Make, interaction: dict[str, Any], texts: int) -> None:
    config = tiny(
        population={"teachers": 0, "students": 4},
        learner={"student": {"advantage": "imitation"}},
        rollout={
            "matches": 2,
            "tasks_per_match": 3,
            "attempts": 2,
            "students_per_task": 4,
            "interaction": interaction,
        },
    )
    assert Work.of(config).attempts == 6 * texts


def test_layers_that_differ_are_counted_each(tiny: Make) -> None:
    values = {
        "model_type": "gemma4_text", "vocab_size": 112, "hidden_size": 32, "num_hidden_layers": 2,
        "intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
        "global_head_dim": 16, "layer_types": ["sliding_attention", "full_attention"],
    }  # fmt: skip
    shapes = shapes_of(values, "all-linear")
    assert shapes.layers == 2
    assert 2 * 2 * 8 < shapes.states <= 2 * 2 * 16
    assert budget_of(tiny(), shapes, CUDA, CARD).peak > 0


def test_a_config_that_is_no_model() -> None:
    with pytest.raises(ConfigError, match=r"policy\.base: no model can be made"):
        shapes_of({"model_type": "llama", "hidden_size": "wide"}, "all-linear")


def test_a_layer_that_fits_no_machine(tiny: Make) -> None:
    values = {"model_type": "llama", "hidden_size": 10**9, "num_hidden_layers": 1}
    vast = shapes_of({**values, "num_attention_heads": 1}, "all-linear")
    with pytest.raises(ConfigError, match="does not fit this machine"):
        product_seconds(vast, 1, torch.float32, blocked=False)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--rollout.matches", "2", "--rollout.attempts", "2"]) == 0
    printed = capsys.readouterr().out
    for part in ("base", "moments", "keys and values", "24 GB card", "A step here: about"):
        assert part in printed
