"""When alarms begin and end, and that a resumed run goes on in the same state."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redqueen.alarms import CAUSES, Alarms, begun
from redqueen.config import AlarmConfig

COLLAPSED = {
    "clones": {"diversity/student/weights_mean": 0.01, "diversity/teacher/weights_mean": 1.0},
    "one_teacher_style": {"diversity/teacher/style": -0.01},
    "no_valid_tasks": {"valid_rate": 0.0},
    "too_easy": {"solve_rate": 1.0},
    "too_hard": {"solve_rate": 0.0},
    "no_learning_signal": {"zero_advantages": 1.0},
    "truncated": {"truncated": 0.5},
    "unsafe": {"unsafe_rate": 0.2},
}
AT_ONCE = {"selection_is_noise": {"fitness_reliability/student": 0.1}}
WELL = {
    "diversity/student/weights_mean": 0.9,
    "diversity/teacher/weights_mean": 0.8,
    "diversity/teacher/style": 0.4,
    "valid_rate": 0.8,
    "solve_rate": 0.5,
    "zero_advantages": 0.4,
    "truncated": 0.0,
    "unsafe_rate": 0.0,
}


def test_every_cause_has_a_threshold_and_a_sentence() -> None:
    named = {*COLLAPSED, *AT_ONCE}
    assert set(CAUSES) == named == set(AlarmConfig.model_fields) - {"patience"}
    assert all(len(f"{name} ({cause.sentence})") < 80 for name, cause in CAUSES.items())


@pytest.mark.parametrize("cause", sorted(COLLAPSED))
def test_an_alarm_needs_patience_to_begin_and_to_end(cause: str) -> None:
    alarms = Alarms(AlarmConfig(patience=3))
    assert [alarms.watch(WELL) for _ in range(4)] == [{}] * 4
    bad = WELL | COLLAPSED[cause]
    rings = {f"alarm/{cause}": 1.0}
    # Twice is not three times in a row.
    assert [alarms.watch(m) for m in (bad, bad, WELL, bad, bad)] == [{}] * 5
    assert alarms.watch(bad) == rings
    assert [alarms.watch(m) for m in (WELL, WELL, bad, WELL, WELL)] == [rings] * 5
    assert alarms.watch(WELL) == {}


@pytest.mark.parametrize("cause", sorted(COLLAPSED))
def test_founders_may_be_alike_but_not_without_valid_tasks(cause: str) -> None:
    alarms = Alarms(AlarmConfig(patience=2))
    found = [alarms.watch(COLLAPSED[cause]) for _ in range(9)][-1]
    assert bool(found) == (cause not in ("clones", "one_teacher_style"))


def test_members_that_never_differ_do_not_silence_the_others() -> None:
    """Frozen students keep the founders' weights; the teachers become clones."""
    alarms, frozen = Alarms(AlarmConfig(patience=2)), {"diversity/student/weights_mean": 0.0}
    apart, clones = ({"diversity/teacher/weights_mean": d} for d in (0.9, 0.01))
    found = [alarms.watch(frozen | now) for now in (apart, apart, clones, clones, apart, apart)]
    rings = {"alarm/clones": 1.0}
    assert found == [{}, {}, {}, rings, rings, {}]


def test_an_alarm_rings_until_every_group_is_well() -> None:
    alarms = Alarms(AlarmConfig(patience=1))
    well, student, teacher = (
        {"diversity/student/weights_mean": s, "diversity/teacher/weights_mean": t}
        for s, t in ((0.9, 0.9), (0.0, 0.9), (0.9, 0.0))
    )
    found = [bool(alarms.watch(now)) for now in (well, student, teacher, well)]
    assert found == [False, True, True, False]


def test_the_state_of_an_older_checkpoint_is_read() -> None:
    old = {name: {"armed": True, "ringing": True, "streak": 0} for name in CAUSES}
    alarms = Alarms(AlarmConfig(patience=2))
    alarms.restore(old)
    rings = set(alarms.watch({}))
    assert rings == {f"alarm/{name}" for name in CAUSES} - {
        "alarm/clones", "alarm/one_teacher_style",
    }  # fmt: skip


def test_selection_is_noise_rings_with_the_first_generation_that_says_so() -> None:
    alarms, rings = Alarms(AlarmConfig()), {"alarm/selection_is_noise": 1.0}
    name = "fitness_reliability"
    generations = [
        {f"{name}/student": 0.9, f"{name}/teacher": 0.31}, {},
        {f"{name}/student": 0.9, f"{name}/teacher": 0.3}, {}, {f"{name}/student": 0.4}, {},
    ]  # fmt: skip
    assert [alarms.watch(metrics) for metrics in generations] == [{}, {}, rings, rings, {}, {}]


def test_a_step_without_the_measure_changes_nothing() -> None:
    alarms = Alarms(AlarmConfig(patience=2))
    bad = {"solve_rate": 0.0}
    assert [alarms.watch(m) for m in (bad, {}, {}, bad)] == [{}, {}, {}, {"alarm/too_hard": 1.0}]
    assert alarms.watch({}) == {"alarm/too_hard": 1.0}


@given(st.lists(st.sampled_from([WELL, {}, *COLLAPSED.values()]), max_size=30), st.integers(0, 30))
def test_a_resumed_watch_equals_one_that_was_never_stopped(steps: list, cut: int) -> None:
    whole, first, second = (Alarms(AlarmConfig(patience=2)) for _ in range(3))
    expected = [whole.watch(metrics) for metrics in steps]
    found = [first.watch(metrics) for metrics in steps[:cut]]
    second.restore(json.loads(json.dumps(first.state())))
    found += [second.watch(metrics) for metrics in steps[cut:]]
    assert found == expected


def test_begun_names_the_new_ones() -> None:
    before, now = {"alarm/clones": 1.0}, {"alarm/clones": 1.0, "alarm/too_hard": 1.0}
    assert begun(before, now) == ["too_hard"]
    assert begun({}, now) == ["clones", "too_hard"]
    assert begun(now, {}) == []
