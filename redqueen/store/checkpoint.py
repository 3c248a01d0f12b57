"""Checkpoints: `checkpoints/step-000012/` with safetensors files, `state.json`, `manifest.json`.

A checkpoint is written into a temporary directory beside the others, flushed, and renamed. The
manifest has each file's size and SHA-256, so that a damaged checkpoint is recognised and the one
before it is used.
"""

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from redqueen.errors import ConfigError, InfrastructureError
from redqueen.files import sync_directory, sync_file

if TYPE_CHECKING:  # torch takes seconds to import, and reports do without it
    import torch

FORMAT_VERSION = 1
# `.old` is a checkpoint that a second one of the same step is just replacing.
_NAME = re.compile(r"step-(\d{6,})(\.old)?")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint as read: `tensors` maps file name (without suffix) -> tensor name -> tensor."""

    step: int
    path: Path
    tensors: "Mapping[str, Mapping[str, torch.Tensor]]"
    state: Mapping[str, Any]
    skipped: tuple[str, ...] = ()
    """One sentence for each newer checkpoint that was damaged and passed over."""


class _DamagedError(Exception):
    """A checkpoint whose files are not what its manifest says."""


def save_checkpoint(
    directory: str | os.PathLike[str],
    step: int,
    tensors: "Mapping[str, Mapping[str, torch.Tensor]]",
    state: Mapping[str, Any],
    keep: int = 2,
) -> Path:
    """Write the checkpoint of `step` into a run's directory and keep the last `keep`.

    Checkpoints of later steps belong to a continuation that was given up; they are removed once
    this one is safe.

    Args:
        directory: the run's directory.
        step: the last finished step.
        tensors: file name (without suffix) -> tensor name -> tensor of any device or layout.
        state: JSON values; mapping keys are strings.
        keep: checkpoints to keep, this one included.

    Returns:
        The checkpoint's directory.

    Raises:
        InfrastructureError: it could not be written; earlier checkpoints are untouched.
        TypeError, ValueError: `state` is not JSON, or a name is not a plain file name.
    """
    if keep < 1:
        raise ValueError(f"keep = {keep}: at least 1 checkpoint is kept")
    _check_keys(state, "state")
    text = json.dumps(state)  # with an indent, it would be written by slow Python code
    for name in tensors:
        if not _FILE_NAME.fullmatch(name):
            raise ValueError(f"tensor file name {name!r} is not a plain file name")
    home = Path(directory) / "checkpoints"
    final = home / f"step-{step:06d}"
    aside = home / f".step-{step:06d}.tmp"
    try:
        home.mkdir(parents=True, exist_ok=True)
        for leftover in home.glob(".step-*.tmp"):
            shutil.rmtree(leftover)
        _write_aside(aside, step, tensors, text)
        _move_into_place(aside, final)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        kept = checkpoint_steps(directory)
        remains = f"the checkpoint of step {kept[-1]} is intact" if kept else "there is none yet"
        raise InfrastructureError(
            f"could not write the checkpoint of step {step} in {home}: {error}; {remains}"
        ) from error
    _prune(home, step, keep)
    return final


def _check_keys(value: Any, where: str) -> None:
    # JSON would turn other keys into strings without a word, and resume would miss them.
    if isinstance(value, Mapping):
        for key, below in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{where} has the key {key!r}: keys must be strings")
            _check_keys(below, f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, below in enumerate(value):
            _check_keys(below, f"{where}[{index}]")


def _separate(tensors: "Mapping[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """Dense CPU copies where needed; views of one storage are parted, as the format asks."""
    separate: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        dense = tensor.detach().to("cpu").contiguous()
        storage = dense.untyped_storage()
        if storage.data_ptr() in seen or storage.nbytes() != dense.nbytes:
            dense = dense.clone()
        seen.add(dense.untyped_storage().data_ptr())
        separate[name] = dense
    return separate


def _write_aside(
    aside: Path, step: int, tensors: "Mapping[str, Mapping[str, torch.Tensor]]", state: str
) -> None:
    from safetensors.torch import save_file

    aside.mkdir()
    for name, group in tensors.items():
        save_file(_separate(group), aside / f"{name}.safetensors")
    (aside / "state.json").write_text(state, encoding="utf-8")
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": _digest(path)}
        for path in sorted(aside.iterdir())
    }
    manifest = {"format": FORMAT_VERSION, "step": step, "files": files}
    (aside / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    for path in aside.iterdir():
        sync_file(path)
    sync_directory(aside)


def _move_into_place(aside: Path, final: Path) -> None:
    old = final.with_name(f"{final.name}.old")
    if final.exists():
        if old.exists():
            shutil.rmtree(old)
        os.replace(final, old)
    os.replace(aside, final)
    sync_directory(final.parent)
    if old.exists():
        shutil.rmtree(old)


def _prune(home: Path, step: int, keep: int) -> None:
    """Remove what is too old or later than `step`; the checkpoint itself is already safe."""
    candidates = _candidates(home)
    kept = set(sorted({other for other, _ in candidates if other <= step})[-keep:])
    for other, path in candidates:
        if other not in kept:
            try:
                shutil.rmtree(path)
            except OSError as error:
                log.warning("could not remove the old checkpoint %s: %s", path, error)


def _candidates(home: Path) -> list[tuple[int, Path]]:
    """(step, directory) of all checkpoints, oldest first; of one step the replaced one first."""
    if not home.is_dir():
        return []
    candidates = []
    for path in home.iterdir():
        match = _NAME.fullmatch(path.name)
        if match and path.is_dir():
            candidates.append((int(match[1]), match[2] is None, path))
    return [(step, path) for step, _, path in sorted(candidates)]


def checkpoint_steps(directory: str | os.PathLike[str]) -> list[int]:
    """Steps of the checkpoints in a run's directory, in order (not verified)."""
    return sorted({step for step, _ in _candidates(Path(directory) / "checkpoints")})


def kept_states(directory: str | os.PathLike[str]) -> list[Mapping[str, Any]]:
    """Return the `state` of every checkpoint in a run's directory, oldest first (not verified).

    One that is missing or no JSON is left out: its checkpoint is damaged, and will not be restored.

    Raises:
        InfrastructureError: one cannot be read.
    """
    states = []
    for _, path in _candidates(Path(directory) / "checkpoints"):
        try:
            states.append(json.loads((path / "state.json").read_text(encoding="utf-8")))
        except (ValueError, FileNotFoundError):
            continue
        except OSError as error:
            raise InfrastructureError(f"could not read the checkpoint {path}: {error}") from error
    return states


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(step: int, path: Path) -> Checkpoint:
    from safetensors.torch import load_file

    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        version, files = manifest["format"], manifest["files"]
        expected = {name: (entry["bytes"], entry["sha256"]) for name, entry in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _DamagedError(f"its manifest is not readable ({error})") from None
    if version != FORMAT_VERSION:
        raise ConfigError(
            f"{path} has checkpoint format {version}, this redqueen reads {FORMAT_VERSION}; "
            "open it with the release that wrote it"
        )
    if manifest.get("step") != step or "state.json" not in expected:
        raise _DamagedError("its manifest is that of another checkpoint")
    for name, (size, digest) in expected.items():
        file = path / name
        if not _FILE_NAME.fullmatch(name) or not file.is_file():
            raise _DamagedError(f"{name} is missing")
        if file.stat().st_size != size or _digest(file) != digest:
            raise _DamagedError(f"{name} is not the file that was written")
    tensors = {
        name.removesuffix(".safetensors"): load_file(path / name)
        for name in expected
        if name.endswith(".safetensors")
    }
    state = json.loads((path / "state.json").read_text(encoding="utf-8"))
    return Checkpoint(step, path, tensors, state)


def load_checkpoint(directory: str | os.PathLike[str], step: int | None = None) -> Checkpoint:
    """Read and verify the checkpoint of `step`, or the newest whole one (None).

    A damaged checkpoint is passed over with a warning in the log and a sentence in `skipped`.

    Raises:
        ConfigError: there is none (of that step), or it has another format version.
        InfrastructureError: all are damaged, or the one asked for is.
    """
    home = Path(directory) / "checkpoints"
    candidates = _candidates(home)
    if step is not None:
        candidates = [(other, path) for other, path in candidates if other == step]
    if not candidates:
        steps = ", ".join(map(str, checkpoint_steps(directory)))
        if steps:
            raise ConfigError(f"{home} holds no checkpoint of step {step}; it has steps {steps}")
        raise ConfigError(
            f"{home} holds no checkpoint: the run ended before its first one. Remove {directory} "
            "and start the run again"
        )
    skipped: list[str] = []
    for other, path in reversed(candidates):
        try:
            whole = _read(other, path)
        except _DamagedError as damage:
            skipped.append(f"the checkpoint {path} is damaged: {damage}")
            continue
        except (OSError, SafetensorError, ValueError) as error:
            raise InfrastructureError(f"could not read the checkpoint {path}: {error}") from error
        for sentence in skipped:
            log.warning("%s; the one of step %d is used", sentence, whole.step)
        return Checkpoint(whole.step, whole.path, whole.tensors, whole.state, tuple(skipped))
    raise InfrastructureError(
        f"no whole checkpoint is left; put back a copy, or start another run: {'; '.join(skipped)}"
    )
