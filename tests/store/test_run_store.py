"""The run database: what goes in comes out, whole steps or none, one writer, many readers."""

import math
import os
import signal
import sqlite3
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from builders import completion, step_record, task
from hypothesis import given, settings
from hypothesis import strategies as st

from redqueen.config import Config, build_config, load_config
from redqueen.errors import ConfigError, InfrastructureError
from redqueen.store import EvaluationRow, RunStore, config_toml
from redqueen.store import run as run_module
from redqueen.types import Match, MatchResult, Rejection, Rollout, StepRecord, Verdict


@pytest.fixture
def store(tmp_path: Path):
    with RunStore.create(tmp_path / "run", Config()) as store:
        yield store


def dump(store: RunStore) -> dict[str, list[tuple]]:
    """Every row of every table but the clock times."""
    tables = [r[0] for r in store._rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    rows = {name: store._rows(f"SELECT * FROM {name}") for name in tables}
    rows["steps"] = [row[:1] for row in rows["steps"]]
    rows["meta"] = [row for row in rows["meta"] if row[0] != "created"]
    # Row ids of these two count on after a deletion; their order is what matters.
    rows["proposals"] = [row[1:] for row in sorted(rows["proposals"])]
    rows["rollouts"] = [row[1:] for row in sorted(rows["rollouts"])]
    return {name: sorted(found, key=repr) for name, found in rows.items()}


def test_a_step_comes_back_as_it_was_written(store: RunStore) -> None:
    for step in (1, 2, 3, 4):
        store.write_step(step_record(step))
    third = step_record(3)
    assert store.last_step() == 4
    assert store.steps() == [1, 2, 3, 4]
    assert store.load_metrics("solve_rate") == [(1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4)]
    assert store.load_metrics("coverage") == [
        (step, step_record(step).metrics["coverage"]) for step in (1, 2, 3, 4)
    ]
    assert [(p.phase, p.seconds) for p in store.load_phases() if p.step == 3] == [
        ("match", 0.1),
        ("solve", 6.0),
    ]
    assert [m for m in store.load_matches() if m.match.step == 3] == list(third.matches)
    assert store.load_events() == list(third.events)
    members = {m.id: m for m in store.load_members()}
    assert list(members) == [0, 1, 2, 3, 4]
    assert members[1] == third.members[-2]
    assert members[4] == next(m for m in step_record(4).members if m.id == 4)
    points = [(p.step, p.mu) for p in store.load_ratings() if p.member == 1]
    assert points == [(1, 26.1), (2, 27.1), (3, 28.1)]


def test_proposals_tasks_and_attempts(store: RunStore) -> None:
    store.write_step(step_record(1))
    valid, rejected = store.load_proposals(1)
    assert (valid.task_id, valid.reason, valid.text, valid.reward) == (
        "t1-0",
        None,
        "a program",
        0.75,
    )
    assert (rejected.reason, rejected.malformed, rejected.detail) == ("syntax", True, "line 1")
    assert [(o.reason, o.count) for o in store.load_outcomes()] == [(None, 1), ("syntax", 1)]
    assert store.load_features() == [(1, "code_o", dict(task(1).features))]
    (outcome,) = store.load_task_outcomes(1, 1)
    assert outcome.task == task(1)
    # Four attempts, one of them an infrastructure error, which counts nowhere.
    assert (outcome.correct, outcome.attempts) == (1, 3)
    (solved,) = store.load_solve_counts()
    assert (solved.step, solved.kind, solved.correct, solved.attempts) == (1, "code_o", 1, 3)
    attempts = store.load_attempts("t1-0")
    assert [a.text for a in attempts] == ["try 0", "try 1", "try 2", "try 3"]
    assert [a.verdict for a in attempts][-1] is Verdict.INFRA_ERROR
    assert store.load_attempts("t1-0", step=2) == []


def test_matrix_counts_tasks_and_attempts(store: RunStore) -> None:
    for step in (1, 2):
        store.write_step(step_record(step))
    (cell,) = store.load_matrix()
    assert (cell.teacher, cell.student, cell.tasks, cell.attempts, cell.correct) == (0, 2, 2, 6, 2)
    assert cell.solve_rate == pytest.approx(1 / 3)


def shared_and_streamed(step: int) -> StepRecord:
    """Match 0 is against the stream; match 1 shares its tasks with another student."""
    posed = [replace(task(step, n), author=None) for n in range(2)]
    matches = [Match(step, 0, None, 2), Match(step, 1, None, 3, tasks_of=0)]
    rollouts = [
        Rollout(step, m.index, m.student, t.id, "code_o", n, completion("try"), verdict, None, 1.0)
        for t in posed
        for m in matches
        for n, verdict in enumerate((Verdict.CORRECT, Verdict.WRONG, Verdict.INFRA_ERROR))
    ]
    return replace(
        step_record(step),
        matches=tuple(MatchResult(m, 0, 2, 0.5, None, None) for m in matches),
        proposals=(),
        rollouts=tuple(rollouts),
        streamed=tuple(posed),
    )


def test_the_stream_has_no_teacher_and_no_proposals(store: RunStore) -> None:
    record = shared_and_streamed(1)
    store.write_step(record)
    store.write_step(step_record(2))
    assert store.load_matches()[:2] == list(record.matches)
    assert store.load_proposals(1) == []
    first, second, taught = store.load_task_outcomes(1, 2)[-2:] + store.load_task_outcomes(2, 2)
    assert [first.task, second.task] == [*record.streamed]
    assert [(o.proposal, o.correct, o.attempts) for o in (first, second)] == [("", 2, 4)] * 2
    assert (taught.task.author, taught.attempts) == (0, 3)
    assert store.load_task_outcomes(3, 9) == []
    assert [step for step, _, _ in store.load_features()] == [1, 1, 2]
    cells = {(c.teacher, c.student): (c.tasks, c.attempts, c.correct) for c in store.load_matrix()}
    assert cells == {(None, 2): (2, 4, 2), (None, 3): (2, 4, 2), (0, 2): (1, 3, 1)}


def test_a_streamed_task_that_comes_again_counts_in_each_step(store: RunStore) -> None:
    first, second = shared_and_streamed(1), shared_and_streamed(2)
    again = tuple(replace(r, step=2) for r in first.rollouts)
    store.write_step(first)
    store.write_step(replace(second, rollouts=again, streamed=first.streamed))
    outcomes = store.load_task_outcomes(1, 2)
    assert [(o.step, o.task.id) for o in outcomes] == [
        (step, posed.id) for step in (1, 2) for posed in first.streamed
    ]
    assert [o.attempts for o in outcomes] == [4] * 4
    store.truncate_after(1)
    assert len(store.load_task_outcomes(1, 2)) == 2


def test_attempts_of_further_students_belong_to_the_task(store: RunStore) -> None:
    record = step_record(1)
    further = MatchResult(Match(1, 2, 0, 3, tasks_of=0), 0, 1, 1.0, 0.5, True)
    more = [replace(r, match=2, student=3, verdict=Verdict.CORRECT) for r in record.rollouts]
    rollouts = (*record.rollouts, *more)
    store.write_step(replace(record, matches=(*record.matches, further), rollouts=rollouts))
    (outcome,) = store.load_task_outcomes(1, 1)
    assert (outcome.correct, outcome.attempts) == (1 + 4, 3 + 4)
    assert store.load_matches()[-1] == further
    assert [(c.student, c.attempts) for c in store.load_matrix()] == [(2, 3), (3, 4)]


def test_the_same_task_proposed_twice_is_kept_once(store: RunStore) -> None:
    record = step_record(1)
    store.write_step(replace(record, proposals=record.proposals * 2))
    assert len(store.load_proposals(1)) == 4
    assert [o.task.id for o in store.load_task_outcomes(1, 1)] == ["t1-0", "t1-0"]
    assert [o.attempts for o in store.load_task_outcomes(1, 1)] == [3, 3]


def test_a_task_proposed_again_later_has_the_later_author(store: RunStore) -> None:
    first, second = step_record(1), step_record(2)
    again = replace(second.proposals[0], outcome=first.proposals[0].outcome, teacher=7)
    store.write_step(first)
    store.write_step(replace(second, proposals=(again,), rollouts=()))
    one, two = store.load_task_outcomes(1, 2)
    assert [(o.step, o.task.id, o.task.author) for o in (one, two)] == [
        (1, "t1-0", 0),
        (2, "t1-0", 7),
    ]
    assert (one.attempts, two.attempts) == (3, 0)
    store.truncate_after(1)
    assert [o.task.author for o in store.load_task_outcomes(1, 2)] == [0]


def test_truncation_leaves_the_run_as_it_was(tmp_path: Path) -> None:
    short = RunStore.create(tmp_path / "short", Config())
    long = RunStore.create(tmp_path / "long", Config())
    row = EvaluationRow("base", "held-out", "greedy", "h1", "code_o", 1, 1, 1)
    for step in range(1, 6):
        long.write_step(step_record(step))
        if step <= 2:
            short.write_step(step_record(step))
    short.write_evaluation([row])
    long.write_evaluation([row], step=2)
    long.write_evaluation([replace(row, subject="member:2")])
    long.truncate_after(2)
    assert dump(long) == dump(short)
    assert long.load_members()[1].died is None
    for step in range(3, 6):
        short.write_step(step_record(step))
        long.write_step(step_record(step))
    assert dump(long) == dump(short)
    assert long.load_members()[1].died == 3


def test_truncate_to_nothing_and_beyond_the_end(store: RunStore) -> None:
    store.truncate_after(0)
    store.write_step(step_record(1))
    store.truncate_after(1)
    assert store.last_step() == 1
    with pytest.raises(InfrastructureError, match="ends at step 1, before the checkpoint of step"):
        store.truncate_after(2)
    store.truncate_after(0)
    assert {name for name, rows in dump(store).items() if rows} == {"meta"}


def test_a_step_is_written_once(store: RunStore) -> None:
    store.write_step(step_record(2))
    before = dump(store)
    for step in (1, 2):
        with pytest.raises(ValueError, match="truncate_after"):
            store.write_step(step_record(step))
    assert dump(store) == before


def test_a_failing_step_leaves_nothing(store: RunStore) -> None:
    store.write_step(step_record(1))
    before = dump(store)
    bad = step_record(2)
    with pytest.raises(InfrastructureError, match=r"run\.db"):
        store.write_step(replace(bad, matches=bad.matches[:1] * 2))  # same primary key twice
    assert dump(store) == before
    with pytest.raises(TypeError):
        store.write_step(replace(bad, events=(replace(step_record(3).events[0], details={1, 2}),)))
    assert dump(store) == before
    store.write_step(bad)


def test_a_full_disk_is_an_infrastructure_error(store: RunStore) -> None:
    store.write_step(step_record(1))
    before = dump(store)
    pages = store._rows("PRAGMA page_count")[0][0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own "disk is full"
    big = step_record(2)
    proposal = replace(big.proposals[0], completion=completion("x" * 100_000))
    with pytest.raises(InfrastructureError, match="full"):
        store.write_step(replace(big, proposals=(proposal,)))
    assert dump(store) == before


def test_odd_numbers_and_texts(store: RunStore) -> None:
    record = step_record(1)
    text = "nul \x00, lone \ud800, emoji 🐢, <script>"
    odd = replace(
        record,
        metrics={"nan": math.nan, "inf": math.inf},
        proposals=(
            replace(
                record.proposals[0],
                completion=completion(text),
                outcome=Rejection("unsupported", malformed=False, detail=text),
            ),
        ),
        rollouts=(replace(record.rollouts[0], answer=text, completion=completion(text)),),
    )
    store.write_step(odd)
    assert math.isnan(store.load_metrics("nan")[0][1])
    assert store.load_metrics("inf") == [(1, math.inf)]
    kept = "nul \x00, lone \\ud800, emoji 🐢, <script>"
    assert store.load_proposals(1)[0].text == kept
    assert store.load_proposals(1)[0].detail == kept
    assert store.load_attempts("t1-0")[0].answer == kept


def test_evaluations_replace_their_own_kind_only(store: RunStore) -> None:
    def rows(subject: str, mode: str, correct: int, tasks: int) -> list[EvaluationRow]:
        return [
            EvaluationRow(subject, "held-out", mode, f"h{i}", "code_o", i % 3, correct, 4)
            for i in range(tasks)
        ]

    store.write_step(step_record(1))
    store.write_evaluation([*rows("base", "sampled", 1, 3), *rows("base", "greedy", 0, 3)], step=0)
    store.write_evaluation(rows("member:2", "sampled", 2, 3))
    store.write_evaluation(rows("base", "sampled", 4, 2))
    found = store.load_evaluations("held-out")
    assert [r for r in found if (r.subject, r.mode) == ("base", "sampled")] == rows(
        "base", "sampled", 4, 2
    )
    assert len(found) == 2 + 3 + 3
    assert store.load_evaluations() == found
    assert store.load_evaluations("other") == []
    assert store.suites() == ["held-out"]
    assert store.evaluated_step("held-out") == 1
    assert store.evaluated_step("other") is None
    with pytest.raises(InfrastructureError, match="CHECK"):
        store.write_evaluation([replace(found[0], correct=5)])
    assert store.load_evaluations() == found


def test_parts_of_an_evaluation_stay_out_of_sight(store: RunStore) -> None:
    def rows(subject: str, mode: str, correct: int) -> list[EvaluationRow]:
        return [
            EvaluationRow(subject, "beyond", mode, f"h{i}", "code_o", 6, correct, 4)
            for i in range(3)
        ]

    store.write_step(step_record(1))
    store.write_evaluation(rows("base", "greedy", 2), step=1)
    store.stage_evaluation(rows("base", "greedy", 1), step=1)
    store.stage_evaluation(rows("base", "sampled", 3), step=1)
    store.stage_evaluation(rows("base", "greedy", 4), step=1)
    store.stage_evaluation(rows("member:2", "greedy", 0), step=0)
    assert store.load_evaluations() == rows("base", "greedy", 2)
    assert store.suites() == ["beyond"]
    assert store.staged_evaluation("beyond", 1) == [
        *rows("base", "greedy", 4), *rows("base", "sampled", 3),
    ]  # fmt: skip
    assert store.staged_evaluation("beyond", 0) == rows("member:2", "greedy", 0)
    assert store.staged_evaluation("held-out", 1) == []
    store.truncate_after(0)
    assert store.staged_evaluation("beyond", 1) == []
    store.drop_staged("beyond")
    assert store.staged_evaluation("beyond", 0) == []


def test_a_directory_with_a_run_is_refused(tmp_path: Path) -> None:
    RunStore.create(tmp_path, Config()).close()
    with pytest.raises(ConfigError, match=r"already holds a run.*redqueen resume"):
        RunStore.create(tmp_path, Config())
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot make the run directory"):
        RunStore.create(tmp_path / "file" / "below", Config())


def test_opening_what_is_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no run"):
        RunStore.open(tmp_path)
    (tmp_path / "run.db").write_text("this is no database, only some text that is long enough")
    with pytest.raises(ConfigError, match="not a run database"):
        RunStore.open(tmp_path)
    (tmp_path / "run.db").unlink()
    sqlite3.connect(tmp_path / "run.db").execute("CREATE TABLE other (x)").connection.close()
    for read_only in (False, True):
        with pytest.raises(ConfigError, match="not a run database"):
            RunStore.open(tmp_path, read_only=read_only)


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    with RunStore.create(tmp_path, Config()) as store:
        store.write_meta("schema_version", 99)
    with pytest.raises(ConfigError, match="schema version 99"):
        RunStore.open(tmp_path, read_only=True)


def test_a_half_made_database_is_never_seen(tmp_path: Path, monkeypatch) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(Path, "replace", die)
    with pytest.raises(Killed):
        RunStore.create(tmp_path, Config())
    monkeypatch.undo()
    monkeypatch.setattr(run_module, "write_text", lambda *_: None)  # reach the database's rename
    monkeypatch.setattr(Path, "replace", die)
    with pytest.raises(Killed):
        RunStore.create(tmp_path, Config())
    monkeypatch.undo()
    assert not (tmp_path / "run.db").exists()
    RunStore.create(tmp_path, Config()).close()
    RunStore.open(tmp_path).close()


def test_readers_see_whole_steps_while_one_writes(tmp_path: Path) -> None:
    writer = RunStore.create(tmp_path / "a run #1?", Config())
    reader = RunStore.open(tmp_path / "a run #1?", read_only=True)
    assert reader.last_step() == 0
    writer.write_step(step_record(1))
    assert reader.last_step() == 1
    assert len(reader.load_attempts("t1-0")) == 4
    assert reader.read_only
    with pytest.raises(ValueError, match="read-only"):
        reader.write_step(step_record(2))
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connection.execute("DELETE FROM steps")
    writer.close()
    assert reader.last_step() == 1
    reader.close()
    with RunStore.open(tmp_path / "a run #1?", read_only=True) as again:
        assert again.last_step() == 1


CHILD = """
import os, sys
sys.path.insert(0, {tests!r})
from builders import step_record
from redqueen.store import RunStore
store = RunStore.open(sys.argv[1])
print("open", flush=True)
store.write_step(step_record(2))
store._connection.execute("BEGIN IMMEDIATE")
store._connection.execute("DELETE FROM steps")
print("half", flush=True)
sys.stdin.read()
"""


def test_one_writer_and_a_kill_in_the_middle_of_a_transaction(tmp_path: Path) -> None:
    with RunStore.create(tmp_path, Config()) as store:
        store.write_step(step_record(1))
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD.format(tests=str(Path(__file__).parent)), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        with pytest.raises(ConfigError, match="another process is writing"):
            RunStore.open(tmp_path)
        assert child.stdout.readline() == "half\n"
        with RunStore.open(tmp_path, read_only=True) as reader:
            assert reader.steps() == [1, 2]
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    with RunStore.open(tmp_path) as store:
        assert store.steps() == [1, 2]
        store.write_step(step_record(3))


def test_config_is_kept_in_both_forms(tmp_path: Path) -> None:
    config = build_config(
        {
            "name": 'odd "name" \\ with\ttab',
            "seed": 7,
            "policy": {"targets": ["q_proj", "v_proj"]},
            "learner": {"learning_rate": 1e-05},
        }
    )
    with RunStore.create(tmp_path, config) as store:
        assert store.config() == config
    assert load_config(tmp_path / "config.toml") == config


@settings(max_examples=50, deadline=None)
@given(
    name=st.text(st.characters(exclude_categories=["Cs"])),
    rate=st.floats(1e-12, 1e6),
    seed=st.integers(0, 2**62),
    targets=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3),
)
def test_toml_text_is_read_back_exactly(name, rate, seed, targets) -> None:
    config = build_config(
        {
            "name": name,
            "seed": seed,
            "learner": {"learning_rate": rate},
            "policy": {"targets": targets},
        }
    )
    assert build_config(tomllib.loads(config_toml(config))) == config
