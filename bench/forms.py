"""What does a base that speaks the traced language know of each form of expression?

    python -m bench.forms [--tasks 12] [--samples 4] [--config FILE] [--section.key VALUE ...]

For every production of the grammar it draws functions that return one such expression of their
parameters, lets the base work out their values at temperature 1 and at 0.3, and prints the share of
right answers, worst first. A form that is wrong at either temperature is not known; one that is
right at 0.3 alone is known, and slips.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import torch

from bench.learning import Practice, accuracy
from bench.work import Lab
from redqueen.build import open_environments
from redqueen.config import load_config
from redqueen.environments.code.tasks import written_task
from redqueen.environments.code.traced.cases import arguments
from redqueen.environments.code.traced.expressions import PRODUCTIONS, SLOT, constant
from redqueen.environments.code.traced.programs import copied
from redqueen.environments.code.traced.trace import trace_call
from redqueen.environments.code.traced.trace_lines import TraceError
from redqueen.environments.code.traced.values import TYPES, random_name, random_value
from redqueen.models.population_model import PopulationModel
from redqueen.rng import derive_seed
from redqueen.types import Task

TEMPERATURES = (1.0, 0.3)
TRIES = 40
"""Draws for one task; an input may be out of the language's range."""


def function(form: str, rng: Random) -> tuple[str, list[str]]:
    """Return a function that returns an expression of a form, and its parameters' types."""
    names: list[str] = []
    types: list[str] = []

    def fill(slot: re.Match[str]) -> str:
        if slot[1] not in TYPES:
            return constant(slot[1], rng)
        names.append(random_name(rng, frozenset(names)))
        types.append(slot[1])
        return names[-1]

    text = SLOT.sub(fill, form)
    head = ", ".join(names) if names else random_name(rng, frozenset())
    return f"def f({head}):\n    return {text}", types or ["int"]


def tasks_of(form: str, count: int, seed: int) -> list[Task]:
    """Return up to `count` distinct `code_o` tasks of a form."""
    rng, tasks = Random(derive_seed(seed, form)), dict[str, Task]()
    for _ in range(count * TRIES):
        source, types = function(form, rng)
        args = [random_value(kind, rng) for kind in types]
        try:
            value = trace_call(source, copied(args)).value
        except TraceError:
            continue
        task = written_task("code", "code_o", source, [(arguments(args), repr(value))], "")
        tasks[task.id] = task
        if len(tasks) == count:
            break
    return [*tasks.values()]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--tasks", type=int, default=12)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--config", type=Path, default=Path("configs/gate/one-student.toml"))
    args, rest = parser.parse_known_args(argv)
    keys = list(zip((key.removeprefix("--") for key in rest[::2]), rest[1::2], strict=True))
    config = load_config(args.config, keys)
    torch.set_num_threads(config.threads or torch.get_num_threads())
    model = PopulationModel.load(config.policy, 1, config.seed)
    lab = Lab.of(model, config.engine)
    forms = {
        (kind, form): tasks_of(form, args.tasks, config.seed)
        for kind, productions in PRODUCTIONS.items()
        for _, form in productions
        if form != "map"
    }
    tasks = [*{task.id: task for several in forms.values() for task in several}.values()]
    with open_environments(config) as environments:
        practice = Practice(environments["code"], lab, lab.learner(config.learner), config)
        rates = [
            accuracy(practice.attempt(tasks, args.samples, 0, slot=None, temperature=heat))
            for heat in TEMPERATURES
        ]
    lab.engine.close()
    shares = {
        key: [np.mean([rate[task.id] for task in several]) for rate in rates]
        for key, several in forms.items()
        if several
    }
    print(f"% right at temperatures {', '.join(map(str, TEMPERATURES))}; {args.tasks} tasks each")
    for (kind, form), (hot, cold) in sorted(shares.items(), key=lambda item: item[1][1]):
        print(f"{kind:6} {form:34} {100 * hot:5.1f} {100 * cold:5.1f}")


if __name__ == "__main__":
    main()
