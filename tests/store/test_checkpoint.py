"""Checkpoints survive crashes at every point, recognise damage, and keep the last ones."""

import errno
import itertools
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from redqueen.errors import ConfigError, InfrastructureError
from redqueen.store import checkpoint as module
from redqueen.store import checkpoint_steps, load_checkpoint, save_checkpoint


class Killed(BaseException):
    """What a SIGKILL looks like from inside: no handler for ordinary errors runs."""


def content(step: int) -> tuple[dict[str, dict[str, torch.Tensor]], dict[str, object]]:
    generator = torch.Generator().manual_seed(step)
    adapters = {"layers.0.A": torch.randn(3, 4, generator=generator), "n": torch.tensor(step)}
    optimizer = {"m": torch.randn(5, generator=generator).bfloat16()}
    state = {"step": step, "rng": 2**62 + step, "float": 0.1 + step, "names": ["ä", None, True]}
    return {"adapters": adapters, "optimizer": optimizer}, state


def save(directory: Path, step: int, keep: int = 2) -> Path:
    tensors, state = content(step)
    return save_checkpoint(directory, step, tensors, state, keep)


def check(directory: Path, step: int, wanted: int | None = None) -> None:
    found = load_checkpoint(directory, wanted)
    tensors, state = content(step)
    assert found.step == step
    assert found.state == state
    assert found.tensors.keys() == tensors.keys()
    for name, group in tensors.items():
        assert found.tensors[name].keys() == group.keys()
        for key, value in group.items():
            assert found.tensors[name][key].dtype == value.dtype
            assert torch.equal(found.tensors[name][key], value)


def test_round_trip_and_the_last_ones_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4):
        path = save(tmp_path, step)
        assert path == tmp_path / "checkpoints" / f"step-{step:06d}"
        check(tmp_path, step)
    assert checkpoint_steps(tmp_path) == [3, 4]
    check(tmp_path, 3, wanted=3)
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == [
        "step-000003",
        "step-000004",
    ]


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = save(tmp_path / "a", 5), save(tmp_path / "b", 5)
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes()


def test_views_of_one_storage_and_strided_tensors(tmp_path: Path) -> None:
    stack = torch.arange(24.0).reshape(2, 3, 4)
    tensors = {"a": stack[0], "b": stack[1], "t": stack[0].T, "all": stack, "again": stack}
    tensors["grad"] = torch.ones(2, requires_grad=True)
    tensors["empty"] = torch.empty(0)
    path = save_checkpoint(tmp_path, 1, {"x": tensors}, {})
    found = load_checkpoint(tmp_path).tensors["x"]
    for name, value in tensors.items():
        assert torch.equal(found[name], value), name
    assert (path / "x.safetensors").stat().st_size < 2000


def calls(monkeypatch, tmp_path: Path, crash_at: int | None, error: BaseException) -> int:
    """Save steps 1 and 2, raising `error` at the n-th call that touches the disk in step 2."""
    save(tmp_path, 1)
    count = itertools.count(1)
    seen = 0

    def wrap(function):
        def call(*args, **kwargs):
            nonlocal seen
            seen = next(count)
            if seen == crash_at:
                raise error
            return function(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for owner, name in (
            (os, "replace"),
            (os, "fsync"),
            (os, "mkdir"),
            (safetensors.torch, "save_file"),
            (Path, "write_text"),
            (module, "_digest"),
            (shutil, "rmtree"),
        ):
            patch.setattr(owner, name, wrap(getattr(owner, name)))
        save(tmp_path, 2, keep=1)
    return seen


def test_a_kill_at_any_point_leaves_a_whole_checkpoint(tmp_path: Path, monkeypatch) -> None:
    total = calls(monkeypatch, tmp_path / "none", None, Killed())
    check(tmp_path / "none", 2)
    assert total > 12
    outcomes = set()
    for point in range(1, total + 1):
        home = tmp_path / str(point)
        with pytest.raises(Killed):
            calls(monkeypatch, home, point, Killed())
        step = load_checkpoint(home).step
        check(home, step)
        outcomes.add(step)
        save(home, 2)  # what a resumed run does next
        save(home, 3)
        check(home, 3)
        assert sorted(p.name for p in (home / "checkpoints").iterdir()) == [
            "step-000002",
            "step-000003",
        ]
    assert outcomes == {1, 2}


def test_a_full_disk_at_any_point_is_an_infrastructure_error(tmp_path: Path, monkeypatch) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    total = calls(monkeypatch, tmp_path / "none", None, full)
    # Making a directory that is there, and removing the old checkpoint when the new one is safe,
    # may fail without harm.
    for point in (1, total):
        calls(monkeypatch, tmp_path / str(point), point, full)
        check(tmp_path / str(point), 2)
    for point in range(2, total):
        home = tmp_path / str(point)
        with pytest.raises(InfrastructureError, match=r"No space left.* is intact"):
            calls(monkeypatch, home, point, full)
        assert not list((home / "checkpoints").glob(".*")), "the half-written one is removed"
        check(home, load_checkpoint(home).step)


def test_saving_a_step_again_never_loses_both(tmp_path: Path, monkeypatch) -> None:
    save(tmp_path, 1, keep=1)
    real = os.replace
    for point in (1, 2):
        count = itertools.count(1)

        def replace(source, target, count=count, point=point):
            if next(count) == point:
                raise Killed
            real(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", replace)
            with pytest.raises(Killed):
                save(tmp_path, 1, keep=1)
        check(tmp_path, 1)
    save(tmp_path, 1, keep=1)
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["step-000001"]


KILLED = """
import os, signal, sys, torch
from redqueen.store import save_checkpoint
import redqueen.store.checkpoint as module
save_checkpoint(sys.argv[1], 1, {"a": {"x": torch.ones(3)}}, {"step": 1})
module.sync_directory = lambda path: os.kill(os.getpid(), signal.SIGKILL)
save_checkpoint(sys.argv[1], 2, {"a": {"x": torch.zeros(3)}}, {"step": 2})
"""


def test_a_real_kill(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=environment)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "checkpoints" / ".step-000002.tmp").is_dir()
    assert load_checkpoint(tmp_path).state == {"step": 1}


def truncate(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


# Not a flipped bit of the manifest: it may fall on white space, which is no damage.
@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *itertools.product(
            ["adapters.safetensors", "optimizer.safetensors", "state.json"],
            [truncate, flip, Path.unlink],
        ),
        ("manifest.json", truncate),
        ("manifest.json", Path.unlink),
    ],
)
def test_damage_is_recognised(tmp_path: Path, name: str, damage, caplog) -> None:
    save(tmp_path, 1)
    damage(save(tmp_path, 2) / name)
    with caplog.at_level(logging.WARNING):
        found = load_checkpoint(tmp_path)
    assert found.step == 1
    assert "step-000002 is damaged" in found.skipped[0]
    assert "step-000002 is damaged" in caplog.text
    check(tmp_path, 1)
    with pytest.raises(InfrastructureError, match="step-000002 is damaged"):
        load_checkpoint(tmp_path, 2)
    # The resumed run writes its own step 2 over the damaged one.
    save(tmp_path, 2)
    check(tmp_path, 2)


def test_later_steps_are_of_a_run_that_was_given_up(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        save(tmp_path, step, keep=3)
    truncate(tmp_path / "checkpoints" / "step-000003" / "state.json")
    save(tmp_path, 2, keep=1)
    assert checkpoint_steps(tmp_path) == [2]
    check(tmp_path, 2)


def test_none_left(tmp_path: Path, caplog) -> None:
    with pytest.raises(ConfigError, match="holds no checkpoint"):
        load_checkpoint(tmp_path)
    (save(tmp_path, 1) / "state.json").unlink()
    with pytest.raises(InfrastructureError, match=r"no whole checkpoint.*state\.json is missing"):
        load_checkpoint(tmp_path)
    assert not caplog.text  # the sentence is the error's
    with pytest.raises(ConfigError, match=r"no checkpoint of step 7; it has steps 1"):
        load_checkpoint(tmp_path, 7)


def test_another_format_is_refused(tmp_path: Path) -> None:
    manifest = save(tmp_path, 1) / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 2}))
    with pytest.raises(ConfigError, match="checkpoint format 2"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("tensors", "state", "error"),
    [
        ({}, {"members": {1: "a"}}, TypeError),
        ({}, {"list": [{"a": {None: 1}}]}, TypeError),
        ({}, {"x": torch.ones(1)}, TypeError),
        ({"../x": {}}, {}, ValueError),
        ({".hidden": {}}, {}, ValueError),
    ],
)
def test_bad_content_is_refused_before_anything_is_written(
    tmp_path: Path, tensors, state, error
) -> None:
    with pytest.raises(error):
        save_checkpoint(tmp_path, 1, tensors, state)
    assert list(tmp_path.iterdir()) == []
