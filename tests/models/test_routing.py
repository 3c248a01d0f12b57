"""Routed logits and gradients against PEFT, and the base bit for bit."""

import gc
import weakref
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from redqueen.errors import ConfigError
from redqueen.models.population_model import PopulationModel
from redqueen.models.routing import Route, runs_of
from tests.small_models import ARCHITECTURES, EMBEDDINGS, in_peft


def reference(path: Path):
    return AutoModelForCausalLM.from_pretrained(path).eval()


def tokens(rows: int, length: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(3, EMBEDDINGS, (rows, length), generator=generator)


SLOTS = {
    "equal": [0, 0, 1, 1, 2, 2],
    "one_token_runs": [2, 0, 1],
    "uneven_with_base": [0, 0, 0, 1, 2, 2, None],
    "base_first": [None, 1, 1, 2, 2],
    "base_between": [1, None, 2],
    "unsorted": [1, 0, 1, None, 0, 2, 2],
    "one": [2, 2],
}


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_mixed_batch_equals_peft(make_model, model_dirs, tmp_path: Path, kind: str) -> None:
    model = make_model(kind)
    peft = None
    for slot in range(3):
        model.export(slot, tmp_path / str(slot))
        if peft is None:
            peft = in_peft(reference(model_dirs[kind]), tmp_path / "0", adapter_name="0")
        else:
            peft.load_adapter(tmp_path / str(slot), adapter_name=str(slot))
    slots = SLOTS["uneven_with_base"]
    ids = tokens(len(slots), 9)
    base = reference(model_dirs[kind])
    with torch.no_grad():
        with model.router.route(slots):
            mixed = model.base.model(ids).logits
        worst = 0.0
        for row, slot in enumerate(slots):
            one = ids[row : row + 1]
            plain = base(one).logits[0]
            if slot is None:
                expected = plain
            else:
                peft.set_adapter(str(slot))
                expected = peft(one).logits[0]
                # The adapters must matter, or agreement would mean nothing.
                assert (expected - plain).abs().max() > 0.1
            worst = max(worst, float((mixed[row] - expected).abs().max()))
    assert worst <= 1e-4


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_routing_off_is_the_untouched_base(make_model, model_dirs, kind: str) -> None:
    model = make_model(kind)
    base = reference(model_dirs[kind])
    ids = tokens(4, 8)
    with torch.no_grad():
        expected = base(ids).logits
        assert torch.equal(model.base.model(ids).logits, expected)
        for off in (None, [None] * 4):
            with model.router.route(off):
                assert torch.equal(model.base.model(ids).logits, expected)
        with model.router.route([0, None, None, 1]):
            mixed = model.base.model(ids).logits
    assert torch.equal(mixed[1:3], expected[1:3])
    assert not torch.allclose(mixed[0], expected[0], atol=0.1)


@pytest.mark.parametrize("name", SLOTS)
@pytest.mark.parametrize("strategy", ["auto", "segments", "padded"])
@pytest.mark.parametrize("grad", [False, True])
def test_every_strategy_equals_a_loop(make_model, name: str, strategy: str, grad: bool) -> None:
    model = make_model()
    stack, layer = model.adapters, "model.layers.0.mlp.up_proj"
    slots = SLOTS[name]
    x = torch.randn(len(slots), 5, 32, generator=torch.Generator().manual_seed(0))
    out = torch.randn(len(slots), 5, 48, generator=torch.Generator().manual_seed(1))
    rows = []
    for row, slot in enumerate(slots):
        delta = 0.0
        if slot is not None:
            delta = 1.5 * x[row] @ stack.A[layer][slot].T @ stack.B[layer][slot].T
        rows.append(out[row] + delta)
    expected = torch.stack(rows)
    with torch.set_grad_enabled(grad):
        route = Route(stack, slots, strategy)
        result = route.apply(layer, x, out.clone())
    assert torch.allclose(result, expected, atol=1e-5)
    if grad:
        weight = torch.randn(result.shape, generator=torch.Generator().manual_seed(2))
        ours = torch.autograd.grad((result * weight).sum(), [stack.A[layer], stack.B[layer]])
        loop = torch.autograd.grad((expected * weight).sum(), [stack.A[layer], stack.B[layer]])
        for one, other in zip(ours, loop, strict=True):
            assert torch.allclose(one, other, atol=1e-4)


def test_auto_picks_one_batched_product_when_runs_are_equal(make_model) -> None:
    stack = make_model().adapters
    chosen = {name: Route(stack, slots, "auto").strategy for name, slots in SLOTS.items()}
    grouped = {name for name, strategy in chosen.items() if strategy == "grouped"}
    assert grouped == {"equal", "one_token_runs", "base_first", "one"}
    with pytest.raises(ValueError, match="equal length"):
        Route(stack, SLOTS["unsorted"], "grouped")


def test_runs_cover_the_rows_in_order() -> None:
    runs = runs_of([1, 1, None, 1, 0])
    assert [(run.slot, run.start, run.stop) for run in runs] == [
        (1, 0, 2),
        (None, 2, 3),
        (1, 3, 4),
        (0, 4, 5),
    ]


def test_gradients_equal_peft_and_others_are_zero(make_model, model_dirs, tmp_path: Path) -> None:
    model: PopulationModel = make_model(slots=4)
    slots = [2, 0, 2, 0, 0, None]
    prompts = [tuple(tokens(1, 3 + i)[0].tolist()) for i in range(6)]
    completions = [tuple(tokens(1, 7 - i)[0].tolist()) for i in range(6)]
    logprobs_BT, _ = model.score(slots, prompts, completions, temperature=0.8)
    weight_BT = torch.arange(1.0, logprobs_BT.numel() + 1).view_as(logprobs_BT).sin()
    names = list(model.adapters.parameters())
    leaves = list(model.adapters.parameters().values())
    grads = dict(
        zip(names, torch.autograd.grad((logprobs_BT * weight_BT).sum(), leaves), strict=True)
    )
    for slot in (0, 2):
        model.export(slot, tmp_path / str(slot))
        peft = in_peft(reference(model_dirs["llama"]), tmp_path / str(slot), is_trainable=True)
        loss = torch.zeros(())
        for row in range(6):
            if slots[row] == slot:
                ids = torch.tensor([[*prompts[row], *completions[row]]])
                logprobs = (peft(ids).logits[0] / 0.8).log_softmax(-1)
                for t, token in enumerate(completions[row]):
                    place = len(prompts[row]) - 1 + t
                    loss = loss + weight_BT[row, t] * logprobs[place, token]
        loss.backward()
        theirs = dict(peft.named_parameters())
        for name in names:
            layer, factor = name.rsplit(".", 1)
            expected = theirs[f"base_model.model.{layer}.lora_{factor}.default.weight"].grad
            assert expected.abs().max() > 0
            scale = float(expected.abs().max())
            assert (grads[name][slot] - expected).abs().max() <= 1e-4 * max(scale, 1.0)
    for name in names:
        assert torch.count_nonzero(grads[name][1]) == 0
        assert torch.count_nonzero(grads[name][3]) == 0
    assert all(p.grad is None and not p.requires_grad for p in model.base.model.parameters())


def test_a_broken_adapter_does_not_reach_other_rows(make_model) -> None:
    model = make_model()
    ids = tokens(6, 5)
    slots = SLOTS["equal"]
    with torch.no_grad(), model.router.route(slots):
        before = model.base.model(ids).logits
    with torch.no_grad():
        model.adapters.B["model.layers.0.mlp.up_proj"][1] = float("nan")
    with torch.no_grad(), model.router.route(slots):
        after = model.base.model(ids).logits
    assert torch.isnan(after[2:4]).all()
    assert torch.equal(after[[0, 1, 4, 5]], before[[0, 1, 4, 5]])


def test_targets_by_suffix(make_model) -> None:
    model = make_model(targets=("q_proj", "mlp.down_proj"))
    assert list(model.adapters.layers) == [
        "model.layers.0.self_attn.q_proj",
        "model.layers.0.mlp.down_proj",
        "model.layers.1.self_attn.q_proj",
        "model.layers.1.mlp.down_proj",
    ]
    with pytest.raises(ConfigError, match=r"no linear layer is called 'c_attn'.*q_proj"):
        make_model(targets=("q_proj", "c_attn"))


def test_route_is_restored_and_checked(make_model) -> None:
    model = make_model()
    ids = tokens(2, 4)
    with torch.no_grad():
        off = model.base.model(ids).logits
        with pytest.raises(RuntimeError, match="stop"), model.router.route([0, 1]):
            raise RuntimeError("stop")
        assert torch.equal(model.base.model(ids).logits, off)
        with pytest.raises(IndexError, match="slot 3"), model.router.route([0, 3]):
            pass
        with pytest.raises(ValueError, match="cannot be told apart"), model.router.route([0]):
            model.base.model(ids)


def test_a_closed_router_lets_go_of_model_and_adapters(make_model) -> None:
    model = make_model()
    base, ids, kept = model.base.model, tokens(2, 5), weakref.ref(model.adapters)
    with torch.no_grad():
        plain = base(ids).logits
        with model.router.route([0, 1]):
            routed = base(ids).logits
            model.router.close()
            assert torch.equal(base(ids).logits, plain)
    assert not torch.allclose(routed, plain)
    del model
    gc.collect()
    assert kept() is None
