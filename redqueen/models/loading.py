"""The frozen base: load model and tokenizer, and say in one sentence what is wrong with them.

Weights are safetensors only, and code that comes with a model runs only if the user asked for it.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    GgufConfig,
)
from transformers.utils import logging as transformers_logging

from redqueen.config.policy import PolicyConfig
from redqueen.errors import ConfigError
from redqueen.models.attention import PackedKernel, PackedModel, attend_tiles, fit
from redqueen.models.fused import fuse
from redqueen.models.head import HeadSelector
from redqueen.models.precision import DTYPES, settle_dtype
from redqueen.models.sources import files_of, is_gguf, not_loaded, one_line, resolve_base

log = logging.getLogger(__name__)

MOST_LAYERS = 10_000
"""No model has as many; to make one of a damaged config would take hours."""


@dataclass(frozen=True, slots=True)
class Base:
    """A frozen causal language model with what generation and scoring need to know of it."""

    model: nn.Module
    tokenizer: Any
    device: torch.device
    dtype: torch.dtype
    head: HeadSelector
    prefix_ids: tuple[int, ...]
    """Special tokens the tokenizer puts before a text (usually the beginning-of-sequence)."""
    eos_ids: frozenset[int]
    embeddings: int
    """Tokens the model knows; a tokenizer may list more."""
    context: int | None
    """Longest sequence in tokens, prompt and completion together; None: no limit known."""
    packed: PackedModel | None
    """Reads texts that share prompts; None where the model's own attention must stay."""
    kernel: PackedKernel = attend_tiles
    """Attention of packed texts."""
    digest: str = ""
    """Of the weights; see `digest_of`."""
    recompute: bool = False
    """Whether layers are computed again in the backward pass (gradient checkpointing)."""

    def encode(self, prompt: str) -> tuple[int, ...]:
        """Tokenise a prompt, with exactly one set of leading special tokens.

        Special tokens spelled out in the text (as chat templates do) are recognised; the
        tokenizer's own prefix is added only when the text does not begin with it already, and
        nothing is ever appended.

        Raises:
            ConfigError: the tokenizer gives a token that the model does not have.
        """
        ids = tuple(self.tokenizer(prompt, add_special_tokens=False, verbose=False)["input_ids"])
        if max(ids, default=0) >= self.embeddings:
            raise ConfigError(
                f"policy.base: the tokenizer gives token {max(ids)}, the model has only "
                f"{self.embeddings} embeddings; tokenizer and model do not belong together"
            )
        prefix = self.prefix_ids
        return ids if ids[: len(prefix)] == prefix else prefix + ids

    def encode_reply(self, text: str) -> tuple[int, ...]:
        """Return the tokens of what the model should have written: no leading special tokens, and
        at the end the one that ends a text."""
        end = self.tokenizer.eos_token_id
        ids = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return (*ids, end if end in self.eos_ids else min(self.eos_ids))

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of sampled tokens as written, without those that end or pad a text.

        Other special tokens stay: some bases have answer tags among them.
        """
        silent = {*self.eos_ids, self.tokenizer.pad_token_id}
        text: str = self.tokenizer.decode(
            [token for token in token_ids if token not in silent],
            skip_special_tokens=False,
            clean_up_tokenization_spaces=False,
        )
        return text


def resolve_device(name: str) -> torch.device:
    """Turn `auto`, `cpu`, `cuda`, `cuda:1` into a device.

    Raises:
        ConfigError: not a device, or not on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(
            f"policy.device = {name!r} is not a device; use auto, cpu, cuda or cuda:N"
        ) from None
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"policy.device = {name!r} is not supported; use auto, cpu or cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise ConfigError(
            f"policy.device = {name!r}, but this machine has {count} CUDA devices; use auto or cpu"
        )
    return device


def _bits(config: PolicyConfig) -> BitsAndBytesConfig:
    """Return how bitsandbytes is to quantise.

    Raises:
        ConfigError: it is not installed.
    """
    if find_spec("bitsandbytes") is None or find_spec("accelerate") is None:
        raise ConfigError(
            f"policy.quantization = {config.quantization!r} needs bitsandbytes; install it with: "
            "pip install 'redqueen[quantized]'"
        )
    if config.quantization == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=DTYPES[config.dtype],
    )


def _prefix_ids(tokenizer: Any) -> tuple[int, ...]:
    bare: list[int] = tokenizer("a", add_special_tokens=False)["input_ids"]
    full: list[int] = tokenizer("a", add_special_tokens=True)["input_ids"]
    for start in range(len(full) - len(bare) + 1):
        if full[start : start + len(bare)] == bare:
            return tuple(full[:start])
    return ()


def _eos_ids(model: Any, tokenizer: Any, embeddings: int) -> frozenset[int]:
    """Return the tokens that end a text, of all places that name some.

    Raises:
        ConfigError: one of them is no number.
    """
    found: set[int] = set()
    generation = getattr(model, "generation_config", None)
    for source in (generation, model.config, tokenizer):
        value = getattr(source, "eos_token_id", None)
        for item in value if isinstance(value, list | tuple) else [value]:
            if item is not None and type(item) is not int:
                raise ConfigError(f"policy.base: its eos_token_id = {value!r} is no token's number")
            if item is not None and 0 <= item < embeddings:
                found.add(item)
    return frozenset(found)


def check_kind(config: Any, where: str) -> None:
    """Refuse a model of a kind that writes no text from left to right, or far too many layers.

    Raises:
        ConfigError: it is one; the sentence begins with `where`.
    """
    kind = getattr(config, "model_type", "")
    if getattr(config, "is_encoder_decoder", False):
        raise ConfigError(
            f"{where} is an encoder-decoder ({kind}); a causal language model is needed"
        )
    remote = "AutoModelForCausalLM" in (getattr(config, "auto_map", None) or {})
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING and not remote:
        raise ConfigError(
            f"{where} is of the kind {kind!r}, of which the library has no causal language model; "
            "take a base that reads and writes text alone"
        )
    layers = getattr(config.get_text_config(decoder=True), "num_hidden_layers", 1)
    if isinstance(layers, int) and not 0 < layers <= MOST_LAYERS:
        raise ConfigError(
            f"{where}: its config.json says num_hidden_layers = {layers}; is it damaged?"
        )


def load_base(config: PolicyConfig) -> Base:
    """Load the frozen base that `config` names: eval mode, no gradients, safetensors only.

    Raises:
        ConfigError: path, name, device or files are not usable; the message says what to do.
    """
    device = resolve_device(config.device)
    if device.type == "cuda":
        # Runs on an H200 ended with gradients that were not finite while cuDNN's attention, which
        # comes first there, and another kernel that is gone took part.
        torch.backends.cuda.enable_cudnn_sdp(False)
    config = settle_dtype(config, device)
    source = resolve_base(config.base)
    dtype = DTYPES[config.dtype]
    where = f"policy.base = {config.base!r}"
    options: dict[str, Any] = {}
    if config.quantization != "none":
        if is_gguf(source):
            raise ConfigError(
                f"{where} is a GGUF file, which is read whole: policy.quantization does not apply"
            )
        # Quantised weights are made where they shall lie; they cannot be moved.
        options |= {"quantization_config": _bits(config), "device_map": {"": device}}
    if Path(source).exists():
        # Reading files takes a moment; its progress bar would cut into the live display.
        transformers_logging.disable_progress_bar()
    try:
        with _silence():
            tokenizer, model, loading = _read(source, config, options)
    except ConfigError:
        raise
    except Exception as error:  # the library's, of any kind, about files that somebody else wrote
        raise not_loaded(where, error) from error
    for module in model.modules():
        # Else bitsandbytes orders the weights anew for its kernels at the first text that is
        # written, and gradients through them are wrong from then on.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    _check_weights(loading, where)
    try:
        model = model.eval() if "device_map" in options else model.eval().to(device)
    except torch.OutOfMemoryError:
        raise ConfigError(
            f"{where} does not fit the memory of {device}; `redqueen plan` says what would"
        ) from None
    try:
        base = assemble(model, tokenizer, dtype)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"{where} loads, but does not run: {one_line(error)}") from error
    if not base.eos_ids:
        log.warning(
            "%s names no token that ends a text (eos_token_id): every text will be as long as it "
            "may be",
            where,
        )
    known = len(tokenizer)
    if known < base.embeddings / 2:
        log.warning(
            "%s: its tokenizer knows %d tokens, the model %d; do they belong together?",
            where, known, base.embeddings,
        )  # fmt: skip
    return replace(base, digest=digest_of(source, model))


def _check_weights(loading: Mapping[str, Any], where: str) -> None:
    """Refuse a model that the library filled up with random numbers; tell of weights left out.

    Raises:
        ConfigError: weights are missing or have another shape.
    """
    if loading["mismatched_keys"]:
        name, found, expected = sorted(loading["mismatched_keys"])[0]
        raise ConfigError(
            f"{where} cannot be loaded: {len(loading['mismatched_keys'])} weights have another "
            f"shape than its config.json says, for instance {name}: {tuple(found)}, not "
            f"{tuple(expected)}"
        )
    if loading["missing_keys"]:
        names = sorted(loading["missing_keys"])
        raise ConfigError(f"{where} lacks {len(names)} weights, for instance {names[0]}")
    if loading["unexpected_keys"]:
        names = sorted(loading["unexpected_keys"])
        log.warning(
            "%s: %d of its weights, for instance %s, have no place in the model that its "
            "config.json describes; they are left out",
            where, len(names), names[0],
        )  # fmt: skip


@contextmanager
def _silence() -> Iterator[None]:
    """Inside the block the library keeps its reports, of several lines, to itself."""
    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)


def _read(
    source: str, config: PolicyConfig, options: dict[str, Any]
) -> tuple[Any, Any, dict[str, Any]]:
    """Return tokenizer, model, and what the library says of the loading; `options` are its own."""
    directory, file = files_of(source)
    place = place_options(config) | file
    if not file:  # of a GGUF file it would take as long again
        check_kind(AutoConfig.from_pretrained(directory, **place), f"policy.base = {config.base!r}")
    tokenizer = AutoTokenizer.from_pretrained(directory, **place)
    options = {**options, **place}
    if file:
        options["quantization_config"] = GgufConfig(dequantize=True)
    model, loading = AutoModelForCausalLM.from_pretrained(
        directory,
        dtype=DTYPES[config.dtype],
        use_safetensors=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # they are refused below, by their names
        **options,
    )
    return tokenizer, model, loading


def place_options(config: PolicyConfig) -> dict[str, Any]:
    """Return the library's options that say which files of a base are meant, and trusted."""
    options: dict[str, Any] = {"trust_remote_code": config.trust_remote_code}
    return options | ({"revision": config.revision} if config.revision else {})


def digest_of(source: str, model: Any) -> str:
    """Return what tells a base from another under the same name: the SHA-256 of its weights, or
    the commit of a hub id."""
    path = Path(source)
    if not path.exists():
        return f"commit:{getattr(model.config, '_commit_hash', None)}"
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(path.glob("*.safetensors")):
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return f"sha256:{digest.hexdigest()}"


def _context(text: Any) -> int | None:
    """Return the longest sequence that is read as its parts are; None: no limit is known.

    LongRoPE reads a sequence that is longer than the original context otherwise from its first
    token on, so that what was written before no longer counts.
    """
    limit: int | None = getattr(text, "max_position_embeddings", None)
    rope = getattr(text, "rope_parameters", None) or {}
    for part in (rope, *rope.values()):
        if isinstance(part, Mapping) and part.get("rope_type") == "longrope":
            original = part.get("original_max_position_embeddings") or getattr(
                text, "original_max_position_embeddings", None
            )
            limit = min(limit or original, original) if original else limit
    return limit


def assemble(model: Any, tokenizer: Any, dtype: torch.dtype) -> Base:
    """Freeze a model that lies where it shall work, and find out how it can be run."""
    model.requires_grad_(False)
    model.config.return_dict = True
    text_config = model.config.get_text_config(decoder=True)
    embeddings = model.get_input_embeddings().weight.shape[0]
    head = HeadSelector(model)
    packed: PackedModel | None = fit(model, head)
    if packed is not None:
        packed = fuse(model) or packed
    return Base(
        model=model,
        tokenizer=tokenizer,
        device=next(model.parameters()).device,
        dtype=dtype,
        head=head,
        prefix_ids=_prefix_ids(tokenizer),
        eos_ids=_eos_ids(model, tokenizer, embeddings),
        embeddings=embeddings,
        context=_context(text_config),
        packed=packed,
    )
