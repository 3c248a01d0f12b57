"""The section `policy`: the frozen base and the adapters on it."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from redqueen.config.section import Section


def _tokens_or_auto(value: object) -> object:
    """One sentence, where a union would complain once for each of its parts."""
    if value != "auto" and not (type(value) is int and value >= 64):
        raise ValueError('should be a whole number from 64, or "auto"')
    return value


def _suffixes_or_all(value: object) -> object:
    """The same; an empty list would adapt nothing."""
    named = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    if value != "all-linear" and not (named and value):
        raise ValueError('should be a list of suffixes such as ["q_proj"], or "all-linear"')
    return value


class PolicyConfig(Section):
    """The frozen base and the adapters on it."""

    base: str = Field("seedling", min_length=1)
    """`seedling`, `seedling2` or `proof-seedling` (ship with the package), a local directory, a
    `.gguf` file (extra `gguf`), or a Hugging Face model id."""
    revision: str = ""
    """Commit, tag or branch of a model id; empty: the newest, whose commit the run keeps."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of the base's weights and activations. `auto`: bfloat16 where the device has kernels for
    it, which a GPU and a CPU with AVX-512 or AMX have, else float32; the run keeps which. Adapters
    are always kept in float32."""
    quantization: Literal["none", "8bit", "4bit"] = "none"
    """Weights of the base's linear layers in 8 bits (LLM.int8) or 4 bits (NF4, as QLoRA has it) by
    bitsandbytes, extra `quantized`; what is computed with them is in `dtype`. A merged export
    reads the whole weights again."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1` …"""
    trust_remote_code: bool = False
    """Run code that comes with a model. Only for models you trust."""
    rank: int = Field(8, ge=1)
    """LoRA rank r."""
    alpha: float = Field(16.0, gt=0)
    """LoRA alpha: the update is (alpha / rank) B A."""
    targets: Annotated[
        tuple[str, ...] | Literal["all-linear"], BeforeValidator(_suffixes_or_all)
    ] = "all-linear"
    """Suffixes of the linear layers that carry adapters, or all of them but the output head; of
    either, those that text reaches and whose adapters PEFT reads. Suffixes after a minus sign are
    left out: `["-gate"]`."""
    init_noise: float = Field(0.0, ge=0)
    """Standard deviation of the founders' B (0: every founder starts as the base, as in LoRA)."""
    learn_tokens: Annotated[int | Literal["auto"], BeforeValidator(_tokens_or_auto)] = "auto"
    """Most tokens in one forward and backward pass of the learner, all workers together. A prompt
    counts once for the attempts that share it. `auto`: as many as the free memory suits when the
    run begins, measured on a small pass; the run keeps the number."""
    gradient_checkpointing: bool | Literal["auto"] = "auto"
    """Compute each layer again in the backward pass instead of keeping it: a third slower, a
    fraction of the memory. `auto`: where the longest text would not fit otherwise."""
