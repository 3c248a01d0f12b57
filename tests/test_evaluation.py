"""What another run has measured of the base counts, where it was asked the same in the same way."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from redqueen import build
from redqueen.cli import main
from redqueen.config import Config
from redqueen.store import Replay, RunStore

Make = Callable[..., Config]


def measured(directory: Path) -> dict[str, list[object]]:
    """Who wrote what on the suite, by subject."""
    with RunStore.open(directory, read_only=True) as store:
        rows = Replay(store).evaluation("held-out")
    return {
        name: sorted(
            (r.mode, r.task_id, r.attempt, r.request.seed, r.verdict, r.completion.text)
            for r in rows
            if r.subject == name
        )
        for name in Counter(row.subject for row in rows)
    }


@pytest.mark.slow
def test_a_base_is_measured_once(
    tiny: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(name: str, seed: int, **more: object) -> Path:
        values = {"eval": {"tasks": 4, "samples": 2, "base_from": [str(tmp_path / "runs")]}}
        directory = tmp_path / "runs" / name
        with build.start(tiny(seed=seed, steps=1, **(values | more)), directory) as trainer:
            trainer.run()
        assert main(["eval", str(directory), "--tasks", "4", "--samples", "2"]) == 0
        return directory

    (tmp_path / "runs" / "broken").mkdir(parents=True)
    (tmp_path / "runs" / "broken" / "run.db").write_bytes(b"no database")
    first = run("first", 1)
    assert "of the base are those of" not in capsys.readouterr().out
    second = run("second", 2)
    printed = capsys.readouterr().out
    assert f"held-out: 24 attempts of the base are those of {first}" in printed
    assert "nothing is taken over" in printed
    one, two = measured(first), measured(second)
    assert one["base"] == two["base"]
    assert one["elicited"] == two["elicited"]
    assert len(two["base"]) == 4 * (1 + 2)
    assert {name for name in two if name.startswith("member")}
    assert main(["verify", str(second), "--all"]) == 0
    capsys.readouterr()
    # Other limits make other answers; other numbers of samples are other seeds of the same.
    run("shorter", 3, rollout={"solve_tokens": 9})
    assert "of the base are those of" not in capsys.readouterr().out
    assert main(["eval", str(second), "--tasks", "4", "--samples", "3"]) == 0
    assert "held-out: 8 attempts of the base are those of" in capsys.readouterr().out
