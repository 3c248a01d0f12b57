"""Distances between updates and between behaviours, against dense and brute-force references."""

import itertools
import math
from collections.abc import Iterable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from redqueen.config.population import PopulationConfig
from redqueen.evolution import Activity, BehaviourLog, survey
from redqueen.evolution.diversity import (
    cosine_kernel,
    divergences,
    effective_number,
    product_gram,
    student_behaviour,
    style,
    teacher_behaviour,
    weight_distances,
)
from redqueen.population import Population

SHAPES = {"q": (6, 5), "k": (4, 9)}


def factors(slots: int, rank: int = 3, seed: int = 0) -> tuple[dict, dict]:
    g = torch.Generator().manual_seed(seed)
    A = {n: torch.randn(slots, rank, i, generator=g) for n, (i, _) in SHAPES.items()}
    B = {n: torch.randn(slots, o, rank, generator=g) for n, (_, o) in SHAPES.items()}
    return A, B


def adapters(A: dict, B: dict, slots: Iterable[int]) -> list[dict]:
    """One adapter a slot: layer -> (A, B)."""
    return [{name: (A[name][slot], B[name][slot]) for name in A} for slot in slots]


def dense(A: dict, B: dict, slot: int) -> np.ndarray:
    return np.concatenate([(B[n][slot] @ A[n][slot]).double().numpy().ravel() for n in A])


def test_the_gram_matrix_is_that_of_the_dense_updates() -> None:
    A, B = factors(7)
    slots = [4, 0, 6, 2]
    P = np.stack([dense(A, B, s) for s in slots])
    np.testing.assert_allclose(product_gram(adapters(A, B, slots)), P @ P.T, rtol=1e-5, atol=1e-4)


def test_weight_distances_are_relative_and_know_their_landmarks() -> None:
    A, B = factors(6)
    for name in A:
        A[name][1] = A[name][0]
        B[name][1] = B[name][0]
        A[name][2] = -A[name][0]
        B[name][2] = B[name][0]
        B[name][3] = B[name][4] = 0.0
    gram = product_gram(adapters(A, B, range(6)))
    result = weight_distances(gram)
    P = np.stack([dense(A, B, s) for s in range(6)])
    size = np.sqrt((P**2).sum(1)[:, None] + (P**2).sum(1))
    expected = np.linalg.norm(P[:, None] - P[None], axis=-1) / np.where(size > 0, size, 1)
    np.testing.assert_allclose(result, expected, atol=1e-3)
    assert result[0, 1] < 1e-3
    assert result[0, 2] == pytest.approx(math.sqrt(2))
    assert result[0, 3] == pytest.approx(1.0)
    assert result[3, 4] == 0.0
    kernel = cosine_kernel(gram)
    np.testing.assert_allclose(np.diag(kernel), 1.0)
    assert kernel[3, 4] == 1.0
    assert kernel[0, 3] == 0.0
    # Groups of 1 and its opposite, of zeros, and one more: cosine -1 and 1 are the same line.
    assert effective_number(kernel[:5, :5]) == pytest.approx(
        math.exp(0.6 * math.log(1 / 0.6) + 0.4 * math.log(1 / 0.4)), abs=1e-5
    )


def test_orthogonal_updates_are_at_distance_one() -> None:
    A = {"x": torch.eye(4)[:, None, :]}
    B = {"x": torch.ones(4, 3, 1)}
    result = weight_distances(product_gram(adapters(A, B, range(4))))
    np.testing.assert_allclose(result, 1 - np.eye(4), atol=1e-12)


def test_effective_number_counts_clusters() -> None:
    assert effective_number(np.eye(5)) == pytest.approx(5.0)
    assert effective_number(np.ones((5, 5))) == pytest.approx(1.0)
    blocks = np.kron(np.eye(3), np.ones((2, 2)))
    assert effective_number(blocks) == pytest.approx(3.0)
    half = np.array([[1.0, 0.5], [0.5, 1.0]])
    assert effective_number(half) == pytest.approx(
        math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    )
    assert effective_number(np.zeros((0, 0))) == 0.0


ROWS = st.lists(
    st.lists(st.integers(0, 6), min_size=4, max_size=4).filter(any), min_size=1, max_size=6
)


@given(ROWS)
def test_divergences_are_squared_jensen_shannon_distances(rows: list[list[int]]) -> None:
    counts = np.array(rows, dtype=float)
    result = divergences(counts)
    for i, j in itertools.product(range(len(rows)), repeat=2):
        expected = jensenshannon(counts[i], counts[j], base=2) ** 2
        assert result[i, j] == pytest.approx(expected, abs=1e-12)
    # A kernel: no negative eigenvalues but for rounding.
    assert np.linalg.eigvalsh(1.0 - result).min() > -1e-12


def test_who_did_nothing_is_at_no_distance() -> None:
    result = divergences(np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 3.0]]))
    assert result[0, 2] == 1.0
    assert np.isnan(result[1]).all()
    assert np.isnan(result[:, 1]).all()
    assert np.isnan(divergences(np.zeros((3, 0)))).all()


def information(labels: list[int], cells: list[int]) -> float:
    N = len(labels)
    total = 0.0
    for a, b in set(zip(labels, cells, strict=True)):
        joint = sum(x == a and y == b for x, y in zip(labels, cells, strict=True)) / N
        total += joint * math.log(joint * N * N / labels.count(a) / cells.count(b))
    return total


def entropy(labels: list[int]) -> float:
    return -sum(labels.count(x) / len(labels) * math.log(labels.count(x) / len(labels))
                for x in set(labels))  # fmt: skip


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=6))
def test_style_is_information_less_its_mean_over_all_deals(pairs: list[tuple[int, int]]) -> None:
    """Every permutation of the authors over the tasks, enumerated."""
    authors, cells = [a for a, _ in pairs], [c for _, c in pairs]
    counts = np.zeros((3, 3))
    for a, c in pairs:
        counts[a, c] += 1
    result = style(counts)
    if len(set(authors)) < 2:
        assert result is None
        return
    deals = [information(list(deal), cells) for deal in itertools.permutations(authors)]
    chance = sum(deals) / len(deals)
    ceiling = (entropy(authors) + entropy(cells)) / 2 - chance
    if len(set(cells)) < 2 or ceiling < 1e-9:
        assert result == 0.0
    else:
        assert result == pytest.approx((information(authors, cells) - chance) / ceiling, abs=1e-9)


def test_style_tells_alike_from_unlike_where_distances_cannot() -> None:
    rng = np.random.default_rng(0)
    shape = rng.dirichlet(np.ones(12))
    alike = rng.multinomial(30, shape, size=4).astype(float)
    apart = np.stack([rng.multinomial(30, rng.dirichlet(np.ones(12))) for _ in range(4)])
    # 30 tasks each: sampling alone puts equals at a distance of a third.
    assert np.sqrt(divergences(alike))[0, 1] > 0.25
    assert abs(style(alike)) < 0.05
    assert style(apart.astype(float)) > 0.1
    assert style(np.diag([3.0, 4.0, 5.0])) == pytest.approx(1.0)


def test_students_are_compared_kind_by_kind() -> None:
    one = Activity(verdicts={"code_o": {"correct": 8, "wrong": 2}, "code_i": {"wrong": 1}})
    other = Activity(verdicts={"code_o": {"correct": 4, "wrong": 1}, "code_i": {"wrong": 100}})
    third = Activity(verdicts={"code_o": {"malformed": 1}})
    rows = student_behaviour([one, other, third, Activity()])
    names = [f"{k}/{v}" for k in ("code_i", "code_o") for v in ("correct", "wrong", "malformed")]
    np.testing.assert_allclose(rows[0], [0, 1, 0, 0.8, 0.2, 0], err_msg=str(names))
    np.testing.assert_allclose(rows[1], rows[0])
    np.testing.assert_allclose(rows[2], [0, 1, 0, 0, 0, 1])
    assert not rows[3].any()
    result = divergences(rows)
    assert result[0, 1] == pytest.approx(0.0, abs=1e-12)
    # All of its difference is in one of two kinds.
    assert result[0, 2] == pytest.approx(0.5)
    assert student_behaviour([Activity(), Activity()]).shape == (2, 0)


def test_teachers_are_compared_by_cells() -> None:
    rows = teacher_behaviour([Activity(cells={"b": 2}), Activity(cells={"a": 1, "b": 1})])
    np.testing.assert_array_equal(rows, [[0, 2], [1, 1]])


def test_a_survey_measures_each_kind_of_member() -> None:
    population = Population.founders(PopulationConfig(teachers=2, students=3, self_play=1))
    log = BehaviourLog(4)
    log.add({0: Activity(cells={"a": 3}), 1: Activity(cells={"b": 3})})
    log.begin_generation([0, 1, 2, 3, 4, 5])
    log.add(
        {
            2: Activity(verdicts={"k": {"correct": 1}}),
            3: Activity(verdicts={"k": {"correct": 5}}, attempts=5),
        }
    )
    A, B = factors(6)
    seen = survey(population, log, adapters(A, B, range(6)).__getitem__)
    assert [g.name for g in seen.groups] == ["teacher", "student", "self_play"]
    teachers, students, alone = seen.groups
    assert [m.id for m in students.members] == [2, 3, 4]
    assert students.activities[1].attempts == 5
    assert teachers.activities[0] == Activity()
    metrics = seen.metrics()
    assert metrics["diversity/teacher/behaviour_mean"] == 1.0
    assert metrics["diversity/teacher/behaviour_effective"] == pytest.approx(2.0)
    assert metrics["diversity/teacher/style"] == pytest.approx(1.0)
    assert metrics["diversity/student/behaviour_mean"] == 0.0
    expected = weight_distances(product_gram(adapters(A, B, [2, 3, 4])))[np.triu_indices(3, 1)]
    assert metrics["diversity/student/weights_mean"] == pytest.approx(expected.mean())
    assert metrics["diversity/student/weights_min"] == pytest.approx(expected.min())
    assert 1.0 < metrics["diversity/student/weights_effective"] <= 3.0
    assert "diversity/student/style" not in metrics
    assert alone.metrics() == {}
    assert all(np.isfinite(list(metrics.values())))


def test_of_many_members_those_that_played_are_compared() -> None:
    population = Population.founders(PopulationConfig(teachers=5, students=3))
    A, B = factors(8)
    each = adapters(A, B, range(8)).__getitem__
    teachers, students = survey(population, BehaviourLog(4), each, 3, {1, 4, 5}).groups
    assert [m.id for m in teachers.compared] == [1, 4]
    assert len(teachers.activities) == len(teachers.members) == 5
    expected = weight_distances(product_gram([each(1), each(4)]))
    np.testing.assert_array_equal(teachers.weights_MM, expected)
    assert students.compared == students.members
    (nobody, _) = survey(population, BehaviourLog(4), each, 3, ()).groups
    assert nobody.metrics() == {}
