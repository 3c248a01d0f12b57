"""How far a training has come, in a minute, without sampling: the model reads documents that it has
not seen, and each next token is compared with its likeliest one.

    python -m recipes.seedling2.diagnose build/seedling2

Shows the accuracy by class of token (where the run goes on, which name is bound, digits, letters),
and the share of solutions in which every token is right: what greedy decoding would solve, a second
right way aside.
"""

import argparse
from collections import Counter
from itertools import islice
from pathlib import Path

import torch
from transformers import LlamaForCausalLM

from recipes.common.training import build_model, find_checkpoint, load_sharded
from recipes.seedling2.corpus import Document, documents
from recipes.seedling2.tokenizer import build_tokenizer
from recipes.seedling2.train import SHAPE, Tokenize, make_row
from redqueen.rng import derive_seed

SEED = 90_002
"""The corpus of the training comes from other seeds."""


def token_class(text: str) -> str:
    """The class of a token of a run."""
    if text.startswith("\n#"):
        return "label"
    if text.startswith("; "):
        return "end of a part"
    if text.strip(" =") in ("True", "False"):
        return "truth value"
    if text.isdigit():
        return "digit"
    if len(text) == 1 and text.isalpha():
        return "letter"
    return "other"


def class_of(document: Document, before: str, text: str) -> str:
    """The class of a token; the program that a `code_f` solution chooses is one of its own."""
    if document.kind == "solve_f" and "\n<input>" not in before:
        return "program of code_f"
    return token_class(text)


def hits(model: LlamaForCausalLM, ids: list[int]) -> list[bool]:
    """Whether each token but the first is the likeliest one after those before it."""
    with torch.no_grad():
        guess = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].argmax(-1)
    return [int(guess[place - 1]) == ids[place] for place in range(1, len(ids))]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="a training's folder")
    parser.add_argument("--documents", type=int, default=300)
    args = parser.parse_args()
    folder = find_checkpoint(args.out)
    if folder is None:
        raise SystemExit(f"there is no checkpoint in {args.out}")
    print((folder / "state.json").read_text())
    tokenizer, tokenize = build_tokenizer(), Tokenize()
    model = build_model(tokenizer, SHAPE)
    model.load_state_dict(load_sharded(folder, "model"), strict=False)
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for document in islice(documents(derive_seed(SEED, "diagnose")), args.documents):
        row = make_row(document, tokenize, tokenizer.eos_token_id)
        if row is None or not document.kind.startswith("solve"):
            continue
        ids, weights = row
        start = len(tokenize(document.prompt))
        verdicts = hits(model, ids)
        group = f"all of {document.kind}, band {document.band}"
        whole = True
        for place in range(start, len(ids)):
            if weights[place]:
                before = tokenizer.decode(ids[start:place])
                name = class_of(document, before, tokenizer.decode([ids[place]]))
                total[name] += 1
                right[name] += verdicts[place - 1]
                whole = whole and verdicts[place - 1]
        total[group] += 1
        right[group] += whole
    for name in sorted(total):
        print(f"{name:28s} {100 * right[name] / total[name]:5.1f} % of {total[name]}")


if __name__ == "__main__":
    main()
