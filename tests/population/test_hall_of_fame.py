from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from redqueen.config.population import HallOfFameConfig, PopulationConfig
from redqueen.errors import InfrastructureError
from redqueen.models.adapters import AdapterStack, LayerShape
from redqueen.population import HallOfFame, Population
from redqueen.population.hall_of_fame import prune, read_adapter, thinned
from redqueen.population.population import NO_SLOT
from redqueen.types import PAST, Match, Member, Role

LAYERS = {"up": LayerShape(3, 5), "down": LayerShape(5, 3)}


def make_stack(slots: int = 6) -> AdapterStack:
    stack = AdapterStack(LAYERS, slots, rank=2, alpha=2.0)
    stack.initialize(seed=1, init_noise=0.5)
    return stack


def make_population() -> Population:
    """Teachers 0 and 1, students 2 and 3; 1 and 2 are the best."""
    population = Population.founders(PopulationConfig(teachers=2, students=2))
    better = [replace(population.by_id(id_), mu=30.0) for id_ in (1, 2)]
    return population.updated(better)


def make_hall(directory: Path, stack: AdapterStack, **keys: float) -> HallOfFame:
    return HallOfFame(HallOfFameConfig(**({"share": 0.5, "interval": 2} | keys)), directory, stack)


def born(*steps: int) -> list[Member]:
    return [
        Member(i, NO_SLOT, (Role.TEACHER,), 25.0, 8.0, step, (0,), PAST, step)
        for i, step in enumerate(steps)
    ]


@pytest.mark.parametrize(
    ("steps", "size", "kept"),
    [
        ((10, 20, 30), 3, [10, 20, 30]),
        ((10, 20, 30), 2, [10, 30]),
        ((10, 20, 30), 1, [30]),
        ((10, 20, 22, 40, 50), 4, [10, 22, 40, 50]),  # gaps over the middle: 12, 20, 28
        ((10, 20, 30, 40, 50), 3, [10, 30, 50]),  # 20 goes, then 40, whose gap is 20 and not 30
    ],
)
def test_who_is_closest_to_its_neighbours_leaves(
    steps: tuple[int, ...], size: int, kept: list[int]
) -> None:
    assert [m.born for m in thinned(born(*steps), size)] == kept


def test_a_long_run_stays_represented() -> None:
    hall: list[Member] = []
    for step in range(10, 1001, 10):
        hall = thinned([*hall, *[replace(m, id=step) for m in born(step)]], 8)
    steps = [m.born for m in hall]
    assert (steps[0], steps[-1]) == (10, 1000)
    gaps = [b - a for a, b in pairwise(steps)]
    assert max(gaps) <= 4 * (990 / 7)


def test_the_best_of_each_role_is_copied_and_seated_with_its_weights(tmp_path: Path) -> None:
    stack, population = make_stack(), make_population()
    hall, told = make_hall(tmp_path, stack), []
    assert hall.end_step(population, [], 1) == (population, ())
    after, recorded = hall.end_step(population, [], 2)
    assert [(m.id, m.parents, m.roles, m.mu) for m in after.past] == [
        (4, (1,), (Role.TEACHER,), 30.0),
        (5, (2,), (Role.STUDENT,), 30.0),
    ]
    assert recorded == after.past
    assert all((m.born, m.died, m.slot, m.is_past) == (2, 2, NO_SLOT, True) for m in after.past)
    assert (after.members, after.next_id, len(after)) == (population.members, 6, 4)
    copied = stack.get(2)
    for slot in range(4):
        stack.reset(slot, seed=99)  # the present goes on
    matches = [Match(3, 0, 0, 5), Match(3, 1, 1, 3)]
    seated = hall.seat(after, matches, lambda slots, adapters, step: told.append((*slots, step)))
    assert [m.slot for m in seated.past] == [NO_SLOT, 4]
    assert told == [(4, 2)]
    for name, factors in stack.get(4).items():
        assert torch.equal(factors.A, copied[name].A)
        assert torch.equal(factors.B, copied[name].B)
    over, recorded = hall.end_step(seated, matches, 3)
    assert over == after
    assert [m.id for m in recorded] == [5]


def test_a_hall_that_is_off_does_nothing(tmp_path: Path) -> None:
    population = make_population()
    hall = make_hall(tmp_path, make_stack(), share=0.0)
    assert hall.end_step(population, [], 2) == (population, ())
    assert not [*tmp_path.iterdir()]
    assert HallOfFameConfig().spare_slots == 0 == hall.config.spare_slots


def test_self_players_meet_their_past(tmp_path: Path) -> None:
    population = Population.founders(PopulationConfig(teachers=0, students=0, self_play=2))
    after, _ = make_hall(tmp_path, make_stack()).end_step(population, [], 2)
    assert [(m.parents, m.roles) for m in after.past] == [((0,), (Role.TEACHER, Role.STUDENT))]


def test_restored_halls_know_their_files(tmp_path: Path) -> None:
    stack, population = make_stack(), make_population()
    hall = make_hall(tmp_path, stack)
    after, _ = hall.end_step(population, [], 2)
    again = make_hall(tmp_path, stack)
    again.restore(hall.state())
    path = tmp_path / "hall_of_fame" / "member-000005.safetensors"
    assert load_file(path).keys() == {"up.A", "up.B", "down.A", "down.B"}
    again.seat(after, [Match(3, 0, 0, 5)], lambda *_: None)
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(InfrastructureError, match="not the file that the checkpoint knows"):
        again.seat(after, [Match(3, 0, 0, 5)], lambda *_: None)
    path.unlink()
    with pytest.raises(InfrastructureError, match="put the file back"):
        again.seat(after, [Match(3, 0, 0, 5)], lambda *_: None)


def test_an_adapter_stays_as_long_as_a_checkpoint_needs_it(tmp_path: Path) -> None:
    hall, population = make_hall(tmp_path, make_stack(), size=1, interval=1), make_population()
    states = []
    for step in (1, 2, 3):
        population, _ = hall.end_step(population, [], step)
        states.append(hall.state())
    assert [[*map(int, state)] for state in states] == [[4, 5], [6, 7], [8, 9]]
    prune(tmp_path, states[1:2], next_id=8)  # 8 and 9 came after that checkpoint
    for id_ in (6, 7, 8, 9):
        assert read_adapter(tmp_path, id_).keys() == LAYERS.keys()
    assert len([*(tmp_path / "hall_of_fame").iterdir()]) == 4
    prune(tmp_path, states[2:], next_id=10)
    assert {int(p.stem[7:]) for p in (tmp_path / "hall_of_fame").iterdir()} == {8, 9}


def test_populations_with_a_past_survive_json(tmp_path: Path) -> None:
    after, _ = make_hall(tmp_path, make_stack()).end_step(make_population(), [], 2)
    assert Population.from_json(after.to_json()) == after
    assert Population.from_json({"next_id": 0, "members": []}) == Population((), 0)
    with pytest.raises(ValueError, match="unique"):
        replace(after, past=(*after.past, after.members[0]))


def test_students_alone_have_no_past_to_meet() -> None:
    with pytest.raises(ValueError, match="no past to play against"):
        PopulationConfig(teachers=0, students=2, hall_of_fame=HallOfFameConfig(share=0.2))
