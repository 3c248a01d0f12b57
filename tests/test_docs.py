"""Every command that the documents show is run here, at a small size."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from redqueen import registry
from redqueen.alarms import CAUSES
from redqueen.cli import main
from redqueen.config import Config, Section, build_config
from redqueen.config.component import Of
from redqueen.store import RunStore, config_toml
from studies.claims import main as claims_main
from tests.small_models import save_untrained_base

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands() -> list[str]:
    found = []
    for path in DOCUMENTS:
        for block in re.findall(r"```sh\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
            found += [line.split("#")[0].strip() for line in block.splitlines()]
    return list(dict.fromkeys(line for line in found if line))


def flags(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flags(value, f"{prefix}{key}.")
        elif key != "name":
            yield from (f"--{prefix}{key}", str(value))


def small(words: list[str], tiny: dict[str, Any]) -> list[str]:
    """The same command with sizes that a test can afford."""
    if words[0] == "train":
        kept = {key: value for key, value in tiny.items() if key != "population"}
        return [*words, *flags(kept if "configs/azr.toml" in words else tiny)]
    if words[0] == "eval":
        return [*words[: words.index("--tasks") + 1], "6", "--samples", "1"]
    if words[0] == "watch":  # without a terminal it prints once; the page has tests of its own
        return ["watch", words[1], "--plain"]
    return words


QUICK = """
seeds = [0]
evaluation = { tasks = 3, samples = 1 }
entries = [
    { name = "a", config = "tiny.toml", steps = 1 },
    { name = "b", config = "tiny.toml", steps = 1, overrides = { "evolution.enabled" = false } },
]
views = [{ name = "per adapter", match = "adapter", entries = ["a", "b"] }]
claims = [{ claim = "mean-beats", of = "a", against = "b" }]
"""
SINGLE = """
seeds = [0]
entries = [{ name = "a", config = "tiny.toml", steps = 1, evaluate = false }]
"""


def small_studies(folder: Path, tiny: dict[str, Any]) -> None:
    """Put studies that a test can afford in the place of ours; all are planned in test_study."""
    (folder / "tiny.toml").write_text(
        config_toml(build_config(tiny).model_dump(mode="json")), encoding="utf-8"
    )
    for name, text in {"quick": QUICK, "claims": SINGLE}.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")


def test_make_targets_exist() -> None:
    targets = [shlex.split(line)[1] for line in commands() if line.startswith("make ")]
    assert {"run", "test"} <= set(targets)
    text = " ".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    for target in {*targets, *re.findall(r"`make ([\w-]+)`", text)}:
        subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)


HISTORY = {"study.md", "performance-history.md"}
"""Pages about what was; they name keys of then."""


def has_key(section: Section, path: Sequence[str]) -> bool:
    """Whether a path leads from a section to a key of it, or of a component that it may name."""
    name, *rest = path
    attribute = f"{name}_" if name == "from" else name
    field = type(section).model_fields.get(attribute)
    if field is None:
        return False
    value = getattr(section, attribute)
    kind = next((item.kind for item in field.metadata if isinstance(item, Of)), None)
    if not rest:
        return True
    if kind is not None:
        components = [registry.load(kind, option) for option in registry.names(kind)]
        return rest == ["type"] or any(
            rest[0] in component.model_fields for component in components
        )
    if isinstance(value, dict):  # environments by name
        return len(rest) == 1 or has_key(value["code"], rest[1:])
    return isinstance(value, Section) and has_key(value, rest)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_keys_that_a_page_names_exist(path: Path) -> None:
    if path.name in HISTORY:
        pytest.skip("a page about what was")
    config = Config()
    sections = "|".join(name for name, value in config if isinstance(value, Section | dict))
    text = path.read_text(encoding="utf-8")
    named = re.findall(rf"(?:`|--)((?:{sections})\.[a-z_.]+)", text)
    wrong = [key for key in named if not has_key(config, key.rstrip(".").split("."))]
    assert not wrong


def test_the_files_that_method_names_are_there() -> None:
    text = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    files = re.findall(r"`([a-z]+/[a-z_]+\.py)`", text)
    assert len(files) > 8
    assert all((ROOT / "redqueen" / name).is_file() for name in files)
    for cell in re.findall(r"^\| (`[a-z_`, ]+`) \| .*? \| `alarms", text, re.MULTILINE):
        assert set(re.findall("[a-z_]+", cell)) <= CAUSES.keys()
    rows = re.findall(r"^\| `([a-z_]+)` \|[^|]*\|$", text, re.MULTILINE)
    assert set(rows) == registry.COMPONENTS["fitness"].keys()


@pytest.mark.slow
def test_shown_commands_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_values: dict[str, Any]
) -> None:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    save_untrained_base(tmp_path / "my-model")
    shutil.copytree(ROOT / "docs" / "study", tmp_path / "docs" / "study")
    small_studies(tmp_path / "configs" / "study", tiny_values)
    monkeypatch.chdir(tmp_path)
    # The environment of docs/examples is trained in test_docs_example.py.
    elsewhere = ("make ", "PYTHONPATH=docs/examples ")
    shown = [shlex.split(line) for line in commands() if not line.startswith(elsewhere)]
    used = [words[1:] for words in shown if words[0] == "redqueen"]
    verdicts = [words[3:] for words in shown if words[:3] == ["python", "-m", "studies.claims"]]
    assert len(used) + len(verdicts) == len(shown)
    assert {words[0] for words in used} == {
        "train", "init", "plan", "resume", "eval", "report", "status", "verify", "compare",
        "export", "doctor", "watch",
    }  # fmt: skip
    for words in used:
        assert main(small(words, tiny_values)) == 0, words
    assert (tmp_path / "runs" / "laptop" / "report.html").stat().st_size > 10_000
    assert (tmp_path / "comparisons" / "quick" / "compare.html").stat().st_size > 10_000
    for words in verdicts:
        assert claims_main(words) == 0, words
    assert list((tmp_path / "runs" / "laptop" / "adapters").glob("member-*/adapter_config.json"))


@pytest.mark.slow
def test_the_python_of_the_readme_trains(tmp_path: Path, tiny_values: dict[str, Any]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENTS[0].read_text(encoding="utf-8"), re.DOTALL)
    (script,) = [block for block in blocks if "redqueen.build" in block]
    (tmp_path / "configs").mkdir()
    text = config_toml(build_config(tiny_values).model_dump(mode="json"))
    (tmp_path / "configs" / "laptop.toml").write_text(text, encoding="utf-8")
    (tmp_path / "example.py").write_text(script, encoding="utf-8")
    paths = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "example.py"], cwd=tmp_path, env=paths, check=True)
    with RunStore.open(tmp_path / "runs" / "from-python", read_only=True) as run:
        assert run.last_step() == 2
