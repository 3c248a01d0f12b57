"""The bench of many members at toy size: its lines of one member, none of its figures."""

import pytest

from bench.many_adapters import compare_seconds, keys_of

SMALL = {
    "rollout.matches": "1",
    "curriculum.held_out": "[]",
    "curriculum.seed_tasks": "6",
    "policy.learn_tokens": "4096",
    "policy.gradient_checkpointing": "false",
    "threads": "1",
}


def test_only_more_members_than_slots_are_paged() -> None:
    assert keys_of(8, 16, {})["population.slots"] == "0"
    assert keys_of(17, 16, {})["population.slots"] == "16"
    assert keys_of(17, 16, {})["population.students"] == "9"
    assert keys_of(8, 0, {"population.slots": "3"})["population.slots"] == "3"


@pytest.mark.slow
def test_a_member_is_replaced_and_joins() -> None:
    lines = compare_seconds(12, 9, 1, SMALL)
    assert [line.name.split(",")[0] for line in lines] == ["replacement", "join"]
    assert all(line.value > 0 for line in lines)
