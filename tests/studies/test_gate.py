"""The gate's figures on a run whose truth is known, and the bars that they must reach."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from redqueen.report.statistics import Effect, mean_over_runs
from redqueen.store import ELICITED
from redqueen.types import Member, Role
from studies.gate import (
    BARS,
    Bar,
    each,
    fitness_correlation,
    gains,
    mixed_share,
    outside_share,
    reliability,
    teachers_change,
)

FITNESS = (0.2, 0.5, 0.4)
SCORES = (0.25, 0.75, 0.5)
ELICITED_SCORE = 0.25


@dataclass(frozen=True)
class MadeUp:
    """A finished run: three students, one of them dead before the evaluation's fourth row."""

    shift: float = 0.0

    def load_members(self) -> list[Member]:
        return [
            Member(i, i, (Role.STUDENT,), 25.0, 8.0, died=4 if i == 3 else None) for i in range(4)
        ]

    def load_evaluations(self, suite: str) -> list[Any]:
        assert suite == "near"
        return [
            SimpleNamespace(
                task_id=task, subject=subject, mode=mode, samples=4,
                correct=4 * (score if mode == "sampled" else 0.0),
            )
            for task in ("a", "b")
            for mode in ("sampled", "greedy")
            for subject, score in [
                (ELICITED, ELICITED_SCORE),
                *((f"member:{i}", score + self.shift) for i, score in enumerate(SCORES)),
                ("member:3", 1.0),
            ]
        ]  # fmt: skip

    def load_metrics(self, name: str) -> list[tuple[int, float]]:
        courses = {
            "outside_seeds": [0.0, 0.0, 0.0, 0.1, 0.2, 0.4],
            "fitness_reliability/teacher": [0.1, 0.9, 0.6],
            "fitness_reliability/student": [0.8, 0.7],
            **{f"member/{i}/fitness": [0.9, value] for i, value in enumerate(FITNESS)},
        }
        return list(enumerate(courses.get(name, []), 1))

    def load_teacher_rewards(self) -> list[tuple[int, float]]:
        return list(enumerate([0.0, 0.1, 0.5, 0.5, 0.2, 0.4, 0.3], 1))

    def load_group_counts(self) -> list[Any]:
        return [SimpleNamespace(groups=10, mixed=5), SimpleNamespace(groups=30, mixed=25)]


def test_figures_of_one_run() -> None:
    run: Any = MadeUp()
    assert teachers_change(run) == pytest.approx((0.4 + 0.3) / 2 - (0.0 + 0.1) / 2)
    assert mixed_share(run) == 30 / 40
    assert reliability(run) == 0.6
    assert outside_share(run) == pytest.approx(0.3)
    expected = np.corrcoef(FITNESS, SCORES)[0, 1]
    assert fitness_correlation(run, "near") == pytest.approx(expected)


def test_gains_are_of_living_students_over_the_elicited_base() -> None:
    runs: Any = [MadeUp(), MadeUp(0.1), MadeUp(0.2)]
    effect = gains(runs, "near")
    assert effect is not None
    assert effect.value == pytest.approx(np.mean(SCORES) + 0.1 - ELICITED_SCORE)
    # All tasks alike: what is left is the spread over runs.
    assert effect.se == pytest.approx(0.1 / 3**0.5)
    assert gains([], "near") is None


@pytest.mark.parametrize(
    ("value", "se", "word"),
    [(0.4, 0.01, "holds"), (0.29, 0.01, "misses"), (0.4, 0.5, "misses")],
)
def test_a_bar_wants_the_value_and_the_interval(value: float, se: float, word: str) -> None:
    bar = Bar("learner", "", each(mixed_share), 0.3, 0.0)
    assert bar.row(Effect(value, se, 3, 4)).endswith(f"| {word} |")
    assert "not measured" in bar.row(None)


def test_one_run_is_enough_where_no_interval_is_asked_for() -> None:
    effect = mean_over_runs(np.array([0.6]))
    assert Bar("mixed", "", each(mixed_share), 0.5).row(effect).endswith("| holds |")
    assert Bar("mixed", "", each(mixed_share), 0.7).row(effect).endswith("| misses |")
    assert Bar("mixed", "", each(mixed_share), 0.5, 0.0).row(effect).endswith("| misses |")


def test_every_bar_reads_an_entry_of_the_study() -> None:
    from pathlib import Path

    from redqueen.compare import load_study

    study = load_study(Path(__file__).parents[2] / "configs" / "gate" / "gate.toml")
    assert {bar.entry for bar in BARS} == {entry.name for entry in study.entries}
