"""Where a base lies, and whether its files are whole.

Everything that can be wrong with a path or a name is reported in one sentence before any weight is
read.
"""

import json
import os
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

import redqueen
from redqueen.errors import ConfigError

EMBEDDED = ("seedling", "seedling2", "proof-seedling")
"""Bases that ship with the package, in `redqueen/bases`."""
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_ADAPTER_FILE = "adapter_config.json"
_LFS_POINTER = b"version https://git-lfs"
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model")


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
    # The library goes on without the first, and with it without the tokens that end a text; of the
    # others it does not say which file is damaged.
    for name in ("generation_config.json", "tokenizer_config.json", "tokenizer.json"):
        if (path / name).exists():
            _json_table(path / name, where)
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


def expanded(path: str) -> Path:
    """Return a path with the home directory for a `~`; that of an unknown user stays as it is."""
    return Path(os.path.expanduser(path))


def absolute_base(base: str) -> str:
    """`policy.base` so that it means the same from every working directory."""
    path = expanded(base)
    return str(path.resolve()) if base and base not in EMBEDDED and path.exists() else base


def absolute_overrides(overrides: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return `(dotted key, text)` overrides whose `policy.base` is absolute."""
    return [(k, absolute_base(text) if k == "policy.base" else text) for k, text in overrides]


def directory_of(base: str) -> Path:
    """Where `policy.base` lies, if it is embedded or a path."""
    if base in EMBEDDED:
        return Path(redqueen.__file__).parent / "bases" / base
    return expanded(base)


def _is_there(path: Path) -> bool:
    """Return whether there is something at a path, be it a link to nothing."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except ValueError:  # no system takes such a path
        return False
    return True


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
    named = base.startswith(("/", ".", "~")) or base.count("/") > 1 or is_gguf(path)
    if named or _is_there(path):
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
    text = " ".join(str(error).split())[:300] or type(error).__name__
    return f"{text} is missing or not known" if isinstance(error, KeyError) else text


def not_loaded(where: str, error: Exception) -> ConfigError:
    """Return the error to raise where the library raised one about the files of a base."""
    if "trust_remote_code" in str(error):
        return ConfigError(
            f"{where} carries code of its own, which is not run: set policy.trust_remote_code = "
            "true if you trust it, or take another base"
        )
    return ConfigError(f"{where} cannot be loaded: {one_line(error)}")
