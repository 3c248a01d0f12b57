"""Form apart from reasoning, on verdicts that are made up, and on a real run's database."""

from pathlib import Path

import pytest
from made_up_run import fabricate

from redqueen.store import RunStore
from studies.real_model import Counts, Measured, collect, curves, main, read, results, write

TASKS = [f"task-{number}" for number in range(40)]


def measured() -> Measured:
    """Base: 10 of 20 readable answers are right. Students: the same of all 40, so 20 are."""
    half = {task: (1, int(i < 10), int(i < 20)) for i, task in enumerate(TASKS)}
    whole: dict[str, Counts] = {task: (2, 2 * int(i < 20), 2) for i, task in enumerate(TASKS)}
    subjects = {"base": half, "elicited": half, "member:1": whole, "member:2": whole}
    steps = {"valid_rate": [0.5] * 10 + [1.0] * 2, "solve_rate": [float("nan")] * 12}
    names = ("mixed_groups", "truncated", "coverage", "logprob_mismatch")
    return Measured("made-up", {("held/out", "greedy"): subjects}, steps | dict.fromkeys(names, ()),
                    [2.0] * 10 + [4.0] * 2)  # fmt: skip


def test_a_gain_in_form_alone_leaves_accuracy_given_the_form() -> None:
    rows = [line.split(" | ") for line in results([measured()]).splitlines()[2:]]
    assert [row[1] for row in rows] == ["held/out, greedy, 40 tasks"] * 3
    assert [row[3:6] for row in rows] == [
        ["25.0", "50.0", "50.0"],
        ["25.0", "50.0", "50.0"],
        ["50.0", "100.0", "50.0"],
    ]
    gain, low, high = (
        float(x) for x in rows[2][6].translate(str.maketrans("(to)", "    ")).split()
    )
    assert gain == 25.0
    assert 8.0 < low < gain < high < 42.0  # the standard error is 6.8


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_curves_are_means_of_ten_steps() -> None:
    lines = curves([measured()]).splitlines()[2:]
    assert lines[0].startswith("| made-up | 1 to 10 | 2.0 | 0.5 | nan | - |")
    assert lines[1].startswith("| made-up | 11 to 12 | 4.0 | 1 | nan | - |")


def test_files_keep_everything(tmp_path: Path) -> None:
    write(measured(), tmp_path)
    kept = read(tmp_path / "made-up.json")
    assert kept.counts == measured().counts
    assert list(kept.seconds) == list(measured().seconds)


def test_a_run_is_collected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "runs" / "one" / "seed-0"
    fabricate(place, 12).close()
    assert main([str(tmp_path), str(tmp_path / "out")]) == 0
    first = capsys.readouterr().out
    assert main([str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out == first
    assert "| one | held-out, greedy, 60 tasks | students |" in first
    run = collect(place, "one")
    assert len(run.seconds) == 12
    with RunStore.open(place, read_only=True) as store:
        assert run.curves["valid_rate"] == [x for _, x in store.load_metrics("valid_rate")]
        rows = [row for row in store.load_evaluations("held-out") if row.mode == "sampled"]
    counts = run.counts["held-out", "sampled"]
    assert {(row.subject, row.task_id, row.samples, row.correct) for row in rows} == {
        (subject, task, attempts, right)
        for subject, tasks in counts.items()
        for task, (attempts, right, _) in tasks.items()
    }
