"""The run database: what goes in comes out, whole steps or none, one writer, many readers."""

import errno
import math
import os
import signal
import sqlite3
import subprocess
import sys
import tomllib
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from builders import attempts, completion, rollout, step_record, task, values
from hypothesis import given, settings
from hypothesis import strategies as st

from redqueen import __version__
from redqueen.errors import ConfigError, InfrastructureError, RedQueenError
from redqueen.store import (
    EvaluationRow,
    EvaluationStore,
    Replay,
    RunStore,
    config_toml,
    save_checkpoint,
)
from redqueen.store import run as run_module
from redqueen.types import Match, MatchResult, Rejection, StepRecord, Verdict


@pytest.fixture
def store(tmp_path: Path):
    environments = {"sums": {"difficulty": {"name": "band"}}}
    with RunStore.create(tmp_path / "run", values(), environments) as store:
        yield store


def dump(store: RunStore) -> dict[str, list[tuple]]:
    """Every row of every table but the clock times."""
    tables = [r[0] for r in store.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    rows = {name: [*map(tuple, store.rows(f"SELECT * FROM {name}"))] for name in tables}
    rows["steps"] = [row[:1] for row in rows["steps"]]
    rows["meta"] = [row for row in rows["meta"] if row[0] != "created"]
    # Row ids of these two count on after a deletion; their order is what matters.
    rows["proposals"] = [row[1:] for row in sorted(rows["proposals"])]
    rows["rollouts"] = [row[1:] for row in sorted(rows["rollouts"])]
    return {name: sorted(found, key=repr) for name, found in rows.items()}


def test_a_step_comes_back_as_it_was_written(store: RunStore) -> None:
    records = [step_record(step) for step in (1, 2, 3, 4)]
    for record in records:
        store.write_step(record)
    assert [Replay(store).step(step) for step in (1, 2, 3, 4)] == records
    assert (store.last_step(), store.steps()) == (4, [1, 2, 3, 4])
    assert store.load_metrics("solve_rate") == [(1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4)]
    assert [(t.phase, t.seconds) for t in store.load_phases(3)] == [("match", 0.1), ("solve", 6.0)]
    (beside,) = store.load_phases(3, background=True)
    assert (beside.phase, beside.seconds) == ("verify", 1.0)
    assert store.load_events() == list(records[2].events)
    members = {m.id: m for m in store.load_members()}
    assert list(members) == [0, 1, 2, 3, 4]
    assert members[1] == records[2].members[1]
    points = [(p.step, p.mu) for p in store.load_ratings() if p.member == 1]
    assert points == [(1, 26.1), (2, 27.1), (3, 28.1)]


def test_tokens_are_left_out_if_the_config_says_so(tmp_path: Path) -> None:
    with RunStore.create(tmp_path, values(keep_tokens=False)) as store:
        record = step_record(1)
        store.write_step(record)
        (blobs,) = store.rows(
            "SELECT count(token_ids) + count(logprobs) FROM (SELECT token_ids, logprobs FROM "
            "rollouts UNION ALL SELECT token_ids, logprobs FROM proposals)"
        )
        assert blobs[0] == 0
        kept = Replay(store).step(1).rollouts[0].completion
        assert kept == replace(
            record.rollouts[0].completion, prompt_ids=(), token_ids=(), logprobs=()
        )
        assert store.load_attempts("t1-0")[0].tokens == 3


def test_a_prompt_is_stored_once_and_falls_with_its_first_step(store: RunStore) -> None:
    first, second = step_record(1), step_record(2)
    same = replace(second.rollouts[0], request=first.rollouts[0].request)
    store.write_step(first)
    store.write_step(replace(second, rollouts=(same, *second.rollouts[1:])))
    used = {turn.request.messages for record in (first, second) for turn in record.rollouts}
    used |= {turn.request.messages for record in (first, second) for turn in record.proposals}
    assert store.rows("SELECT count(*) FROM prompts")[0][0] == len(used)
    store.truncate_after(1)
    assert Replay(store).step(1) == first


def test_seed_tasks_are_there_before_the_first_step(store: RunStore) -> None:
    seeds = [task(0, number, author=None) for number in range(2)]
    store.write_seed_tasks(seeds)
    store.write_step(step_record(1))
    store.truncate_after(0)
    assert (store.last_step(), store.steps()) == (0, [])
    assert Replay(store).tasks({"t0-0", "t0-1", "t1-0"}) == {seed.id: seed for seed in seeds}


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
    assert store.load_features() == [(1, "plus", dict(task(1).features))]
    (outcome,) = store.load_task_outcomes(1, 1)
    assert outcome.task == task(1)
    # Four attempts, one of them an infrastructure error, which counts nowhere.
    assert (outcome.correct, outcome.attempts) == (1, 3)
    (solved,) = store.load_solve_counts()
    assert (solved.step, solved.kind, solved.correct, solved.attempts) == (1, "plus", 1, 3)
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
        rollout(step, t, n, verdict, match=m.index, student=m.student)
        for t in posed
        for m in matches
        for n, verdict in enumerate((Verdict.CORRECT, Verdict.WRONG, Verdict.INFRA_ERROR))
    ]
    return replace(
        step_record(step),
        matches=tuple(MatchResult(m, 0, 2, 0.5, None, None) for m in matches),
        proposals=(),
        proposal_rewards=(),
        rollouts=tuple(rollouts),
        rollout_rewards=(1.0,) * len(rollouts),
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
    store.write_step(
        replace(
            record,
            matches=(*record.matches, further),
            rollouts=(*record.rollouts, *more),
            rollout_rewards=record.rollout_rewards * 2,
        )
    )
    (outcome,) = store.load_task_outcomes(1, 1)
    assert (outcome.correct, outcome.attempts) == (1 + 4, 3 + 4)
    assert store.load_matches()[-1] == further
    assert [(c.student, c.attempts) for c in store.load_matrix()] == [(2, 3), (3, 4)]


def test_the_same_task_proposed_twice_is_kept_once(store: RunStore) -> None:
    record = step_record(1)
    twice = (record.proposals * 2, record.proposal_rewards * 2)
    store.write_step(replace(record, proposals=twice[0], proposal_rewards=twice[1]))
    assert len(store.load_proposals(1)) == 4
    assert [o.task.id for o in store.load_task_outcomes(1, 1)] == ["t1-0", "t1-0"]
    assert [o.attempts for o in store.load_task_outcomes(1, 1)] == [3, 3]


def test_a_task_proposed_again_later_has_the_later_author(store: RunStore) -> None:
    first, second = step_record(1), step_record(2)
    again = replace(second.proposals[0], outcome=first.proposals[0].outcome, teacher=7)
    store.write_step(first)
    alone = replace(second, proposals=(again,), proposal_rewards=(1.0,))
    store.write_step(replace(alone, rollouts=(), rollout_rewards=()))
    assert Replay(store).step(2).proposals[0].outcome == replace(again.outcome, author=7, step=2)
    one, two = store.load_task_outcomes(1, 2)
    assert [(o.step, o.task.id, o.task.author) for o in (one, two)] == [
        (1, "t1-0", 0),
        (2, "t1-0", 7),
    ]
    assert (one.attempts, two.attempts) == (3, 0)
    store.truncate_after(1)
    assert [o.task.author for o in store.load_task_outcomes(1, 2)] == [0]


def test_truncation_leaves_the_run_as_it_was(tmp_path: Path) -> None:
    short = RunStore.create(tmp_path / "short", values())
    long = RunStore.create(tmp_path / "long", values())
    base = attempts("base", "greedy", {"h1": "c"})
    suite = [task(0, id="h1", author=None)]
    for step in range(1, 6):
        long.write_step(step_record(step))
        if step <= 2:
            short.write_step(step_record(step))
    short.write_evaluation(base, suite, step=2)
    long.write_evaluation(base, suite, step=2)
    long.write_evaluation(attempts("member:2", "greedy", {"h1": "w"}), suite, step=5)
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
    assert {name for name, rows in dump(store).items() if rows} == {"meta", "steps"}


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
    store.write_step(bad)


def test_a_full_disk_is_an_infrastructure_error(store: RunStore) -> None:
    store.write_step(step_record(1))
    before = dump(store)
    pages = store.rows("PRAGMA page_count")[0][0]
    store.rows(f"PRAGMA max_page_count = {pages}")  # SQLite's own "disk is full"
    big = step_record(2)
    proposal = replace(big.proposals[0], completion=completion("x" * 100_000))
    with pytest.raises(InfrastructureError, match="full"):
        store.write_step(replace(big, proposals=(proposal,), proposal_rewards=(1.0,)))
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
        proposal_rewards=(None,),
        rollouts=(replace(record.rollouts[0], answer=text, completion=completion(text)),),
        rollout_rewards=(1.0,),
    )
    store.write_step(odd)
    assert math.isnan(store.load_metrics("nan")[0][1])
    assert store.load_metrics("inf") == [(1, math.inf)]
    kept = "nul \x00, lone \\ud800, emoji 🐢, <script>"
    assert store.load_proposals(1)[0].text == kept
    assert store.load_proposals(1)[0].detail == kept
    assert store.load_attempts("t1-0")[0].answer == kept


SUITE = [task(0, n, id=f"h{n}", author=None, features={"band": float(n)}) for n in range(3)]


def counts(rows: list[EvaluationRow]) -> dict[tuple[str, str], list[tuple[int, int]]]:
    result: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for row in rows:
        result.setdefault((row.subject, row.mode), []).append((row.correct, row.samples))
    return result


def test_evaluations_replace_their_own_kind_only(store: RunStore) -> None:
    store.write_step(step_record(1))
    first = attempts("base", "sampled", {"h0": "cw", "h1": "ww", "h2": "cc"})
    greedy = attempts("base", "greedy", {"h0": "c"})
    store.write_evaluation([*first, *greedy], SUITE, step=0)
    member = attempts("member:2", "sampled", {"h1": "cw"})
    store.write_evaluation(member, SUITE, step=1)
    assert Replay(store).evaluation("held-out") == [*first, *greedy, *member]
    store.write_evaluation(attempts("base", "sampled", {"h2": "wwc"}), SUITE, step=1)
    rows = store.load_evaluations("held-out")
    assert counts(rows) == {
        ("base", "greedy"): [(1, 1)], ("base", "sampled"): [(1, 3)],
        ("member:2", "sampled"): [(1, 2)],
    }  # fmt: skip
    assert [(row.task_id, row.kind, row.band) for row in rows] == [
        ("h0", "plus", 0), ("h2", "plus", 2), ("h1", "plus", 1),
    ]  # fmt: skip
    assert store.load_evaluations() == rows
    assert store.load_evaluations("other") == []
    assert (store.suites(), store.evaluated_step("held-out")) == (["held-out"], 1)
    assert store.evaluated_step("other") is None
    with pytest.raises(InfrastructureError, match="UNIQUE"):
        store.write_evaluation(greedy * 2, SUITE, step=1)
    with pytest.raises(InfrastructureError, match="FOREIGN KEY"):
        store.write_evaluation(attempts("base", "greedy", {"h9": "c"}), SUITE, step=1)
    assert store.load_evaluations() == rows


def test_parts_of_an_evaluation_stay_out_of_sight_until_all_are_there(store: RunStore) -> None:
    store.write_step(step_record(1))
    old = attempts("base", "greedy", {"h0": "c"})
    store.write_evaluation(old, SUITE, step=1)
    for letter in "wc":  # a part that is measured again replaces itself
        store.stage_evaluation(attempts("base", "greedy", {"h0": letter}), SUITE, step=1)
    store.stage_evaluation(attempts("base", "sampled", {"h0": "cc"}), SUITE, step=1)
    store.stage_evaluation(attempts("member:2", "greedy", {"h0": "w"}), SUITE, step=0)
    assert Replay(store).evaluation("held-out") == old
    assert counts(store.staged_evaluation("held-out", 1)) == {
        ("base", "greedy"): [(1, 1)], ("base", "sampled"): [(2, 2)],
    }  # fmt: skip
    assert counts(store.staged_evaluation("held-out", 0)) == {("member:2", "greedy"): [(0, 1)]}
    assert store.staged_evaluation("other", 1) == []
    store.publish_evaluation("held-out", [("base", "greedy"), ("base", "sampled")], step=1)
    assert counts(store.load_evaluations()) == {
        ("base", "greedy"): [(1, 1)], ("base", "sampled"): [(2, 2)],
    }  # fmt: skip
    assert store.staged_evaluation("held-out", 0) == []


def test_an_evaluation_is_written_while_another_process_trains(tmp_path: Path) -> None:
    with RunStore.create(tmp_path, values()) as trainer:
        trainer.write_step(step_record(1))
        with EvaluationStore.open(tmp_path) as evaluation:
            rows = attempts("base", "greedy", {"h0": "c"})
            evaluation.stage_evaluation(rows, SUITE, step=1)
            trainer.write_step(step_record(2))
            evaluation.publish_evaluation("held-out", [("base", "greedy")], step=1)
        trainer.write_step(step_record(3))
        assert trainer.steps() == [1, 2, 3]
        assert counts(trainer.load_evaluations()) == {("base", "greedy"): [(1, 1)]}


def test_what_an_evaluation_shares_with_a_later_step_outlives_it(store: RunStore) -> None:
    for step in (1, 2):
        store.write_step(step_record(step))
    later = step_record(2).rollouts[0]
    asked = replace(later.request, slot=None, temperature=None)
    shared = replace(attempts("base", "greedy", {later.task_id: "c"})[0], request=asked)
    store.write_evaluation([shared], [task(2)], step=1)
    store.truncate_after(1)
    assert Replay(store).evaluation("held-out")[0].request == shared.request


def test_a_directory_with_a_run_is_refused(tmp_path: Path) -> None:
    RunStore.create(tmp_path, values()).close()
    with pytest.raises(ConfigError, match=r"already holds a run.*redqueen resume"):
        RunStore.create(tmp_path, values())
    (tmp_path / "run.db").unlink()
    save_checkpoint(tmp_path, 3, {}, {})
    with pytest.raises(
        ConfigError, match=r"checkpoints of a run whose database run\.db is missing"
    ):
        RunStore.create(tmp_path, values())
    with pytest.raises(ConfigError, match=r"up to step 3, but its database run\.db is missing"):
        RunStore.open(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot make the run directory"):
        RunStore.create(tmp_path / "file" / "below", values())


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


@pytest.mark.parametrize("key", ["config", "environments", "schema_version"])
@pytest.mark.parametrize("value", ["{", "[1]", None])
def test_a_database_without_what_every_command_reads(tmp_path: Path, key: str, value) -> None:
    RunStore.create(tmp_path, values()).close()
    with closing(sqlite3.connect(tmp_path / "run.db")) as db, db:
        if value is None:
            db.execute("DELETE FROM meta WHERE key = ?", (key,))
        else:
            db.execute("UPDATE meta SET value = ? WHERE key = ?", (value, key))
    for read_only in (True, False):
        with pytest.raises(RedQueenError, match=r"is damaged|is not a run database|schema \[1\]"):
            RunStore.open(tmp_path, read_only=read_only)


@pytest.mark.parametrize("read_only", [True, False])
def test_a_database_that_was_cut_off_says_what_helps(tmp_path: Path, read_only: bool) -> None:
    with RunStore.create(tmp_path, values()) as store:
        for step in range(1, 6):
            store.write_step(step_record(step))
    path = tmp_path / "run.db"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with (
        pytest.raises(InfrastructureError, match=r"run\.db is damaged.*put back a copy of it"),
        RunStore.open(tmp_path, read_only=read_only) as store,
    ):
        store.load_attempts("t5-0")


def test_a_config_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds a config\.toml of somebody else"):
        RunStore.create(tmp_path, values())
    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]
    assert (tmp_path / "config.toml").read_text() == "mine"


@pytest.mark.parametrize(
    ("schema", "writer", "sentence"),
    [
        (2, None, r"written by redqueen 0\.1\.x \(database schema 2;.*Open it with the version"),
        (99, "9.1", r"written by redqueen 9\.1 \(database schema 99;"),
    ],
)
def test_another_schema_is_refused(tmp_path: Path, schema, writer, sentence) -> None:
    with RunStore.create(tmp_path, values()) as store:
        assert store.meta("redqueen_version") == __version__
        store.write_meta("schema_version", schema)
        store.write_meta("redqueen_version", writer)
    for read_only in (True, False):
        with pytest.raises(ConfigError, match=sentence):
            RunStore.open(tmp_path, read_only=read_only)
    with pytest.raises(ConfigError, match=sentence):
        EvaluationStore.open(tmp_path)


def no_locks(descriptor: int, operation: int) -> None:
    raise OSError(errno.ENOLCK, "No locks available")


def test_a_mount_without_file_locks(tmp_path: Path, caplog) -> None:
    with RunStore.create(tmp_path, values(), lock_file=no_locks) as store:
        assert "keeps no file locks" in caplog.text
        assert "--out" in caplog.text
        store.write_step(step_record(1))
        with RunStore.open(tmp_path, read_only=True, lock_file=no_locks) as reader:
            assert Replay(reader).step(1) == step_record(1)
            store.write_step(step_record(2))
            assert reader.steps() == [1, 2]
        assert {path.name for path in tmp_path.iterdir()} <= {
            "run.db", "run.lock", "config.toml", "run.db-journal",
        }  # fmt: skip
    with RunStore.open(tmp_path, lock_file=no_locks) as store:
        store.write_step(step_record(3))
        assert store.steps() == [1, 2, 3]


def test_reading_a_run_that_nobody_writes_makes_no_file(tmp_path: Path) -> None:
    with RunStore.create(tmp_path, values()) as store:
        store.write_step(step_record(1))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with RunStore.open(tmp_path, read_only=True) as reader:
        assert reader.steps() == [1]
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_half_made_database_is_never_seen(tmp_path: Path, monkeypatch) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(Path, "replace", die)
    with pytest.raises(Killed):
        RunStore.create(tmp_path, values())
    monkeypatch.undo()
    monkeypatch.setattr(run_module, "write_text", lambda *_: None)  # reach the database's rename
    monkeypatch.setattr(Path, "replace", die)
    with pytest.raises(Killed):
        RunStore.create(tmp_path, values())
    monkeypatch.undo()
    assert not (tmp_path / "run.db").exists()
    RunStore.create(tmp_path, values()).close()
    RunStore.open(tmp_path).close()


@pytest.mark.parametrize("there", [True, False])
def test_a_run_that_cannot_be_made_leaves_nothing(tmp_path: Path, monkeypatch, there: bool) -> None:
    run = tmp_path / "run"
    if there:
        run.mkdir()
        (run / "notes").write_text("mine")
    monkeypatch.setattr(run_module, "SCHEMA", f"{run_module.SCHEMA}; PRAGMA max_page_count = 1;")
    with pytest.raises(InfrastructureError, match=r"run\.db failed: database or disk is full"):
        RunStore.create(run, values(name="x" * 10_000))
    assert [path.name for path in tmp_path.rglob("*")] == (["run", "notes"] if there else [])
    monkeypatch.undo()
    RunStore.create(run, values()).close()


def test_a_database_is_whole_when_it_gets_its_name(tmp_path: Path, monkeypatch) -> None:
    seen: dict[str, list[str]] = {}
    replace_file = Path.replace

    def watched(path: Path, target: Path) -> Path:
        seen[target.name] = sorted(item.name for item in path.parent.iterdir())
        return replace_file(path, target)

    monkeypatch.setattr(Path, "replace", watched)
    RunStore.create(tmp_path, values()).close()
    # No log or journal beside it, which would stay behind under the other name.
    assert seen["run.db"] == [".run.db.new", "config.toml", "run.lock"]


def test_readers_see_whole_steps_while_one_writes(tmp_path: Path) -> None:
    writer = RunStore.create(tmp_path / "a run #1?", values())
    reader = RunStore.open(tmp_path / "a run #1?", read_only=True)
    assert reader.last_step() == 0
    writer.write_step(step_record(1))
    assert reader.last_step() == 1
    assert len(reader.load_attempts("t1-0")) == 4
    assert reader.read_only
    with pytest.raises(ValueError, match="read-only"):
        reader.write_step(step_record(2))
    with pytest.raises(InfrastructureError, match="readonly"):
        reader.rows("DELETE FROM steps")
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
store.rows("BEGIN IMMEDIATE")
store.rows("DELETE FROM steps")
print("half", flush=True)
sys.stdin.read()
"""


def test_one_writer_and_a_kill_in_the_middle_of_a_transaction(tmp_path: Path) -> None:
    with RunStore.create(tmp_path, values()) as store:
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


plain = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
        st.text(st.characters(exclude_categories=["Cs"])),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3),
    ),
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), plain, max_size=4))
def test_toml_text_is_read_back_exactly(table) -> None:
    assert tomllib.loads(config_toml(table)) == table


def test_the_config_is_kept_in_both_forms(tmp_path: Path) -> None:
    given = {"name": 'odd "name" \\ with\ttab', "list": [{"type": "a", "none": None}], "rate": 1e-5}
    with RunStore.create(tmp_path, values(**given), {"sums": {"kinds": {}}}) as store:
        assert store.config_values() == {"steps": 5, **given}
        assert store.meta("environments") == {"sums": {"kinds": {}}}
    read = tomllib.loads((tmp_path / "config.toml").read_text())
    assert read == {"steps": 5, **given, "list": [{"type": "a"}]}


def test_reading_needs_no_torch(tmp_path: Path) -> None:
    code = "import sys, redqueen.store, redqueen.report; sys.exit('torch' in sys.modules)"
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
