"""Small random models of three architectures and a tokenizer, written to disk, no network."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from redqueen.config.policy import PolicyConfig
from redqueen.models.loading import load_base
from redqueen.models.population_model import PopulationModel

if TYPE_CHECKING:
    from peft import PeftModel

VOCAB = 96
EMBEDDINGS = 112
ARCHITECTURES = ("llama", "qwen2", "gpt2")


def save_tokenizer(path: Path) -> None:
    """One token a character; ids 0, 1, 2 are special."""
    characters = [chr(code) for code in range(32, 32 + VOCAB - 3)]
    vocab = {token: i for i, token in enumerate(["<pad>", "<s>", "</s>", *characters])}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    ).save_pretrained(path)


def small_model(kind: str, seed: int = 0, **more: int) -> PreTrainedModel:
    torch.manual_seed(seed)
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    sizes = {
        "vocab_size": EMBEDDINGS,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 96,
    }
    # A wide initialisation, so that distributions are far from even and argmax is decided.
    if kind == "llama":
        model = LlamaForCausalLM(LlamaConfig(**{**sizes, **ids, **more}, initializer_range=0.3))
    elif kind == "qwen2":
        config = Qwen2Config(
            **{**sizes, **ids, **more}, initializer_range=0.3, tie_word_embeddings=True
        )
        model = Qwen2ForCausalLM(config)
    else:
        config = GPT2Config(
            vocab_size=EMBEDDINGS,
            n_embd=32,
            n_layer=2,
            n_head=4,
            n_positions=96,
            initializer_range=0.3,
            **ids,
        )
        model = GPT2LMHeadModel(config)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def save_untrained_base(path: Path, **keys: Any) -> None:
    """A base of the seedling's vocabulary, as a user's own model lies on disk.

    It costs a tenth of the seedling, for runs whose texts do not depend on what it has learnt.
    `keys` go into its config.
    """
    tokenizer = load_base(PolicyConfig()).tokenizer
    sizes: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 4096,
        "eos_token_id": tokenizer.eos_token_id,
    }
    LlamaForCausalLM(LlamaConfig(**{**sizes, **keys})).save_pretrained(path)
    tokenizer.save_pretrained(path)


@pytest.fixture(scope="session")
def model_dirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    dirs = {}
    for kind in ARCHITECTURES:
        dirs[kind] = tmp_path_factory.mktemp(kind)
        small_model(kind).save_pretrained(dirs[kind])
        save_tokenizer(dirs[kind])
    return dirs


def in_peft(base: PreTrainedModel, adapter: Path, **options: Any) -> "PeftModel":
    """The base with an adapter as peft runs it."""
    from peft import PeftModel  # takes seconds: it imports a compiler

    return PeftModel.from_pretrained(base, adapter, **options)


def randomize(model: PopulationModel, scale: float = 0.2) -> None:
    """Adapters that matter: B of every slot random."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for b in model.adapters.B.values():
            b.copy_(torch.randn(b.shape, generator=generator) * scale)


@pytest.fixture
def make_model(model_dirs: dict[str, Path]):
    def make(kind: str = "llama", slots: int = 3, **settings: object) -> PopulationModel:
        values: dict[str, object] = {"base": str(model_dirs[kind]), "rank": 4, "alpha": 6.0}
        values |= {"device": "cpu", "dtype": "float32"}
        model = PopulationModel.load(PolicyConfig(**{**values, **settings}), slots=slots, seed=5)
        randomize(model)
        return model

    return make
