import json
from dataclasses import replace

import pytest

from redqueen.config.population import PopulationConfig
from redqueen.population import Population
from redqueen.types import Member, Role


def founders(**kwargs: int) -> Population:
    return Population.founders(PopulationConfig(**({"teachers": 2, "students": 3} | kwargs)))


def child_of(member: Member, id_: int) -> Member:
    return replace(member, id=id_, born=4, parents=(member.id,), operator="svd")


def test_founders_fill_slots_by_role() -> None:
    population = founders(self_play=1)
    assert [m.slot for m in population.members] == [m.id for m in population.members]
    assert [m.id for m in population.by_role(Role.TEACHER)] == [0, 1, 5]
    assert [m.id for m in population.by_role(Role.STUDENT)] == [2, 3, 4, 5]
    assert [m.id for m in population.with_roles((Role.STUDENT,))] == [2, 3, 4]
    assert (population.next_id, len(population)) == (6, 6)
    assert population.teaches
    assert not founders(teachers=0).teaches
    assert population.by_id(0).conservative_rating == pytest.approx(0.0)


def test_replace_passes_on_the_slot_and_never_reuses_an_id() -> None:
    before = founders()
    after = before.replace(3, child_of(before.by_id(3), 5))
    assert [m.id for m in after.members] == [0, 1, 2, 5, 4]
    assert after.by_id(5).slot == 3
    assert after.next_id == 6
    assert before == founders()
    with pytest.raises(KeyError, match="no living member has id 3"):
        after.by_id(3)


@pytest.mark.parametrize(
    "change", [{"slot": 0}, {"roles": (Role.TEACHER,)}, {"id": 7}, {"id": 2}], ids=str
)
def test_replace_refuses_a_child_that_does_not_fit(change: dict) -> None:
    population = founders()
    child = replace(child_of(population.by_id(3), 5), **change)
    with pytest.raises(ValueError, match="child"):
        population.replace(3, child)


def test_invariants_are_checked() -> None:
    a, b = founders(teachers=1, students=1).members
    with pytest.raises(ValueError, match="slots"):
        Population((b, a), 2)
    with pytest.raises(ValueError, match="unique"):
        Population((a, replace(b, id=0)), 2)
    with pytest.raises(ValueError, match="next_id"):
        Population((a, b), 1)


def test_updated_keeps_the_others() -> None:
    population = founders()
    changed = replace(population.by_id(2), mu=31.0)
    new = population.updated([changed])
    assert new.by_id(2) == changed
    assert [m for m in new.members if m.id != 2] == [m for m in population.members if m.id != 2]
    with pytest.raises(KeyError):
        population.updated([replace(changed, id=77)])


def test_json_round_trip_is_exact() -> None:
    population = founders(self_play=2)
    changes = {"mu": 1 / 3, "learning_rate_factor": 0.8 * 1.2, "temperature": 0.7}
    population = population.replace(3, child_of(replace(population.by_id(3), **changes), 7))
    assert Population.from_json(json.loads(json.dumps(population.to_json()))) == population
