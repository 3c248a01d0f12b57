"""The comparison of a debate with a vote: equal tokens, majorities, figures."""

from bench.debate import Work, compare, is_right, within
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


def test_a_debate_that_mends_beats_a_vote() -> None:
    work = Work(Growing(), TenSums(), Sampling(8, 1.0))  # type: ignore[arg-type]
    figures = compare(work, [sum_task(n, 1) for n in range(4)], 3, 3, 0)
    shares = {name: row[0] for name, row in figures["accuracy"].items()}  # type: ignore[attr-defined]
    assert shares == {
        "one answer": 0.0, "vote of the 3 first answers": 0.0, "debate, 3 rounds": 1.0,
        "vote at equal tokens": 0.0,
    }  # fmt: skip
    assert figures["debate over vote"] == [1.0, 1.0, 1.0]
    assert figures["tokens a task"] == {"debate": 45.0, "vote": 45.0}
    assert figures["voters a task"] == 9.0
