"""A real base on the first tasks of every benchmark: `pytest -m real`, outside of `make test`."""

import json
import os
from pathlib import Path

import pytest
from benchmarks.conftest import FILES

from redqueen import registry
from redqueen.cli import main

BASE = Path(os.environ.get("REDQUEEN_REAL_BASE", "build/bases/smollm2"))
NAMES = [name for name in registry.names("benchmark") if name != "livecodebench"]


@pytest.mark.real
@pytest.mark.timeout(7200)
def test_all_benchmarks_on_their_first_tasks(tmp_path: Path) -> None:
    files, tasks = os.environ.get(FILES, ""), os.environ.get("REDQUEEN_REAL_TASKS", "20")
    if not files or not (BASE / "config.json").exists():
        pytest.skip(f"needs {BASE} (python -m recipes.real_bases) and {FILES}")
    out = tmp_path / "measured"
    command = ["eval", str(BASE), "--benchmark", *NAMES, "--files", files, "--tasks", tasks]
    assert main([*command, "--max-tokens", "256", "--out", str(out)]) == 0
    results = json.loads((out / "benchmarks" / "base.json").read_text())["results"]
    assert results.keys() == set(NAMES)
    assert all(0 <= item["pass@1,none"] <= 1 for item in results.values())
