"""The frozen base: find it, check it, load model and tokenizer.

Everything that can be wrong with a path or a name is reported in one sentence before any weight
is read. Weights are safetensors only, and code that comes with a model runs only if the user
asked for it.
"""

import hashlib
import json
import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, GgufConfig
from transformers.utils import logging as transformers_logging

import redqueen
from redqueen.config.policy import PolicyConfig
from redqueen.errors import ConfigError
from redqueen.models.attention import PackedKernel, PackedModel, attend_tiles, fit
from redqueen.models.fused import fuse
from redqueen.models.head import HeadSelector
from redqueen.models.precision import DTYPES, settle_dtype

log = logging.getLogger(__name__)

EMBEDDED = ("seedling", "seedling2", "proof-seedling")
"""Bases that ship with the package, in `redqueen/bases`."""
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_ADAPTER_FILE = "adapter_config.json"
_LFS_POINTER = b"version https://git-lfs"
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model")


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
        ids = tuple(self.tokenizer(prompt, add_special_tokens=False)["input_ids"])
        if max(ids, default=0) >= self.embeddings:
            raise ConfigError(
                f"policy.base: the tokenizer gives token {max(ids)}, the model has only "
                f"{self.embeddings} embeddings; tokenizer and model do not belong together"
            )
        prefix = self.prefix_ids
        return ids if ids[: len(prefix)] == prefix else prefix + ids

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


def _json_table(path: Path, where: str) -> dict[str, Any]:
    """Return what a JSON file of the base holds.

    Raises:
        ConfigError: it is no JSON, or no table.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: {path} is not readable: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: {path} is not a table of keys")
    return values


def _check_weights(path: Path, where: str) -> None:
    """Refuse weights that are not whole, as after a download or a copy that was cut off.

    Raises:
        ConfigError: a file is missing, shorter than it says, or no safetensors file.
    """
    index = path / "model.safetensors.index.json"
    files = [path / "model.safetensors"]
    if not os.path.lexists(files[0]) and index.exists():
        names = _json_table(index, where).get("weight_map")
        if not isinstance(names, dict) or not all(isinstance(n, str) for n in names.values()):
            raise ConfigError(f"{where}: {index} has no weight_map")
        files = [path / name for name in sorted(set(names.values()))]
    elif not os.path.lexists(files[0]):
        return  # of other names, which the library looks for
    for file in files:
        try:
            with file.open("rb") as stream:
                pointer = stream.read(len(_LFS_POINTER)) == _LFS_POINTER
            if pointer:
                raise ConfigError(f"{where}: {file} is a pointer of Git LFS; run `git lfs pull`")
            with safe_open(file, framework="pt"):
                pass
        except FileNotFoundError:
            raise ConfigError(
                f"{where}: {file} is missing, or a link to nothing; download it again"
            ) from None
        except (OSError, SafetensorError) as error:
            raise ConfigError(
                f"{where}: {file} is not a whole safetensors file ({one_line(error)}); download or "
                "copy it again"
            ) from None


def _check_directory(path: Path, base: str) -> None:
    where = f"policy.base = {base!r}"
    if not path.is_dir():
        raise ConfigError(f"{where}: {path} is not a directory with a model")
    if not (path / "config.json").exists():
        if (path / _ADAPTER_FILE).exists():
            raise ConfigError(
                f"{where}: {path} is an adapter ({_ADAPTER_FILE}), not a base; name the base that "
                "it is for, and start from it with population.from"
            )
        raise ConfigError(
            f"{where}: {path} has no config.json; give the directory of a Hugging Face checkpoint"
        )
    if "model_type" not in _json_table(path / "config.json", where):
        raise ConfigError(f"{where}: {path / 'config.json'} does not name a model_type")
    # The library goes on without this one, and with it without the tokens that end a text.
    if (path / "generation_config.json").exists():
        _json_table(path / "generation_config.json", where)
    if not any(path.glob("*.safetensors")):
        raise ConfigError(
            f"{where}: {path} has no *.safetensors weights; other formats may carry code and are "
            "not read, so save the model again with save_pretrained"
        )
    _check_weights(path, where)
    if (path / _ADAPTER_FILE).exists():
        raise ConfigError(
            f"{where}: {path} has an adapter beside the model ({_ADAPTER_FILE}), which the library "
            "would add to it; move it away, and start from it with population.from"
        )
    if not any((path / name).exists() for name in _TOKENIZER_FILES):
        raise ConfigError(f"{where}: {path} has no tokenizer ({', '.join(_TOKENIZER_FILES)})")


def is_gguf(source: Path | str) -> bool:
    """Whether a path is that of a GGUF file, by its name."""
    return Path(source).suffix.lower() == ".gguf"


def files_of(source: str) -> tuple[str, dict[str, str]]:
    """Return the directory or hub id that the library is given for a base, and further options."""
    if not is_gguf(source):
        return source, {}
    return str(Path(source).parent), {"gguf_file": Path(source).name}


def _check_gguf(path: Path, base: str) -> None:
    if not path.is_file():
        raise ConfigError(f"policy.base = {base!r} is not a file")
    with path.open("rb") as stream:
        if stream.read(4) != b"GGUF":
            raise ConfigError(f"policy.base = {base!r} is not a GGUF file; download it again")
    if find_spec("gguf") is None:
        raise ConfigError(
            f"policy.base = {base!r} is a GGUF file; to read it: pip install 'redqueen[gguf]'"
        )


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


def absolute_base(base: str) -> str:
    """`policy.base` so that it means the same from every working directory."""
    path = Path(base).expanduser()
    return str(path.resolve()) if base and base not in EMBEDDED and path.exists() else base


def directory_of(base: str) -> Path:
    """Where `policy.base` lies, if it is embedded or a path."""
    if base in EMBEDDED:
        return Path(redqueen.__file__).parent / "bases" / base
    return Path(base).expanduser()


def resolve_base(base: str) -> str:
    """The directory or hub id that `policy.base` means, checked as far as costs nothing.

    Raises:
        ConfigError: the files are missing or incomplete, or it is no path and no hub id.
    """
    path = directory_of(base)
    if base in EMBEDDED:
        if not (path / "config.json").exists():
            raise ConfigError(
                f"policy.base = {base!r}, but its files are not in {path}; make them with "
                f"`make {base}`, or set policy.base to a model directory or hub id"
            )
        _check_directory(path, base)
        return str(path)
    if path.exists() or base.startswith(("/", ".", "~")) or base.count("/") > 1:
        if not path.exists():
            kind = "file" if is_gguf(path) else "directory"
            raise ConfigError(
                f"policy.base = {base!r}: there is no such {kind}; say with --policy.base where "
                "it is"
            )
        if is_gguf(path):
            _check_gguf(path, base)
        else:
            _check_directory(path, base)
        return str(path)
    if not _HUB_ID.fullmatch(base):
        raise ConfigError(
            f"policy.base = {base!r} is no embedded base ({', '.join(EMBEDDED)}), no directory "
            "and no hub id"
        )
    return base


def dialect_of(base: str) -> str:
    """Return what a base speaks: `redqueen_dialect` of its config.json, else `chat`."""
    try:
        values = json.loads((directory_of(base) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "chat"  # a hub id; or what `resolve_base` reports when the base is loaded
    return str(values.get("redqueen_dialect", "chat")) if isinstance(values, dict) else "chat"


def one_line(error: Exception) -> str:
    """Return what an error of a library says, as part of a sentence."""
    return " ".join(str(error).split())[:300]


def _prefix_ids(tokenizer: Any) -> tuple[int, ...]:
    bare: list[int] = tokenizer("a", add_special_tokens=False)["input_ids"]
    full: list[int] = tokenizer("a", add_special_tokens=True)["input_ids"]
    for start in range(len(full) - len(bare) + 1):
        if full[start : start + len(bare)] == bare:
            return tuple(full[:start])
    return ()


def _eos_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    found: set[int] = set()
    generation = getattr(model, "generation_config", None)
    for source in (generation, model.config, tokenizer):
        value = getattr(source, "eos_token_id", None)
        if isinstance(value, int):
            found.add(value)
        elif isinstance(value, Sequence):
            found.update(int(item) for item in value)
    return frozenset(found)


def load_base(config: PolicyConfig) -> Base:
    """Load the frozen base that `config` names: eval mode, no gradients, safetensors only.

    Raises:
        ConfigError: path, name, device or files are not usable; the message says what to do.
    """
    device = resolve_device(config.device)
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
        tokenizer, model, loading = _read(source, config, options)
    except Exception as error:  # the library's, of any kind, about files that somebody else wrote
        raise ConfigError(f"{where} cannot be loaded: {one_line(error)}") from error
    for module in model.modules():
        # Else bitsandbytes orders the weights anew for its kernels at the first text that is
        # written, and gradients through them are wrong from then on.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    if loading["missing_keys"]:
        # The library would fill them with random numbers.
        names = sorted(loading["missing_keys"])
        raise ConfigError(f"{where} lacks {len(names)} weights, for instance {names[0]}")
    if loading["unexpected_keys"]:
        names = sorted(loading["unexpected_keys"])
        log.warning(
            "%s: %d of its weights, for instance %s, have no place in the model that its "
            "config.json describes; they are left out",
            where, len(names), names[0],
        )  # fmt: skip
    if getattr(model.config, "is_encoder_decoder", False):
        raise ConfigError(f"{where} is an encoder-decoder; a causal language model is needed")
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
    known = len(tokenizer)
    if known < base.embeddings / 2:
        log.warning(
            "%s: its tokenizer knows %d tokens, the model %d; do they belong together?",
            where, known, base.embeddings,
        )  # fmt: skip
    return replace(base, digest=digest_of(source, model))


def _read(
    source: str, config: PolicyConfig, options: dict[str, Any]
) -> tuple[Any, Any, dict[str, Any]]:
    """Return tokenizer, model, and what the library says of the loading; `options` are its own."""
    place: dict[str, Any] = {"trust_remote_code": config.trust_remote_code}
    if config.revision:
        place["revision"] = config.revision
    directory, file = files_of(source)
    place |= file
    tokenizer = AutoTokenizer.from_pretrained(directory, **place)
    options = {**options, **place}
    if file:
        options["quantization_config"] = GgufConfig(dequantize=True)
    model, loading = AutoModelForCausalLM.from_pretrained(
        directory,
        dtype=DTYPES[config.dtype],
        use_safetensors=True,
        output_loading_info=True,
        **options,
    )
    return tokenizer, model, loading


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


def assemble(model: Any, tokenizer: Any, dtype: torch.dtype) -> Base:
    """Freeze a model that lies where it shall work, and find out how it can be run."""
    model.requires_grad_(False)
    text_config = model.config.get_text_config(decoder=True)
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
        eos_ids=_eos_ids(model, tokenizer),
        embeddings=model.get_input_embeddings().weight.shape[0],
        context=getattr(text_config, "max_position_embeddings", None),
        packed=packed,
    )
