"""The seedling on every evaluation suite: greedy solve rates by kind and band.

    python -m bench.suites                       all tasks by hand, 600 of the generator's suites
    python -m bench.suites --suite beyond --tasks 200

Intervals are 95 %, a bootstrap over *programs*: tasks of one program are not independent.
"""

import argparse
from collections import defaultdict

import numpy as np
import torch

from redqueen.benchmarks import Subject, evaluate, tasks_of_suite
from redqueen.build import open_engine, open_environments
from redqueen.config import load_config
from redqueen.models.population_model import PopulationModel
from redqueen.report import cluster_bootstrap
from redqueen.rng import numpy_rng
from redqueen.rollouts.collect import verifier_of
from redqueen.types import Verdict

SUITES = ("held-out", "beyond", "handwritten")


def interval(rates: dict[str, list[float]]) -> str:
    """The mean over tasks; programs are drawn with all their tasks."""
    values = [value for group in rates.values() for value in group]
    if len(set(values)) == 1 or len(rates) == len(values):
        estimate = cluster_bootstrap(np.array(values), numpy_rng("suites"))
        low, high = estimate.low, estimate.high
    else:
        sums, sizes = np.array([(sum(group), len(group)) for group in rates.values()]).T
        drawn = numpy_rng("suites").integers(len(sums), size=(4000, len(sums)))
        low, high = np.quantile(sums[drawn].sum(1) / sizes[drawn].sum(1), [0.025, 0.975])
    mean = sum(values) / len(values)
    return f"{100 * mean:.1f} % ({100 * low:.1f}–{100 * high:.1f}), {len(values)} tasks"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", action="append", choices=SUITES)
    parser.add_argument("--tasks", type=int, help="default: 600, and all of handwritten")
    args = parser.parse_args()
    config = load_config(None, [("policy.dtype", "float32")])
    model = PopulationModel.load(config.policy, slots=1, seed=0)
    with open_engine(config, model) as engine, open_environments(config) as environments:
        for name in args.suite or SUITES:
            count = args.tasks or (2000 if name == "handwritten" else 600)
            tasks = tasks_of_suite(environments, name, count, config.eval.seed)
            by_id = {task.id: task for task in tasks}
            attempts = evaluate(
                engine,
                verifier_of(environments),
                environments,
                name,
                tasks,
                [Subject("base", None)],
                samples=0,
                max_new_tokens=config.rollout.solve_tokens,
                seed=config.eval.seed,
            )
            cells: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(
                lambda: defaultdict(list)
            )
            for attempt in attempts:
                task = by_id[attempt.task_id]
                program, right = task.payload["program"], attempt.verdict is Verdict.CORRECT
                number = task.features.get("band")
                for kind in (task.kind, "all kinds"):
                    for band in {"", f"band {number:.0f}" if number else ""}:
                        cells[kind, band][program].append(float(right))
            programs = {task.payload["program"] for task in tasks}
            print(f"{name}: {len(tasks)} tasks, {len(programs)} programs")
            for (kind, band), rates in sorted(cells.items()):
                print(f"  {kind:10}{band:8}{interval(rates)}", flush=True)
    print(f"{torch.get_num_threads()} threads, greedy, float32")


if __name__ == "__main__":
    main()
