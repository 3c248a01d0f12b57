"""A run that is what it says passes; everything that is changed in its database is named."""

import json
import sqlite3
import zlib
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pydantic import BaseModel
from rich.console import Console

from redqueen.benchmarks.votes import votes
from redqueen.environments.base import Attempt, Draft, Verification
from redqueen.learner.assign import assign_rewards
from redqueen.learner.teacher_rewards import OneMinus
from redqueen.rollouts.interactions.independent import Independent
from redqueen.store import EvaluationAttempt, RunStore, save_checkpoint
from redqueen.types import (
    Completion,
    Match,
    MatchResult,
    Member,
    Messages,
    Proposal,
    Rejection,
    Request,
    Role,
    Rollout,
    StepRecord,
    Task,
    Verdict,
    user,
)
from redqueen.verify import print_verification, verify_run
from redqueen.verify.verify import choose

LIMIT = 0.05
LEARNER = SimpleNamespace(
    malformed_reward=-1.0,
    student=SimpleNamespace(wrong_reward=-0.5),
    teacher=SimpleNamespace(invalid_reward=-0.5, reward=OneMinus()),
    max_logprob_mismatch=LIMIT,
)
ROLLOUT = SimpleNamespace(temperature=1.0, solve_tokens=8, interaction=Independent())
CONFIG = SimpleNamespace(
    learner=LEARNER, rollout=ROLLOUT, safety=SimpleNamespace(screens=()), seed=0
)


class Sums:
    """Tasks `a + b`; teachers write the two numbers."""

    name = "sums"
    kinds = ("plus",)
    measures = ()

    def prompt(self, task: Task) -> Messages:
        return user(f"{task.payload['a']} + {task.payload['b']}?")

    def verify(self, attempts: Sequence[Attempt]) -> list[Verification]:
        results = []
        for attempt in attempts:
            if not attempt.text.isdigit():
                results.append(Verification(Verdict.MALFORMED))
                continue
            right = int(attempt.text) == attempt.task.payload["a"] + attempt.task.payload["b"]
            verdict = Verdict.CORRECT if right else Verdict.WRONG
            results.append(Verification(verdict, attempt.text, float(right)))
        return results

    def references_for(self, kind: str, count: int) -> int:
        return count

    def ask(self, kind: str, references: Sequence[Task]) -> Messages:
        return user("Two numbers, unlike " + ", ".join(task.id for task in references))

    def validate(self, drafts: Sequence[Draft]) -> list[Task | Rejection]:
        return [self._validate(draft) for draft in drafts]

    def _validate(self, draft: Draft) -> Task | Rejection:
        words = draft.text.split()
        if len(words) != 2 or not all(word.isdigit() for word in words):
            return Rejection("not_two_numbers", malformed=True)
        return make_task(int(words[0]), int(words[1]), draft.author, draft.step)

    def fingerprint(self, task: Task) -> object:
        return task.id


def make_task(a: int, b: int, author: int | None = None, step: int = 0) -> Task:
    return Task(f"{a}+{b}", "sums", "plus", {"a": a, "b": b}, {"size": float(a + b)}, author, step)


class Stack:
    scale = torch.zeros(2)

    pager = None

    def bring(self, slots: Sequence[int]) -> None: ...

    def load_state_dict(self, state: dict[str, torch.Tensor], slots: int) -> None:
        self.scale = state["scale"]


class Model:
    """A token's log-probability is -(1 + scale of the slot) * token / temperature."""

    def __init__(self) -> None:
        self.adapters = Stack()

    def encode(self, messages: Messages) -> tuple[int, ...]:
        return tuple(map(ord, messages[-1].content))

    def score(self, slots, prompt_ids, token_ids, *, temperature, suppressions=None):
        width = max(map(len, token_ids))
        rows = torch.zeros(len(slots), width)
        for i, (slot, ids) in enumerate(zip(slots, token_ids, strict=True)):
            scale = 1 + (0 if slot is None else self.adapters.scale[slot])
            rows[i, : len(ids)] = -scale * torch.tensor(ids).float() / temperature[i]
        return rows, rows != 0

    def base_score(self, prompt_ids, token_ids, *, temperature, suppressions=None):
        return self.score([None] * len(token_ids), prompt_ids, token_ids, temperature=temperature)

    def micro_batches(self, slots, prompt_ids, token_ids):
        return [[i] for i in range(len(slots))]


def write(slot: int | None, messages: Messages, text: str, version: int) -> Completion:
    """What a model of that version writes; version k scales slot s by k + s / 10."""
    scale = 1 + (0 if slot is None else version + slot / 10)
    ids = tuple(range(1, len(text) + 1))
    logprobs = tuple(-scale * i for i in ids)
    return Completion(slot, Model().encode(messages), ids, logprobs, text, True, version)


def step_of(step: int, seeds: Sequence[Task]) -> StepRecord:
    env, version = Sums(), step - 1
    matches = [MatchResult(Match(step, 0, 0, 1, environment="sums"), 4, 1, 0.5, 0.5, None)]
    asked = Request(0, env.ask("plus", seeds), 11 + step)
    drafts = {
        f"{step} 7": None,
        "five": None,
        f"{step + 1} 7": Rejection("duplicate", malformed=False),
        "1 2": Rejection("sandbox", malformed=False, infra=True),
    }
    proposals, rollouts = [], []
    for text, turned_down in drafts.items():
        draft = Draft("plus", text, tuple(seeds), 0, step)
        outcome = turned_down or env.validate([draft])[0]
        completion = write(0, asked.messages, text, version)
        shown = tuple(seed.id for seed in seeds)
        proposals.append(Proposal(step, 0, 0, "plus", shown, asked, completion, outcome))
    task = make_task(step, 7, 0, step)
    put = Request(1, env.prompt(task), 5)
    for number, text in enumerate((str(step + 7), "3", "what")):
        result = env.verify([Attempt(task, text)])[0]
        completion = write(1, put.messages, text, version)
        rollouts.append(
            Rollout(
                step, 0, 1, task.id, "plus", number, "g", put, completion,
                result.verdict, result.answer, result.partial_score,
            )
        )  # fmt: skip
    rewards = assign_rewards([r.match for r in matches], proposals, rollouts, LEARNER)
    members = tuple(Member(slot, slot, (role,), 25.0, 8.0) for slot, role in enumerate(Role))
    return StepRecord(
        step, tuple(matches), tuple(proposals), rewards.proposals, tuple(rollouts),
        rewards.rollouts, members, (), {}, {},
    )  # fmt: skip


class Values(BaseModel):
    name: str = "sums"


class Opened:
    def __init__(self, directory: Path) -> None:
        self.directory, self.config, self.model = directory, CONFIG, Model()


@pytest.fixture
def run(tmp_path: Path) -> Opened:
    """Three steps with 7 rows each, an evaluation of 2 rows, and checkpoints 2 and 3."""
    seeds = [make_task(90, 1), make_task(90, 2)]
    with RunStore.create(tmp_path, Values()) as store:
        store.write_seed_tasks(seeds)
        for step in (1, 2, 3):
            store.write_step(step_of(step, seeds))
        task = make_task(80, 1)
        attempts = []
        for subject, slot in (("base", None), ("member:1", 1)):
            asked = Request(slot, Sums().prompt(task), 4)
            completion = write(slot, asked.messages, "81", 3)
            attempts.append(
                EvaluationAttempt(
                    "held-out", subject, "greedy", task.id, 0, 0.0, asked, completion,
                    Verdict.CORRECT, "81", 1.0,
                )
            )  # fmt: skip
        store.write_evaluation(attempts, [task], step=3)
    for step in (2, 3):
        scales = torch.tensor([step + 0.0, step + 0.1])
        save_checkpoint(tmp_path, step, {"adapters": {"scale": scales}}, {})
    return Opened(tmp_path)


def change(run: Opened, sql: str, *values: object) -> None:
    with sqlite3.connect(run.directory / "run.db") as db:
        assert db.execute(sql, values).rowcount == 1


def test_an_honest_run_agrees(run: Opened) -> None:
    seen: list[tuple[int, int]] = []
    report = verify_run(run, {"sums": Sums()}, on_progress=lambda *done: seen.append(done))
    assert report.agrees, report.differences
    assert (report.rows, report.total) == (23, 23)
    counts = {name: count.checked for name, count in report.checks.items()}
    assert counts == {
        "references": 12, "prompt": 23, "prompt tokens": 23, "validation": 6, "verdict": 11,
        "reward": 21, "log-probabilities": 7 + 2,
    }  # fmt: skip
    assert sorted(report.unchecked.values()) == [3, 3, 14]
    assert report.mismatch == pytest.approx({2: 0, 3: 0}, abs=1e-6)
    assert (23, 23) in seen


@pytest.mark.parametrize(
    ("sql", "check"),
    [
        ("UPDATE rollouts SET verdict = 'correct' WHERE id = 2", "verdict"),
        ("UPDATE rollouts SET answer = '4' WHERE id = 2", "verdict"),
        ("UPDATE rollouts SET reward = 0.5 WHERE id = 2", "reward"),
        ("UPDATE proposals SET reward = 0.9 WHERE id = 1", "reward"),
        ("UPDATE proposals SET reason = 'dull' WHERE id = 2", "validation"),
        ("UPDATE tasks SET payload = '{\"a\":1,\"b\":8}' WHERE id = '1+7'", "prompt"),
        ("UPDATE rollouts SET version = 3 WHERE id = 9", "log-probabilities"),
        ("UPDATE evaluations SET verdict = 'wrong' WHERE id = 1", "verdict"),
        ("DELETE FROM tasks WHERE id = '90+1'", "references"),
        ("DELETE FROM rollouts WHERE id = 1", "reward"),
    ],
)
def test_what_was_changed_is_named(run: Opened, sql: str, check: str) -> None:
    change(run, sql)
    report = verify_run(run, {"sums": Sums()})
    assert not report.agrees
    assert check in {difference.check for difference in report.differences}
    out = StringIO()
    print_verification(report, Console(file=out, width=200))
    assert f"{check} differs" in out.getvalue()


def test_a_changed_prompt_is_named(run: Opened) -> None:
    text = json.dumps([{"role": "user", "content": "3 + 7, my friend?"}])
    change(run, "UPDATE prompts SET messages = ? WHERE messages LIKE '%3 + 7?%'", text)
    report = verify_run(run, {"sums": Sums()})
    changed = {(d.row, d.check) for d in report.differences}
    rows = {f"step 3, rollout {number}" for number in range(3)}
    assert changed == {(row, check) for row in rows for check in ("prompt", "prompt tokens")}


def test_votes_are_counted_again(run: Opened) -> None:
    task = make_task(80, 1)
    asked = Request(None, Sums().prompt(task), 4)
    rows = []
    for number, text in enumerate(("82", "81", "81")):
        said = Sums().verify([Attempt(task, text)])[0]
        rows.append(
            EvaluationAttempt(
                "polled", "base", "sampled", task.id, number, 1.0, asked,
                write(None, asked.messages, text, 3), said.verdict, said.answer, said.partial_score,
            )
        )  # fmt: skip
    with RunStore.open(run.directory) as store:
        store.write_evaluation([*rows, *votes(rows)], [task], step=3)
    report = verify_run(run, {"sums": Sums()})
    assert report.agrees, report.differences
    assert report.checks["vote"].checked == 1
    change(run, "UPDATE evaluations SET text = '82', answer = '82', verdict = 'wrong', "
           "partial_score = 0.0 WHERE mode = 'vote'")  # fmt: skip
    differences = verify_run(run, {"sums": Sums()}).differences
    assert {difference.check for difference in differences} == {"vote"}


def test_log_probabilities_off_by_a_little_are_a_versions_fault(run: Opened) -> None:
    """Each of the texts is within its own limit, their mean is not within the run's."""
    logprobs = np.array([-4.1, -8.2]) + 0.4
    change(
        run, "UPDATE evaluations SET logprobs = ? WHERE id = 2",
        zlib.compress(logprobs.astype("<f4").tobytes()),
    )  # fmt: skip
    report = verify_run(run, {"sums": Sums()})
    assert [d.row for d in report.differences] == ["version 3"]
    assert report.mismatch[3] == pytest.approx(0.2, abs=1e-5)


def test_a_sample_is_part_of_all(run: Opened) -> None:
    report = verify_run(run, {"sums": Sums()}, sample=5)
    assert report.agrees
    assert (report.rows, report.total) == (5, 23)
    assert sum(count.checked for count in report.checks.values()) < 30
    with RunStore.open(run.directory, read_only=True) as store:
        counts = store.row_counts()
    drawn = choose(counts, 5, seed=0)
    assert sum(map(len, drawn.places.values())) == 5
    sizes = {(count.table, count.part): count.count for count in counts}
    assert all(max(places) < sizes[key] for key, places in drawn.places.items())
    everything = choose(counts, None, seed=0)
    assert {key: list(range(size)) for key, size in sizes.items()} == everything.places


def test_what_cannot_be_checked_is_counted(run: Opened) -> None:
    report = verify_run(run, {})
    assert report.agrees
    assert set(report.checks) == {"references", "prompt tokens", "reward", "log-probabilities"}
    assert report.unchecked["no environment 'sums'"] == 2 * 11
    out = StringIO()
    print_verification(report, Console(file=out, width=200))
    assert "no task space 'sums'" in out.getvalue()
    assert "no kept checkpoint holds" in out.getvalue()
