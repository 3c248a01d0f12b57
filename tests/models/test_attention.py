"""Taking over a model's attention: where it is exact, and where it must not happen."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from redqueen.models.attention import (
    LibraryModel,
    PackedAttention,
    UnfitModelError,
    dense_attention,
    fused_attention,
)
from redqueen.models.attention import fit as fit_with_head
from redqueen.models.head import HeadSelector
from redqueen.models.packing import Packing, Text, bias_of
from tests.small_models import ARCHITECTURES, small_model

SIZES = {
    "vocab_size": 112,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def fit(model: nn.Module) -> LibraryModel | None:
    return fit_with_head(model, HeadSelector(model))


@pytest.mark.parametrize("queries", [1, 5])
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dense_attention_equals_the_library(
    queries: int, kv_heads: int, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(3, 4, queries, 8, generator=generator).to(dtype)
    k, v = (torch.randn(3, kv_heads, 7, 8, generator=generator).to(dtype) for _ in range(2))
    mask = torch.rand(3, queries, 7, generator=generator) < 0.6
    mask[:, :, 0] = True
    expected = functional.scaled_dot_product_attention(
        q.float(),
        k.float().repeat_interleave(4 // kv_heads, 1),
        v.float().repeat_interleave(4 // kv_heads, 1),
        mask[:, None],
        scale=0.4,
    )
    for attend in (dense_attention, fused_attention):
        found = attend(q, k, v, bias_of(mask), 0.4)
        assert found.dtype == dtype
        worst = float((found.float() - expected.transpose(1, 2)).abs().max())
        assert worst <= (1e-5 if dtype == torch.float32 else 2e-2)


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_the_common_architectures_fit_and_keep_their_bits(kind: str) -> None:
    ids = torch.arange(3, 15).view(2, 6)
    mask = torch.ones_like(ids)
    mask[0, :2] = 0
    plain = small_model(kind)
    with torch.no_grad():
        expected = plain(ids).logits, plain(ids, attention_mask=mask).logits
        model = small_model(kind)
        assert fit(model) is not None
        assert torch.equal(model(ids).logits, expected[0])
        assert torch.equal(model(ids, attention_mask=mask).logits, expected[1])


class Meeting:
    """An attention that runs something else in the middle of its forward pass."""

    def __init__(self, inside: Callable[[], None]) -> None:
        self.inside = inside

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        self.inside()
        return torch.zeros_like(q)


def test_an_attention_is_of_one_model_and_one_thread() -> None:
    first, second = small_model("llama"), small_model("llama")
    library = fit(first)
    assert library is not None
    assert fit(second) is not None
    ids = torch.arange(3, 9)[None]
    with torch.no_grad():
        expected = second(ids).logits
    seen: list[bool] = []

    def other() -> None:
        with torch.no_grad():
            seen.append(torch.equal(second(ids).logits, expected))
            with ThreadPoolExecutor(1) as pool:
                seen.append(torch.equal(pool.submit(lambda: first(ids).logits).result(), expected))

    with torch.no_grad():
        library.logits(ids[0], torch.arange(6), None, Meeting(other))
    assert seen == [True] * 4


@pytest.mark.parametrize(
    "model",
    [
        MistralForCausalLM(MistralConfig(**SIZES, sliding_window=64)),
        BloomForCausalLM(BloomConfig(vocab_size=112, hidden_size=32, n_layer=2, n_head=4)),
        Gemma2ForCausalLM(Gemma2Config(**SIZES, head_dim=8)),
        MambaForCausalLM(MambaConfig(vocab_size=112, hidden_size=32, num_hidden_layers=2)),
    ],
    ids=["sliding window", "alibi", "softcap", "recurrent"],
)
def test_other_ways_to_attend_are_left_alone(model: nn.Module) -> None:
    before = model.config._attn_implementation
    assert fit(model.eval()) is None
    assert model.config._attn_implementation == before


def test_a_model_that_packed_rows_would_change_is_found_out(monkeypatch) -> None:
    """A position-blind model: its forward pass ignores `position_ids`."""
    model = small_model("gpt2")
    forward = model.transformer.wpe.forward
    monkeypatch.setattr(
        model.transformer.wpe,
        "forward",
        lambda position: forward(torch.arange(position.shape[-1])[None]),
    )
    assert fit(model) is None
    assert model.config._attn_implementation == "sdpa"


def test_special_attention_is_refused_at_the_layer() -> None:
    model = small_model("llama")
    library = fit(model)
    assert library is not None
    q = torch.zeros(1, 4, 2, 8)

    def special() -> None:
        library(model.model.layers[0].self_attn, q, q, q, None, softcap=30.0)

    with pytest.raises(UnfitModelError, match="softcap"):
        library.logits(torch.arange(3, 5), torch.arange(2), None, Meeting(special))


def test_logits_of_chosen_tokens_alone() -> None:
    library = fit(small_model("gpt2"))
    assert library is not None
    packing = Packing([Text(None, (3, 4), (5, 6)), Text(None, (8,))], torch.device("cpu"))
    inputs = (packing.ids_N, packing.position_N, None, PackedAttention(packing))
    with torch.no_grad():
        every = library.logits(*inputs)
        some = library.logits(*inputs, torch.tensor([4, 0, 0]))
    assert torch.allclose(some, every[[4, 0, 0]], atol=1e-5)
