"""Each interaction in whole runs of its config: trains, resumes, reports, is verified."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from redqueen.config import Config, build_config, load_config, merge
from redqueen.report import write_report
from redqueen.store import Replay, RunStore
from redqueen.types import Rollout
from tests.small_models import save_untrained_base
from tests.whole_runs import measure_and_verify, train_in_two_parts

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "redqueen" / "rollouts" / "interactions"
LARGEST = 400
"""Lines that an interaction may have, at most."""
TURNS = {"debate": {0, 1, 2}, "malt": {0, 1, 2}, "refine": {0, 1}, "specialists": {0, 1}}
"""Config -> the turns that there are in a run of it."""


@pytest.fixture
def small(
    tiny_values: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Config]:
    """Make a run of a config that takes seconds: sums, an untrained model, a scripted engine."""
    save_untrained_base(tmp_path / "base")
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "examples"))

    def make(name: str) -> Config:
        values = load_config(ROOT / "configs" / f"{name}.toml").model_dump()
        kept = {key: tiny_values[key] for key in ("steps", "threads", "policy", "curriculum")}
        kept["policy"] = {**kept["policy"], "base": str(tmp_path / "base")}
        sizes = {"matches": 2, "tasks_per_match": 2, "attempts": 2, "references": 1}
        limits = {"propose_tokens": 64, "solve_tokens": 64}
        small = {
            "callbacks": [],
            "rollout": sizes | limits,
            "eval": {"tasks": 4},
        }
        made = merge(values, kept | small)
        made["engine"] = {"type": "tests.scripted:Sums"}
        made["environments"] = {"arithmetic": {"type": "arithmetic:Arithmetic"}}
        return build_config(made)

    return make


def stored(run: Path) -> list[Rollout]:
    with RunStore.open(run, read_only=True) as store:
        return [rollout for step in (1, 2) for rollout in Replay(store).step(step).rollouts]


@pytest.mark.slow
@pytest.mark.parametrize("name", TURNS)
def test_it_trains_resumes_reports_and_is_verified(
    name: str, small: Callable[..., Config], tmp_path: Path
) -> None:
    config = small(name)
    run = train_in_two_parts(config, tmp_path)
    measure_and_verify(run)
    rollouts = stored(run)
    assert {rollout.turn for rollout in rollouts} == TURNS[name]
    with RunStore.open(run, read_only=True) as store:
        for turn in TURNS[name]:
            shares = store.load_metrics(f"solve_rate/turn/{turn}")
            answers = [r for r in rollouts if r.turn == turn and r.verdict is not None]
            assert bool(shares) == bool(answers)
    page = Path(write_report(run)).read_text(encoding="utf-8")
    assert "Answers by turn of the interaction" in page
    assert '"before":[["assistant"' in page.replace(": ", ":").replace(", ", ",")
    assert re.search(r"attempt \d+, turn [23]", page)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda p: p.stem)
def test_an_interaction_is_one_short_file(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LARGEST
