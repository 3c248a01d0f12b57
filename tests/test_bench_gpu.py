"""The GPU benchmark's code, at toy size on the CPU: all its lines, none of its figures."""

import json
from pathlib import Path

import pytest

from bench.gpu import main


@pytest.mark.slow
def test_it_runs_at_toy_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "gpu.json"
    main(["--shapes", "toy", "--device", "cpu", "--repeats", "1", "--out", str(out)])
    lines = {line["name"]: line for line in json.loads(out.read_text())}
    assert len(lines) == 9
    assert lines["sample: 8 members over 1"]["value"] > 0
    assert 0 < lines["learn: share of the product's rate"]["value"] < 1
    assert lines["sample: seconds over the bound"]["value"] > 1
    assert lines["sample: 8 members over the base"]["value"] > 0
    assert lines["sample: CUDA graphs over none"]["value"] > 0
    assert "8 members over 1" in capsys.readouterr().out
