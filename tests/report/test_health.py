"""The panel "Is it working?": every sign against a count by hand, for runs of all ages."""

import math
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from scipy import stats

from redqueen.report import print_status
from redqueen.report.health import MEASURES, RULES, Word, health, recent
from redqueen.store import RunStore
from redqueen.types import Completion, StepRecord, Verdict
from tests.store.builders import step_record, task, values

C, W, M, X = Verdict.CORRECT, Verdict.WRONG, Verdict.MALFORMED, Verdict.INFRA_ERROR


def step(number: int, groups: list[list[Verdict]], rewards: Any, **metrics: float) -> StepRecord:
    """A step with these verdicts in groups; a lost answer counts nowhere. W is cut off."""
    record = step_record(number)
    rollouts = [
        replace(
            record.rollouts[0],
            group=f"g{name}",
            verdict=verdict,
            attempt=i,
            completion=cut(record.rollouts[0].completion, verdict is W),
        )
        for name, group in enumerate(groups)
        for i, verdict in enumerate(group)
    ]
    return replace(
        record,
        rollouts=tuple(rollouts),
        rollout_rewards=(0.0,) * len(rollouts),
        proposal_rewards=rewards,
        metrics=metrics,
    )


def cut(completion: Completion, off: bool) -> Completion:
    return replace(completion, finished=not off)


def signs(run: RunStore) -> dict[str, Any]:
    return {sign.name: sign for sign in health(run)}


def shown(run: RunStore) -> str:
    console = Console(file=StringIO(), width=80, force_terminal=False)
    print_status(run, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_run_without_a_step_is_judged_too(tmp_path: Path) -> None:
    with RunStore.create(tmp_path / "run", values(), {}) as run:
        run.write_seed_tasks([task(0)])
        assert {sign.word for sign in health(run)} == {Word.UNKNOWN}
        text = shown(run)
    assert text.startswith("No step of 5 is done yet.")
    assert 'Set evolution.fitness = "probe".' in text


def test_signs_are_counts_over_the_last_third(tmp_path: Path) -> None:
    with RunStore.create(tmp_path / "run", values(steps=99), {}) as run:
        for number in range(1, 31):
            groups = [[M, M]] if number <= 20 else [[C, C, X], [C, W], [C, M, C], [W, W]]
            late = 1.0 if number > 20 else 0.0
            run.write_step(
                step(
                    number, groups, (0.5, None),
                    **{"outside_seeds": 0.1 * late, "diversity/teacher/style": 0.06 * late,
                       "fitness_reliability/student": 0.2 + 0.2 * (number % 2)},
                )
            )  # fmt: skip
        found = signs(run)
        text = shown(run)
    assert {name: sign.word for name, sign in found.items()} == {
        "format": Word.WATCH, "truncated": Word.BROKEN, "mixed": Word.FINE,
        "teacher_reward": Word.UNKNOWN, "reliability": Word.WATCH, "outside": Word.WATCH,
        "diversity": Word.FINE,
    }  # fmt: skip
    assert found["format"].text == "89% of 90 answers"
    assert found["truncated"].text == "33% of 90 answers"
    assert found["mixed"].text == "50% of 40 groups"
    assert found["reliability"].text == "students 0.30"
    assert found["outside"].text == "10% of a step's tasks"
    assert not found["mixed"].advice
    assert RULES["truncated"].advice in found["truncated"].advice
    assert text.startswith("Step 30 of 99 ended 0")
    assert max(map(len, text.splitlines())) <= 80


def test_teachers_are_judged_by_their_reward_where_students_are_fixed(tmp_path: Path) -> None:
    rewards = [0.0, 0.2, 0.1, 0.5, 0.5, 0.9, 0.4, 0.6, 0.5]
    frozen = {"student": {"frozen": True}}
    for learner, known in ((frozen, True), ({}, False)):
        directory = tmp_path / f"run-{known}"
        with RunStore.create(directory, values(learner=learner), {}) as run:
            for number, reward in enumerate(rewards, 1):
                run.write_step(step(number, [[C]], (reward - 0.1, reward + 0.1)))
            sign = signs(run)["teacher_reward"]
        # Means .1 and .5 of three steps each, both with a deviation of .1.
        half = stats.t.ppf(0.975, 4) * math.sqrt(2 * 0.1**2 / 3)
        text = f"+0.400 ({0.4 - half:+.3f} to {0.4 + half:+.3f})"
        assert (sign.word, sign.text) == ((Word.FINE, text) if known else (Word.UNKNOWN, ""))


@pytest.mark.parametrize(
    ("rewards", "word"),
    [
        # By the normal distribution two steps each would be sure: 3.1 standard errors.
        ([0.0, 0.1, 0.0, 0.0, 0.25, 0.4], Word.WATCH),
        ([0.5] * 6, Word.WATCH),
        ([0.1, 0.1, 0.2, 0.2, 0.3, 0.3], Word.FINE),
        ([0.3, 0.3, 0.2, 0.2, 0.1, 0.1], Word.BROKEN),
    ],
)
def test_few_steps_or_equal_ones_are_judged_with_care(
    tmp_path: Path, rewards: list[float], word: Word
) -> None:
    learner = {"student": {"frozen": True}}
    with RunStore.create(tmp_path / "run", values(learner=learner), {}) as run:
        for number, reward in enumerate(rewards, 1):
            run.write_step(step(number, [[C]], (reward, reward)))
        assert signs(run)["teacher_reward"].word == word


@pytest.mark.parametrize(
    ("styles", "word"),
    [
        ([0.0] * 30, Word.WATCH),  # teachers start alike: nothing is lost yet
        ([0.4] + [0.0] * 29, Word.WATCH),  # one step is noise
        ([0.0] * 10 + [0.1] * 10 + [0.0] * 10, Word.BROKEN),
        ([0.0] * 20 + [0.1] * 10, Word.FINE),
    ],
)
def test_styles_are_broken_where_they_are_lost(
    tmp_path: Path, styles: list[float], word: Word
) -> None:
    with RunStore.create(tmp_path / "run", values(steps=30), {}) as run:
        for number, style in enumerate(styles, 1):
            run.write_step(step(number, [[C]], (0.5, None), **{"diversity/teacher/style": style}))
        assert signs(run)["diversity"].word == word


def test_thresholds_are_in_order_and_explained() -> None:
    assert RULES.keys() == MEASURES.keys()
    for rule in RULES.values():
        middle = (rule.fine + rule.broken) / 2
        outward = rule.broken + (rule.broken - rule.fine)
        assert [rule.word(v) for v in (rule.fine, middle, rule.broken, outward)] == [
            Word.FINE, Word.WATCH, Word.WATCH, Word.BROKEN,
        ]  # fmt: skip
        assert rule.why.endswith(".")
        assert rule.advice.endswith(".")


@pytest.mark.parametrize(("count", "last"), [(0, 0), (4, 4), (15, 10), (30, 10), (90, 30)])
def test_recent_is_the_last_third_but_ten_steps_at_least(count: int, last: int) -> None:
    steps = list(range(1, count + 1))
    assert sorted(recent(steps)) == steps[count - last :]
