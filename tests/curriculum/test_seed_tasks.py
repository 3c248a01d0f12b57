"""What an environment's archive starts from."""

import pytest

from redqueen.build import open_environments
from redqueen.config import build_config
from redqueen.curriculum import make_world
from redqueen.environments.base import SEED, sources_of

COUNT, RESERVED = 30, 100


@pytest.mark.parametrize("name", ["code", "logic", "math", "proof"])
def test_no_seed_task_is_held_out(name: str) -> None:
    keys = {} if name == "code" else {"held_out_tasks": RESERVED}
    config = build_config({"environments": {name: keys}, "curriculum": {"seed_tasks": COUNT}})
    with open_environments(config) as environments:
        environment = environments[name]
        world = make_world(name, environment, config, reserved=RESERVED)
        offered = sources_of(environment)[SEED].tasks(COUNT, config.seed)
    assert len(world.seed_tasks) == COUNT
    assert not any(map(world.held_out.holds, world.seed_tasks))
    allowed = [task for task in offered if not world.held_out.holds(task)]
    assert list(world.seed_tasks[: len(allowed)]) == allowed
    assert name != "proof" or len(allowed) < COUNT  # else nothing was put to the test
