"""What several test modules share."""

import os
import tempfile

# Test processes run side by side, so each, and each that it starts, has one thread. Before torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Where trackio keeps its database; it looks once, when it is imported.
os.environ["TRACKIO_DIR"] = tempfile.mkdtemp(prefix="trackio-")

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings

from redqueen.config import Config, build_config, merge

# The same examples in every run; HYPOTHESIS_PROFILE=explore draws new ones. No example is timed: a
# busy machine is no failure.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

TINY: dict[str, Any] = {
    "name": "tiny",
    "steps": 2,
    "threads": 1,
    "callbacks": ["alarms"],
    "policy": {"rank": 2, "alpha": 4.0, "dtype": "float32"},
    "population": {"teachers": 2, "students": 2},
    "rollout": {
        "matches": 2,
        "tasks_per_match": 3,
        "attempts": 3,
        "references": 1,
        "propose_tokens": 64,
        "solve_tokens": 64,
    },
    # Thousands of held-out tasks would cost more than all else; tests of them name their suites.
    "curriculum": {"seed_tasks": 6, "held_out": []},
    "sandbox": {"workers": 1},
    "evolution": {"interval": 2},
    "eval": {"tasks": 6, "samples": 1},
}


@pytest.fixture
def tiny() -> Callable[..., Config]:
    """Make a configuration of a run that takes seconds; keyword arguments override keys."""

    def make(**over: Any) -> Config:
        return build_config(merge(TINY, over))

    return make


@pytest.fixture
def tiny_values() -> dict[str, Any]:
    """The same as nested plain values."""
    return TINY
