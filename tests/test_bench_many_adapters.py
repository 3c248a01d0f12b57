"""The bench of many members at toy size: all its lines, none of its figures."""

import json
from pathlib import Path

import pytest

from bench.many_adapters import main


@pytest.mark.slow
def test_it_runs_at_toy_size(tmp_path: Path) -> None:
    out = tmp_path / "many.json"
    small = {
        "rollout.matches": "1",
        "rollout.tasks_per_match": "2",
        "rollout.attempts": "2",
        "rollout.solve_tokens": "16",
        "rollout.propose_tokens": "16",
        "curriculum.held_out": "[]",
        "engine.workers": "1",
        "threads": "1",
    }
    words = [word for key, value in small.items() for word in ("--set", key, value)]
    main(["--members", "12", "--slots", "9", "--steps", "1", "--repeats", "1", "--out", str(out),
          *words])  # fmt: skip
    lines = {line["name"]: line for line in json.loads(out.read_text())}
    assert len(lines) == 6
    assert lines["step, 12 members over 8"]["value"] > 0
    assert lines["alone or together, member"]["value"] == 0.0
    assert lines["alone or together, shared"]["value"] < 0.5
