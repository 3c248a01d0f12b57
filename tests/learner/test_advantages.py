"""Each scheme against numbers worked out by hand, and against a slow loop."""

import json
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redqueen import registry
from redqueen.config.component import build_component
from redqueen.learner.advantages.base import EPSILON
from redqueen.types import Role, Sample

from .toy_bigram import make_sample

ROWS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["code", "math"]),
        st.sampled_from(["code_o", "code_i"]),
        st.sampled_from("abc"),
        st.sampled_from([1.0, -0.5, -1.0, 0.1, 0.875]),
    ),
    max_size=25,
)
"""Member, environment, kind, group, reward."""
GROUPED = ("grpo", "dr_grpo", "rloo")


def samples(rows: list) -> list[Sample]:
    return [
        make_sample(
            (1,), (-1.0,), slot=member, member=member, role=Role.TEACHER, environment=environment,
            kind=kind, group=group, version=0, reward=reward,
        )
        for member, environment, kind, group, reward in rows
    ]  # fmt: skip


def group_of(*rewards: float, member: int = 0, kind: str = "code_o") -> list[Sample]:
    return samples([(member, "code", kind, "a", reward) for reward in rewards])


def advantages(name: str, batch: list[Sample], memory: dict | None = None, **keys) -> list[float]:
    scheme = build_component("advantage", {"type": name, **keys})
    return scheme.advantages(batch, {} if memory is None else memory).tolist()


def test_grpo_by_hand() -> None:
    """Mean 0.25, deviations 0.75 and three times -0.25, sum of squares 0.75, over 3: std 0.5."""
    expected = [1.5, -0.5, -0.5, -0.5]
    assert advantages("grpo", group_of(1, 0, 0, 0)) == pytest.approx(expected, rel=1e-5)


def test_dr_grpo_by_hand() -> None:
    assert advantages("dr_grpo", group_of(1, 0, 0, 0)) == [0.75, -0.25, -0.25, -0.25]


def test_rloo_by_hand() -> None:
    """The others' mean: 0 for the first, 1/3 for each of the rest."""
    expected = [1.0, -1 / 3, -1 / 3, -1 / 3]
    assert advantages("rloo", group_of(1, 0, 0, 0)) == pytest.approx(expected)
    assert advantages("rloo", group_of(2.0)) == [0.0]


def test_reinforce_by_hand() -> None:
    """Rewards 1, 0 of one member and 0, 0 of another: apart, the second has nothing to compare."""
    batch = group_of(1, 0) + group_of(0, 0, member=1)
    root = 0.5**0.5
    expected = [0.5 / root, -0.5 / root, 0.0, 0.0]
    assert advantages("reinforce++", batch) == pytest.approx(expected, rel=1e-5)
    pooled = advantages("reinforce++", batch, pooled=True)
    assert pooled == pytest.approx([1.5, -0.5, -0.5, -0.5], rel=1e-5)


def test_reinforce_looks_back_over_its_window() -> None:
    """Three steps; with a window of 2 the third sees the second's rewards and its own."""
    memory: dict = {}
    keys = {"window": 2}
    assert advantages("reinforce++", group_of(7, 7), memory, **keys) == [0.0, 0.0]
    # 7, 7, 7, 3: mean 6, deviations 1, 1, 1, -3, sum of squares 12, over 3: std 2.
    assert advantages("reinforce++", group_of(7, 3), memory, **keys) == pytest.approx([0.5, -1.5])
    assert memory == {"steps": [{"0/code/code_o": [7.0, 3.0]}]}
    # 7, 3, 5: mean 5, std 2.
    assert advantages("reinforce++", group_of(5), memory, **keys) == [0.0]
    # Another member, and another kind, have a past of their own; an empty step is a step.
    assert advantages("reinforce++", group_of(1, member=1), memory, **keys) == [0.0]
    assert advantages("reinforce++", [], memory, **keys) == []
    assert memory == {"steps": [{}]}


def test_pooled_strata_outlive_their_members() -> None:
    memory: dict = {}
    keys = {"window": 3, "pooled": True}
    advantages("reinforce++", group_of(1, 0, 0), memory, **keys)
    child = advantages("reinforce++", group_of(0, member=9), memory, **keys)
    assert child == pytest.approx([-0.5], rel=1e-5)
    assert advantages("reinforce++", group_of(1, member=9, kind="code_i"), memory, **keys) == [0.0]


def test_rae_by_hand() -> None:
    """decay 0.5, from 0: b = 0.5 after reward 1, 0.25 after 0; a kind apart begins from 0."""
    memory: dict = {}
    batch = group_of(1, 0) + group_of(1, kind="code_i")
    assert advantages("rae", batch, memory, decay=0.5) == [0.5, -0.25, 0.5]
    # The next step goes on from 0.25, whoever the member is: b = 0.625.
    assert advantages("rae", group_of(1, member=3), memory, decay=0.5) == [0.375]
    assert memory == {"baselines": {"code/code_o": 0.625, "code/code_i": 0.5}}


def slow(rows: list, key, of) -> list[float]:
    made = []
    for i, row in enumerate(rows):
        peers = [other[-1] for other in rows if key(other) == key(row)]
        others = [o[-1] for j, o in enumerate(rows) if key(o) == key(row) and j != i]
        made.append(of(row[-1], peers, others) if len(set(peers)) > 1 else 0.0)
    return made


def standardised(reward: float, peers: list[float], others: list[float]) -> float:
    return (reward - statistics.mean(peers)) / (statistics.stdev(peers) + EPSILON)


@given(ROWS)
def test_schemes_equal_a_slow_loop(rows: list) -> None:
    batch = samples(rows)

    def group(row: tuple) -> tuple:
        return row[0], row[3]

    for name, key, of in (
        ("grpo", group, standardised),
        ("dr_grpo", group, lambda r, peers, others: r - statistics.mean(peers)),
        ("rloo", group, lambda r, peers, others: r - statistics.mean(others)),
        ("reinforce++", lambda row: row[:3], standardised),
    ):
        np.testing.assert_allclose(advantages(name, batch), slow(rows, key, of), atol=1e-9)


@given(ROWS, st.integers(0, 3))
def test_shuffled_deals_within_groups_and_knows_no_rewards(rows: list, seed: int) -> None:
    dealt = advantages("shuffled", samples(rows), seed=seed)
    plain = advantages("grpo", samples(rows))
    places = list(range(len(rows)))
    for key in {(row[0], row[3]) for row in rows}:
        group = [i for i in places if (rows[i][0], rows[i][3]) == key]
        assert sorted(dealt[i] for i in group) == sorted(plain[i] for i in group)
        # The order is that of any other rewards: each place gets what the same place had.
        ranks = [(*row[:4], float(place)) for place, row in enumerate(rows)]
        order = advantages("shuffled", samples(ranks), seed=seed, by="imitation")
        assert [dealt[i] for i in group] == [plain[int(order[i])] for i in group]


def test_shuffled_is_fair() -> None:
    """In one group of four, over many draws, the right answer's advantage falls on each alike."""
    falls = [0] * 4
    for seed in range(400):
        dealt = advantages("shuffled", group_of(1, 0, 0, 0), seed=seed)
        falls[dealt.index(max(dealt))] += 1
    # Binomial of 400 and 1/4: a standard deviation is 8.7.
    assert all(abs(count - 100) < 4 * 8.7 for count in falls)


@pytest.mark.parametrize("name", registry.COMPONENTS["advantage"])
def test_no_samples_and_one_sample(name: str) -> None:
    assert advantages(name, []) == []
    if name not in ("rae", "imitation"):  # whose baselines are not those of the batch
        assert advantages(name, group_of(0.3)) == [0.0]
        # Three times 0.1 has a mean that is not 0.1 in floating point.
        assert advantages(name, group_of(0.1, 0.1, 0.1)) == [0.0] * 3


@pytest.mark.parametrize("keys", [{"type": "rae"}, {"type": "reinforce++", "window": 4}])
@given(st.lists(ROWS, max_size=5), st.integers(0, 5))
def test_memory_survives_json_with_every_bit(keys: dict, steps: list, cut: int) -> None:
    scheme = build_component("advantage", keys)
    whole: dict = {}
    resumed: dict = {}
    for number, rows in enumerate(steps):
        if number == cut:
            resumed = json.loads(json.dumps(resumed))
        batch = samples(rows)
        assert scheme.advantages(batch, whole).tolist() == (
            scheme.advantages(batch, resumed).tolist()
        )
    assert whole == resumed
