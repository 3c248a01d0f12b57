"""The recipes' shared parts: a resumed training is the training that went on; shards are small."""

from pathlib import Path

import pytest
import torch

from recipes.common.training import (
    Batch,
    Optimizers,
    build_model,
    build_optimizers,
    collate,
    find_checkpoint,
    load_checkpoint,
    load_sharded,
    save_checkpoint,
    save_sharded,
    step_optimizers,
    weighted_loss,
)
from recipes.seedling2.tokenizer import build_tokenizer

SHAPE = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
}


def begin() -> tuple[torch.nn.Module, Optimizers]:
    torch.manual_seed(0)
    model = build_model(build_tokenizer(), SHAPE)
    return model, build_optimizers(model, 1e-2)


def train(model: torch.nn.Module, optimizers: Optimizers, steps: range) -> None:
    for step in steps:
        torch.manual_seed(step)
        batch = Batch(torch.randint(0, 400, (3, 12)), torch.ones(3, 12))
        weighted_loss(model(input_ids=batch.ids_BT).logits, batch).backward()
        step_optimizers(model, optimizers, 1e-2)


def test_a_resumed_training_is_the_one_that_went_on(tmp_path: Path) -> None:
    whole, optimizers = begin()
    train(whole, optimizers, range(3))
    save_checkpoint(tmp_path, whole, optimizers, '{"step": 3}', torch.float32)
    train(whole, optimizers, range(3, 6))
    resumed, fresh = begin()
    folder = find_checkpoint(tmp_path / "nothing", tmp_path)
    assert folder == tmp_path / "checkpoint"
    assert load_checkpoint(folder, resumed, fresh) == '{"step": 3}'
    train(resumed, fresh, range(3, 6))
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0)


def test_a_save_that_broke_off_leaves_the_old_one(tmp_path: Path) -> None:
    model, optimizers = begin()
    save_checkpoint(tmp_path, model, optimizers, "{}", torch.bfloat16)
    (tmp_path / "checkpoint").rename(tmp_path / "checkpoint.old")
    assert find_checkpoint(tmp_path) == tmp_path / "checkpoint.old"
    assert find_checkpoint(tmp_path / "elsewhere") is None


def test_shards_stay_below_16_mib(tmp_path: Path) -> None:
    tensors = {f"t{i}": torch.full((2**20,), float(i)) for i in range(7)}
    save_sharded(tensors, tmp_path, "model")
    paths = list(tmp_path.glob("*.safetensors"))
    assert len(paths) > 1
    assert all(path.stat().st_size < 16 * 2**20 for path in paths)
    back = load_sharded(tmp_path, "model")
    assert all(torch.equal(back[name], value) for name, value in tensors.items())


def test_the_loss_weighs_the_token_that_is_predicted() -> None:
    logits = torch.randn(2, 3, 5)
    batch = Batch(torch.tensor([[0, 1, 2], [3, 4, 0]]), torch.tensor([[9.0, 1, 0], [9.0, 2, 0.5]]))
    total = 0.0
    for row, place, weight in ((0, 1, 1.0), (1, 1, 2.0), (1, 2, 0.5)):
        target = batch.ids_BT[row, place]
        total -= weight * float(logits[row, place - 1].log_softmax(-1)[target])
    assert float(weighted_loss(logits, batch)) == pytest.approx(total / 3.5, rel=1e-5)


def test_rows_are_padded_without_weight() -> None:
    batch = collate([([5, 6, 7], [0.1, 1.0, 1.0]), ([8], [0.5])], pad=1, device="cpu")
    assert batch.ids_BT.shape == (2, 16)
    assert batch.ids_BT[1, :3].tolist() == [8, 1, 1]
    assert batch.weight_BT.sum().item() == pytest.approx(2.6)
