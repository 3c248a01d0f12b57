"""Begin with what another seedling knows: copying, small sums, looking names up.

The layers are taken as they are. A token that both vocabularies have keeps its embedding; a new one
begins as the mean of the old tokens that spell it.
"""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM
from transformers import PreTrainedTokenizerFast as Tokenizer


def warm_start(model: LlamaForCausalLM, tokenizer: Tokenizer, directory: Path) -> None:
    """Fill `model` with the weights of the checkpoint in `directory`.

    Raises:
        RuntimeError: the shapes of the layers differ.
    """
    first = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    spell = AutoTokenizer.from_pretrained(directory)
    weights = {k: v for k, v in first.state_dict().items() if "embed_tokens" not in k}
    weights.pop("lm_head.weight")
    missing, _ = model.load_state_dict(weights, strict=False)
    if set(missing) - {"model.embed_tokens.weight", "lm_head.weight"}:
        raise RuntimeError(f"the checkpoint lacks {missing}")
    old_VD = first.get_input_embeddings().weight.detach()
    special = {
        tokenizer.eos_token_id: spell.eos_token_id,
        tokenizer.pad_token_id: spell.pad_token_id,
    }
    with torch.no_grad():
        new_VD = model.get_input_embeddings().weight
        for index in range(len(tokenizer)):
            text = tokenizer.decode([index])
            symbol = tokenizer.convert_ids_to_tokens(index)
            same = spell.convert_tokens_to_ids(symbol)
            if index in special:
                ids = [special[index]]
            elif same is not None:
                ids = [same]
            else:
                ids = spell(text)["input_ids"]
            new_VD[index] = old_VD[ids].mean(0)
