"""Where replicas stand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redqueen.cluster.ray.placement import Node, seats

A, B = Node("a", "10.0.0.1", 4, 0), Node("b", "10.0.0.2", 2, 0)
GPUS = Node("c", "10.0.0.3", 16, 2)


@pytest.mark.parametrize(
    ("nodes", "most", "cpus", "expected"),
    [
        ([], 0, 0, []),
        ([B, A], 0, 0, [("a", 4, 0), ("b", 2, 0)]),
        ([A, B], 1, 0, [("a", 4, 0)]),
        ([A, B], 0, 2, [("a", 2, 0), ("b", 2, 0), ("a", 2, 0)]),
        ([A, B], 2, 2, [("a", 2, 0), ("b", 2, 0)]),
        ([A, B], 0, 3, [("a", 3, 0)]),
        ([A, GPUS], 0, 0, [("c", 8, 1), ("c", 8, 1)]),
        ([A, GPUS], 0, 4, [("c", 4, 1), ("c", 4, 1)]),
        ([Node("head", "10.0.0.9", 0, 0), B], 0, 0, [("b", 2, 0)]),
    ],
)
def test_seats(nodes: list[Node], most: int, cpus: int, expected: list[tuple]) -> None:
    assert [(s.node.id, s.cpus, s.gpus) for s in seats(nodes, most, cpus)] == expected


NODES = st.lists(
    st.builds(Node, st.uuids().map(str), st.ip_addresses().map(str), st.integers(0, 9),
              st.integers(0, 3)),
    max_size=5,
)  # fmt: skip


@given(NODES, st.integers(0, 6), st.integers(0, 4))
def test_seats_never_take_more_than_a_node_has(nodes: list[Node], most: int, cpus: int) -> None:
    found = seats(nodes, most, cpus)
    assert len({(seat.node.id, seat.place) for seat in found}) == len(found)
    assert not most or len(found) <= most
    for node in nodes:
        of = [seat for seat in found if seat.node.id == node.id]
        assert sum(seat.cpus for seat in of) <= node.cpus
        assert sum(seat.gpus for seat in of) <= node.gpus
    assert seats(nodes[::-1], most, cpus) == found
