"""Classes of tokens, and the comparison with the likeliest token."""

import pytest
import torch

from recipes.common.training import build_model
from recipes.seedling2.corpus import Document
from recipes.seedling2.diagnose import class_of, hits, token_class
from recipes.seedling2.tokenizer import build_tokenizer


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("\n#12 ", "label"),
        ("; rest ", "end of a part"),
        ("; if True", "end of a part"),
        (" = False", "truth value"),
        ("7", "digit"),
        ("q", "letter"),
        (" + ", "other"),
    ],
)
def test_classes(text: str, name: str) -> None:
    assert token_class(text) == name


def test_the_chosen_program_is_a_class_of_its_own() -> None:
    chosen = Document("solve_f", 1, "", ())
    assert class_of(chosen, "\n#1 def f(a):", "7") == "program of code_f"
    assert class_of(chosen, "\n#1 def f(a):\n<input>\n3", "7") == "digit"
    assert class_of(Document("solve_o", 1, "", ()), "", "7") == "digit"


def test_hits_are_the_likeliest_tokens() -> None:
    torch.manual_seed(1)
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
             "num_attention_heads": 2}  # fmt: skip
    model = build_model(build_tokenizer(), shape)
    ids = [5]
    for _ in range(4):
        ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    assert hits(model, ids) == [True] * 4
    wrong = [*ids[:2], (ids[2] + 1) % 400, *ids[3:]]
    assert hits(model, wrong)[:2] == [True, False]
