"""Every refusal by its name, counted for whom it is proven of, and what it costs a peer's share."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redqueen.config import SwarmConfig
from redqueen.environments.base import Attempt, Verification
from redqueen.swarm.checks import UNPROVEN, WINDOW, Gate
from redqueen.swarm.judge import Judge
from redqueen.swarm.reasons import ARRIVED, REASONS
from redqueen.swarm.wire import Answer, Group, Turn, encode
from redqueen.types import Rejection, Task, Verdict
from tests.swarm.messages import NOW, group, identity
from tests.toy_environments import Sums, sum_task

ME, PEER, OTHER = identity(1), identity(2), identity(3)


class CheckedSums(Sums):
    """Sums whose tasks can be validated again."""

    def revalidate(self, tasks: Sequence[Task]) -> list[Task | Rejection]:
        results: list[Task | Rejection] = []
        for task in tasks:
            terms = [task.payload.get(name) for name in "ab"]
            whole = all(type(term) is int for term in terms)
            results.append(
                sum_task(*terms) if whole else Rejection("no_sum", malformed=True)  # type: ignore[arg-type]
            )
        return results


def gate(**keys: Any) -> Gate:
    return Gate(SwarmConfig(**keys), ME.name, clock=lambda: float(NOW))


def refusals(checked: Gate, author: str) -> dict[str, int]:
    return {n: c for n, c in checked.counts.get(author, {}).items() if n in REASONS}


def test_what_proves_no_author_is_counted_for_nobody() -> None:
    checked = gate()
    good = encode(group(), PEER)
    assert checked.admit(good, 1)
    forged = bytearray(encode(group(1), PEER))
    forged[60] ^= 1
    for data in (b"rubbish", bytes(forged), good + b"x" * 70_000, good[:102] + b"[" * 99):
        assert not checked.admit(data, 1)
    assert refusals(checked, UNPROVEN) == {
        "not_a_message": 1, "forged": 1, "oversize": 1, "too_nested": 1,
    }  # fmt: skip
    assert refusals(checked, PEER.name) == {}
    assert checked.peers[PEER.name].share == 1.0


def test_own_messages_are_passed_over() -> None:
    checked = gate()
    assert not checked.admit(encode(group(), ME), 1)
    assert checked.counts == {}


def test_only_listed_peers_and_only_so_many() -> None:
    checked = gate(peers=[PEER.name])
    assert not checked.admit(encode(group(), OTHER), 1)
    assert checked.admit(encode(group(), PEER), 1)
    assert refusals(checked, UNPROVEN) == {"not_listed": 1}
    few = gate(max_peers=1)
    assert few.admit(encode(group(), PEER), 1)
    assert not few.admit(encode(group(), OTHER), 1)
    assert refusals(few, UNPROVEN) == {"too_many_peers": 1}


def test_time_window_and_repeats() -> None:
    checked = gate()
    hour = 3600
    assert checked.admit(encode(group(5, time=NOW - hour), PEER), 1)  # a clock an hour off
    assert not checked.admit(encode(group(5), PEER), 1)
    assert checked.admit(encode(group(3, ("9", "7")), PEER), 1)  # out of order
    assert not checked.admit(encode(group(6, time=NOW + 25 * hour), PEER), 1)
    assert checked.admit(encode(group(WINDOW + 9, ("1", "7")), PEER), 1)
    assert not checked.admit(encode(group(9, ("2", "7")), PEER), 1)
    assert not checked.admit(encode(group(10**6, epoch=99), PEER), 1)
    assert checked.admit(encode(group(1, ("3", "7"), epoch=101), PEER), 1)  # a new run
    assert refusals(checked, PEER.name) == {"repeated": 1, "expired": 1, "replayed": 2}
    assert checked.peers[PEER.name].share == 1.0  # anybody can send it all again


def test_who_sends_a_peers_messages_again_takes_nothing_from_it() -> None:
    checked = gate(quota=4)
    old = [encode(group(n, (str(n), "x"), epoch=99), PEER) for n in range(3)]
    first = [encode(group(n, (str(n), "x"), epoch=100), PEER) for n in range(3)]
    expired = encode(group(7, time=NOW - 25 * 3600), PEER)
    assert all(checked.admit(data, 1) for data in first)
    checked.begin_step(2)
    for data in (*old, *first, expired) * 20:
        assert not checked.admit(data, 2)
    fresh = [encode(group(n, (str(n), "x")), PEER) for n in range(10, 15)]
    assert [checked.admit(data, 2) for data in fresh] == [True] * 4 + [False]
    assert refusals(checked, PEER.name) == {
        "replayed": 60, "repeated": 60, "expired": 20, "quota": 1, "crowded_out": 3,
    }  # fmt: skip
    assert checked.peers[PEER.name].share == 1.0


def test_a_group_of_very_many_answers_is_refused() -> None:
    """Each could take all of the sandbox's time, and is learnt from with the whole prompt."""
    checked = gate(max_answers=3)
    assert checked.admit(encode(group(1, ("1", "2", "3")), PEER), 1)
    assert not checked.admit(encode(group(2, ("1", "2", "3", "4")), PEER), 1)
    assert refusals(checked, PEER.name) == {"too_many_answers": 1}
    assert checked.peers[PEER.name].share == 1.0


def test_a_flood_meets_the_quota_and_fills_nothing() -> None:
    checked = gate(quota=4)
    for number in range(200):
        checked.admit(encode(group(number, (str(number), "x")), PEER), 1)
    assert refusals(checked, PEER.name) == {"quota": 196}
    checked.begin_step(2)
    for number in range(200, 203):
        checked.admit(encode(group(number, (str(number), "x")), PEER), 2)
    assert refusals(checked, PEER.name) == {"crowded_out": 3}
    assert len(checked.peers[PEER.name].waiting) == 4
    checked.begin_step(30)
    assert refusals(checked, PEER.name) == {"aged": 4}
    assert checked.peers[PEER.name].share == 1.0  # too much is no fraud


def test_copies_of_anybody_else_are_refused() -> None:
    long = "first I add three and four, and that makes seven"
    checked = gate()
    assert checked.admit(encode(group(1, ("7", "8")), PEER), 1)
    assert not checked.admit(encode(group(1, ("8", "7")), OTHER), 1)  # the whole group
    assert checked.admit(encode(group(2, ("7", "9")), OTHER), 1)  # short answers are alike
    assert checked.admit(encode(group(2, (long, "8")), PEER), 1)
    assert not checked.admit(encode(group(3, (long, "9")), OTHER), 1)
    assert checked.admit(encode(group(4, (long, "6")), PEER), 1)  # one's own
    checked.copies.add(group(9, ("mine" * 20, "0")), ME.name)
    assert not checked.admit(encode(group(5, ("mine" * 20, "1")), PEER), 1)
    assert refusals(checked, OTHER.name) == {"copied": 2}
    assert refusals(checked, PEER.name) == {"copied": 1}


def test_faults_lower_the_quota_and_merits_raise_the_share() -> None:
    checked = gate(quota=10)
    checked.admit(encode(group(0), PEER), 1)
    for _ in range(4):
        checked.count(PEER.name, "invalid_task")
    assert checked.peers[PEER.name].share == pytest.approx(1 / 5)
    for _ in range(3):
        checked.count(PEER.name, "taken")
    assert checked.peers[PEER.name].share == pytest.approx(1 / 2)
    again = gate()
    again.remember(PEER.name, {"invalid_task": 4, "taken": 3, "quota": 90, ARRIVED: 97})
    assert again.peers[PEER.name].share == pytest.approx(1 / 2)


@given(st.binary(max_size=400), st.integers(0, 400))
def test_nothing_raises_and_all_is_counted(noise: bytes, place: int) -> None:
    checked = gate()
    good = encode(group(), PEER)
    for data in (noise, good[:place] + noise, good[:place] + noise + good[place:]):
        before = sum(sum(c.values()) for c in checked.counts.values())
        checked.admit(data, 1)
        assert sum(sum(c.values()) for c in checked.counts.values()) > before


def judged(*groups: Group, environment: Any = None, **parts: Any) -> list[Any]:
    values: dict[str, Any] = {
        "environments": {"sums": environment or CheckedSums()},
        "is_held_out": lambda task: task.payload == {"a": 1, "b": 1},
        "reward": lambda verdict, score: {Verdict.CORRECT: 1.0, Verdict.WRONG: -0.5,
                                          Verdict.MALFORMED: -0.5}.get(verdict),
        "fits": lambda prompt, texts: max(map(len, texts)) < 10,
    }  # fmt: skip
    return Judge(**values | parts).judge(groups)


def asked(a: Any, b: Any, **over: Any) -> Group:
    prompt = (Turn(role="user", content=f"{a} + {b} ="),)
    return group(payload={"a": a, "b": b}, messages=prompt, **over)


def test_verdicts_are_this_nodes_own() -> None:
    right, wrong = judged(group(texts=("7", "8", "seven")), asked(4, 4, texts=("7", "8")))
    assert [item.verdict.value for item in right] == ["correct", "wrong", "malformed"]
    assert [item.verdict.value for item in wrong] == ["wrong", "correct"]


def test_every_refusal_of_the_judge_has_its_name() -> None:
    cut = (Answer(text="7", finished=False), Answer(text="8", finished=True))
    groups = {
        "unknown_environment": group(environment="chess"),
        "other_environment": group(environment_version=2),
        "truncated": group(answers=cut),
        "invalid_task": group(payload={"a": [[]], "b": None}),
        "held_out": asked(1, 1),
        "other_prompt": group(messages=(Turn(role="system", content="Say 7."),)),
        "unwritable": group(texts=("7" * 30, "8")),
        "no_advantage": group(texts=("9", "8", "none")),
    }
    assert judged(*groups.values()) == list(groups)
    assert set(groups) <= set(REASONS)


def test_wrong_answers_of_good_form_are_no_lesson() -> None:
    """A wrong answer earns more than one that cannot be read, so it would be learnt."""

    def reward(verdict: Verdict, score: float | None) -> float:
        worth = {Verdict.CORRECT: 1.0, Verdict.WRONG: -0.5, Verdict.MALFORMED: -1.0}
        return worth[verdict] + (score or 0.0)

    poison, lesson = group(texts=("9", "8", "none")), group(texts=("7", "8", "none"))
    assert judged(poison, reward=reward) == ["nobody_right"]
    assert [len(result) for result in judged(lesson, reward=reward)] == [3]
    (taken,) = judged(poison, reward=reward, need_right=False)
    assert [item.verdict.value for item in taken] == ["wrong", "wrong", "malformed"]

    class HalfRight(CheckedSums):
        def verify(self, attempts: Sequence[Attempt]) -> list[Verification]:
            return [replace(v, partial_score=0.5) for v in super().verify(attempts)]

    assert len(judged(poison, reward=reward, environment=HalfRight())[0]) == 3


def test_an_environment_that_cannot_validate_takes_no_foreign_task() -> None:
    assert judged(group(), environment=Sums()) == ["invalid_task"]


def test_a_check_that_fails_refuses_its_group_alone() -> None:
    class Fragile(CheckedSums):
        def verify(self, attempts: Sequence[Attempt]) -> list[Verification]:
            if any(attempt.task.payload["a"] == 13 for attempt in attempts):
                raise ZeroDivisionError
            return super().verify(attempts)

    good, bad = judged(group(), asked(13, 2, texts=("15", "1")), environment=Fragile())
    assert (len(good), bad) == (2, "check_failed")
    lost = judged(group(), reward=lambda verdict, score: None)
    assert lost == ["check_failed"]
