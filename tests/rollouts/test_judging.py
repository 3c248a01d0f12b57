"""What the base is asked of a task, how its word is read, and a run that pays teachers by it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redqueen import build
from redqueen.config import Config
from redqueen.environments.base import Verification
from redqueen.errors import ConfigError
from redqueen.rollouts.judging import ask_judge, plan_judgements, read_quality
from redqueen.store import Replay, RunStore
from redqueen.types import Match, Messages, Rejection, Task, Verdict, user
from tests.learner.records import attempts, proposal
from tests.small_models import save_untrained_base
from tests.whole_runs import measure_and_verify, train_in_two_parts

C, W, X = Verdict.CORRECT, Verdict.WRONG, Verdict.INFRA_ERROR


@pytest.mark.parametrize(
    ("text", "quality"),
    [
        ("Relevance: 5\nRedundancy: 0\nComplexity: 0", 1.0),
        ("Relevance: 3\nRedundancy: 1\nComplexity: 2", 3 / 8),
        ("Relevance: 0\nRedundancy: 1\nComplexity: 2", 0.0),
        ("Relevance: 5\nRedundancy: 0\nComplexity: 3", 0.0),
        ("It is close.\n\n**Relevance**: 4\n- redundancy: 0\n* COMPLEXITY : 1", 6 / 8),
        ("Relevance: 1\nRedundancy: 0\nComplexity: 0\nNo:\nRelevance: 2", 5 / 8),
        ("Relevance: 6\nRedundancy: 0\nComplexity: 0", None),
        ("Relevance: 5\nRedundancy: 2\nComplexity: 0", None),
        ("Relevance: 5\nComplexity: 0", None),
        ("Relevance: five\nRedundancy: 0\nComplexity: 0", None),
        ("Relevance: 05\nRedundancy: 00\nComplexity: 0", 1.0),
        ("Relevance: 1\nRedundancy: 0\nComplexity: " + "9" * 5000, None),
        ("", None),
    ],
)
def test_a_judgement_is_read(text: str, quality: float | None) -> None:
    assert read_quality(text) == quality


@pytest.mark.parametrize("text", ["\n", "relevance:", "relevance:\n", ":", "* ", "0"])
def test_repetition_takes_no_time(text: str) -> None:
    begun = process_time()
    assert read_quality(f"relevance{text * 20_000}") is None
    assert process_time() - begun < 1


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    for written in (text, f"Relevance: {text}\nRedundancy: 0\nComplexity: 1"):
        quality = read_quality(written)
        assert quality is None or 0.0 <= quality <= 1.0


class Shown:
    """An environment whose problems are its tasks' ids."""

    name = "code"

    def prompt(self, task: Task) -> Messages:
        return user(f"problem {task.id}")

    def verify(self, attempts: object) -> list[Verification]:
        raise AssertionError(attempts)


def test_what_somebody_solved_is_judged_beside_as_many_references_as_fit() -> None:
    match = Match(1, 0, 0, 2)
    rollouts = [
        *attempts(match, "a", C, W), *attempts(match, "b", W, W), *attempts(match, "c", X),
    ]  # fmt: skip
    shown: Mapping[str, Task] = {n: Task(n, "code", "code_o", {}) for n in ("r1", "r2")}
    outcomes = ["a", "b", "c", Rejection("syntax", malformed=True)]
    proposals = [replace(proposal(outcome), references=("r1", "r2")) for outcome in outcomes]

    def plan(limit: int) -> list[tuple[str, tuple[str, ...], Messages]]:
        planned = plan_judgements(
            [match], proposals, rollouts, {"code": Shown()}, shown, 7,
            lambda messages: len(messages[0].content) < limit,
        )  # fmt: skip
        assert all(item.request.slot is None for item in planned)
        return [(item.task.id, item.references, item.request.messages) for item in planned]

    both = ask_judge("problem a", ["problem r1", "problem r2"])
    assert plan(10_000) == [("a", ("r1", "r2"), both)]
    size = len(both[0].content)
    assert plan(size) == [("a", ("r1",), ask_judge("problem a", ["problem r1"]))]
    assert plan(10) == []


@pytest.fixture(scope="module")
def chat_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chat model with room for a judge's question."""
    folder = tmp_path_factory.mktemp("chat")
    save_untrained_base(folder, max_position_embeddings=8192)
    return folder


GUIDED = {"teacher": {"reward": {"type": "guided", "tokens": 32}}}


@pytest.mark.slow
def test_a_run_with_a_judge_resumes_and_is_verified(
    tiny: Callable[..., Config],
    tmp_path: Path,
    chat_base: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "docs" / "examples"))
    config = tiny(
        steps=2, engine={"type": "tests.scripted:JudgedSums"}, eval={"tasks": 4},
        learner=GUIDED, policy={"base": str(chat_base)},
    )  # fmt: skip
    values = {
        **config.model_dump(),
        "environments": {"arithmetic": {"type": "arithmetic:Arithmetic"}},
    }
    run = train_in_two_parts(Config.model_validate(values), tmp_path)
    measure_and_verify(run)
    with RunStore.open(run, read_only=True) as store:
        records = [Replay(store).step(step) for step in (1, 2)]
    for record in records:
        solved = {(r.match, r.task_id) for r in record.rollouts if r.verdict is C}
        assert {(j.match, j.task_id) for j in record.judgements} == solved
    assert {j.quality is None for record in records for j in record.judgements} == {True, False}


def test_a_base_that_cannot_judge_is_refused(tiny: Callable[..., Config], tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match="only a chat model"),
        build.start(tiny(learner=GUIDED), tmp_path / "run"),
    ):
        pass
    assert not (tmp_path / "run").exists()
