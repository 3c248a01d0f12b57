import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redqueen.learner.advantages import EPSILON, SCHEMES, compute_advantages
from redqueen.types import Role, Trajectory

ROWS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(list(Role)),
        st.sampled_from(["code_o", "code_i"]),
        st.sampled_from("abc"),
        st.sampled_from([1.0, -0.5, -1.0, 0.1, 0.875]),
    ),
    max_size=25,
)


def trajectories(rows: list) -> list[Trajectory]:
    return [Trajectory(m, m, role, kind, g, (0,), (1,), (-1.0,), r) for m, role, kind, g, r in rows]


def slow(rows: list, key) -> list[float]:
    made = []
    for row in rows:
        peers = [other[-1] for other in rows if key(other) == key(row)]
        if len(set(peers)) == 1:
            made.append(0.0)
        else:
            made.append((row[-1] - statistics.mean(peers)) / (statistics.stdev(peers) + EPSILON))
    return made


@given(ROWS)
def test_schemes_equal_a_slow_loop(rows: list) -> None:
    batch = trajectories(rows)
    by_stratum, by_group = slow(rows, lambda r: r[:3]), slow(rows, lambda r: (r[0], r[3]))
    np.testing.assert_allclose(compute_advantages("trr++", batch), by_stratum, atol=1e-9)
    np.testing.assert_allclose(compute_advantages("grpo", batch), by_group, atol=1e-9)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_nothing_to_compare_is_exactly_zero(scheme: str) -> None:
    one = trajectories([(0, Role.STUDENT, "code_o", "a", 0.3)])
    assert compute_advantages(scheme, one).tolist() == [0.0]
    # Three times 0.1 has a mean that is not 0.1 in floating point.
    assert compute_advantages(scheme, one * 3).tolist() == [0.0] * 3
    assert compute_advantages(scheme, []).shape == (0,)
