"""Further rounds for groups with mixed verdicts, with teachers who write further tasks."""

from collections import Counter
from pathlib import Path

from redqueen import build
from redqueen.open_run import open_run
from redqueen.types import Task
from redqueen.verify import verify_run
from tests.trainers import Make, train


def test_teachers_tasks_of_every_round_are_attempted_rewarded_and_stored(
    tiny: Make, tmp_path: Path
) -> None:
    rollout = {"mixed_groups": 100, "max_rounds": 3, "students_per_task": "all"}
    records = train(tiny(rollout=rollout), tmp_path / "run")
    run = open_run(tmp_path / "run", None)
    with build.open_environments(run.config) as environments:
        report = verify_run(run, environments)
    assert report.agrees, report.differences
    for record in records:
        own = [match.match for match in record.matches if match.match.tasks_of is None]
        assert [match.index for match in own] == [0, 1, 4, 5, 8, 9]
        assert [p.match for p in record.proposals] == [m.index for m in own for _ in range(3)]
        pairs = {(m.index, m.teacher) for m in own}
        assert all((p.match, p.teacher) in pairs for p in record.proposals)
        valid = [(p.match, p.outcome.id) for p in record.proposals if isinstance(p.outcome, Task)]
        roots = {match.match.index: match.match.root for match in record.matches}
        attempts = Counter((roots[r.match], r.task_id, r.student) for r in record.rollouts)
        assert set(attempts.values()) == {3}
        assert Counter((match, task) for match, task, _ in attempts) == dict.fromkeys(valid, 2)
        assert any(match >= 4 for match, _ in valid)
