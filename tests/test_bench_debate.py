"""The comparison of a debate with a vote: equal tokens, majorities, figures."""

from pathlib import Path

import pytest

from bench.debate import Work, figures, is_right, play_all, within
from redqueen.engines.base import Sampling
from redqueen.types import Completion, Request, Rollout, Verdict
from tests.toy_environments import TenSums, sum_task


def rollout(answer: str | None, tokens: int = 1, right: str = "7") -> Rollout:
    text = Completion(0, (1,), (2,) * tokens, (-0.1,) * tokens, str(answer), True)
    verdict = Verdict.CORRECT if answer == right else Verdict.WRONG
    return Rollout(1, 0, 0, "t", "sum", 0, "g", Request(0, (), 1), text, verdict, answer)


def test_the_majority_of_what_could_be_read() -> None:
    assert is_right([rollout(None), rollout(None), rollout("7")])
    assert not is_right([rollout("8"), rollout("7")])
    assert not is_right([rollout(None)])


def test_the_vote_takes_what_fits_into_the_debates_tokens() -> None:
    answers = [rollout("7", tokens) for tokens in (3, 4, 5)]
    assert [len(within(answers, tokens)) for tokens in (1, 3, 6, 7, 11, 12, 99)] == [
        1, 1, 1, 2, 2, 3, 3,
    ]  # fmt: skip


class Growing:
    """Writes the right sum once the conversation has gone on, else a wrong one; five tokens."""

    def generate(self, requests, sampling, on_finished):  # type: ignore[no-untyped-def]
        made = []
        for request in requests:
            first, _, second, _ = request.messages[0].content.split()
            value = int(first) + int(second) + (len(request.messages) == 1)
            made.append(Completion(0, (1,), (2,) * 5, (-0.1,) * 5, str(value), True))
        on_finished(dict(enumerate(made)))
        return made


SETTING = {"base": "none", "rounds": 3, "agents": 3, "batch": 2, "seed": 0}
TASKS = [sum_task(n, 1) for n in range(5)]


def new_work() -> Work:
    return Work(Growing(), TenSums(), Sampling(8, 1.0))  # type: ignore[arg-type]


def test_a_debate_that_mends_beats_a_vote(tmp_path: Path) -> None:
    said = figures(play_all(new_work(), TASKS, SETTING, tmp_path / "out.jsonl"), 0)
    shares = {name: row[0] for name, row in said["accuracy"].items()}
    assert shares == {
        "one answer": 0.0, "vote of the first answers": 0.0, "debate": 1.0,
        "vote at equal tokens": 0.0,
    }  # fmt: skip
    assert said["debate over vote"] == [1.0, 1.0, 1.0]
    assert said["tokens a task"] == {"debate": 45.0, "vote": 45.0}
    assert (said["tasks"], said["voters a task"]) == (5, 9.0)


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_what_was_ended_goes_on_and_is_the_same(tmp_path: Path, kept: int) -> None:
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    played = play_all(new_work(), TASKS, SETTING, whole)
    lines = whole.read_text().splitlines(keepends=True)
    assert len(lines) == 4  # the setting and three batches
    cut.write_text("".join(lines[:kept]) + lines[kept][:20])
    assert play_all(new_work(), TASKS, SETTING, cut) == played
    assert cut.read_bytes() == whole.read_bytes()
    with pytest.raises(SystemExit, match="another file"):
        play_all(new_work(), TASKS, {**SETTING, "seed": 1}, cut)
