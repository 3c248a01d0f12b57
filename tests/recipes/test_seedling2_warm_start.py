"""A warm start: on tokens that both know, the model says what the first one says."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

import redqueen
from recipes.seedling2.tokenizer import build_tokenizer
from recipes.seedling2.train import SHAPE
from recipes.seedling2.warm_start import warm_start

FIRST = Path(redqueen.__file__).parent / "bases" / "seedling"


def test_common_tokens_have_the_logits_of_the_first_model() -> None:
    tokenizer = build_tokenizer()
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **SHAPE))
    warm_start(model, tokenizer, FIRST)
    first = AutoModelForCausalLM.from_pretrained(FIRST, dtype=torch.float32)
    spell = AutoTokenizer.from_pretrained(FIRST)
    text = "if a + 7 > len(b) else 310"
    symbols = spell.convert_ids_to_tokens(spell(text)["input_ids"])
    ids = [tokenizer.convert_tokens_to_ids(symbol) for symbol in symbols]
    assert None not in ids
    with torch.no_grad():
        new = model(torch.tensor([ids])).logits[0]
        old = first(torch.tensor([spell.convert_tokens_to_ids(symbols)])).logits[0]
    for symbol in set(symbols):
        torch.testing.assert_close(
            new[:, tokenizer.convert_tokens_to_ids(symbol)],
            old[:, spell.convert_tokens_to_ids(symbol)],
        )


def test_another_shape_is_refused() -> None:
    tokenizer = build_tokenizer()
    shape = {**SHAPE, "num_hidden_layers": 7}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **shape))
    with pytest.raises(RuntimeError, match="lacks"):
        warm_start(model, tokenizer, FIRST)
