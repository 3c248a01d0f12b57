"""Interactions where much is missing: rewards and advantages by hand, none of them infinite."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from redqueen.learner.advantages.base import AdvantageScheme
from redqueen.learner.advantages.dr_grpo import DrGrpo
from redqueen.learner.advantages.grpo import Grpo
from redqueen.learner.advantages.rae import Rae
from redqueen.learner.advantages.reinforce_pp import ReinforcePlusPlus
from redqueen.learner.advantages.rloo import Rloo
from redqueen.learner.assign import solve_rates
from redqueen.rollouts.interactions.base import InteractionConfig, Key
from redqueen.rollouts.interactions.debate import Debate
from redqueen.rollouts.interactions.independent import Independent
from redqueen.rollouts.interactions.malt import Malt
from redqueen.rollouts.interactions.refine import Refine
from redqueen.rollouts.interactions.specialists import Specialists
from tests.rollouts.playing import paid, play, posings

SCHEMES: tuple[AdvantageScheme, ...] = (
    Grpo(), DrGrpo(), Rloo(), Rae(), ReinforcePlusPlus(), ReinforcePlusPlus(window=3),
)  # fmt: skip


def by_turn(letters: str) -> Callable[[Key], str]:
    return lambda key: letters[key[3]]


CASES: dict[str, tuple[InteractionConfig, int, str, list[Any], float | None]] = {
    # The verifier failed in round 1: it is in no sum, and round 2 mends the answer of round 0.
    "debate, a round lost": (
        Debate(), 2, "wxc", [*2 * [(-0.5 + 0.09) / 1.09], None, None, 1.5, 1.5], 1.0,
    ),
    "debate without a future": (Debate(discount=0), 2, "cwc", [1, 1, -1, -1, 1.5, 1.5], 1.0),
    "debate with all of it": (
        Debate(discount=1), 2, "cwc", [*2 * [1.5 / 3], *2 * [0.5 / 2 - 0.5], 1.5, 1.5], 1.0,
    ),
    "debate of one": (Debate(), 1, "w", [-0.5], 0.0),
    "debate, all lost": (Debate(), 2, "xxx", [None] * 6, None),
    "tree, all lost": (Debate(tree=True), 2, "xxx", [None] * 6, None),
    "refined, one lost": (Refine(says="nothing", answers=3), 1, "cxw", [1, None, -1], 0.0),
    "refined, the first lost": (
        Refine(says="nothing", answers=3), 1, "xcc", [None, 1, 1], 1.0,
    ),
    "refined, lost at once": (Refine(answers=3), 1, "x", [None], None),
    "specialists, the last lost": (Specialists(rounds=2), 2, "cx", [1, 1, None, None], None),
    "specialists, the first lost": (Specialists(rounds=2), 2, "xc", [None] * 4, 1.0),
    "one specialist": (Specialists(), 1, "c", [1], 1.0),
    "malt of one": (Malt(branches=1), 1, "wsc", [1, 1, 1], 1.0),
    "malt, all lost": (Malt(branches=1), 3, "xsx", [None] * 3, None),
    "malt, refined lost": (Malt(branches=1), 3, "csx", [None] * 3, 1.0),
    "malt, malformed": (Malt(branches=1, threshold=-1.0), 1, "csm", [-1, -1, -1], 0.0),
    "all lost": (Independent(), 2, "x", [None, None], None),
    "nobody": (Independent(), 0, "x", [], None),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_rewards_where_much_is_missing(name: str) -> None:
    config, students, letters, expected, rate = CASES[name]
    posed = posings(students)
    rollouts, _ = play(config, posed, 1, by_turn(letters))
    rewards, samples = paid(config, posed, rollouts)
    assert rewards == [None if v is None else pytest.approx(v) for v in expected]
    assert len(samples) == sum(value is not None for value in expected)
    rates = solve_rates([posing.match for posing in posed], rollouts)
    assert rates == ({(0, "t"): rate} if posed else {})
    for scheme in SCHEMES:
        advantages = scheme.advantages(samples, {})
        assert all(map(math.isfinite, advantages))
    # A sample that is alone in its group is compared with nothing.
    assert not Grpo().advantages(samples, {}).any()
    assert not Rloo().advantages(samples, {}).any()


@pytest.mark.parametrize("config", [Debate(), Malt(), Refine(), Specialists(), Independent()])
def test_texts_are_as_many_as_planned_and_none_twice(config: InteractionConfig) -> None:
    for students in range(1, 8):
        for attempts in (1, 3):
            rollouts, _ = play(config, posings(students), attempts, lambda key: "w")
            assert len(rollouts) <= config.texts(students, attempts)
            for values in (
                [(r.match, r.attempt, r.turn) for r in rollouts],
                [r.request.seed for r in rollouts],
            ):
                assert len(set(values)) == len(values)  # type: ignore[arg-type]
