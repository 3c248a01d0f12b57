"""What the guards against false difficulty turn down: the generator's own tasks, the seedling's.

    python -m bench.guards                  both tables of docs/curriculum.md
    python -m bench.guards --proposals 0    the generator's alone (no model)

The generator's tasks are sound, so that whatever falls is a false alarm. Each is handed in as a
proposal, in the compact style, with every guard on. Exits 1 if 1 % or more of a kind falls to
guards other than `near_copy` and `constant`, or fewer than 75 % of the seedling's proposals are
valid.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random

from recipes.seedling.evaluate import propose
from redqueen.build import open_engine, open_environments
from redqueen.config import Config, build_config, load_config, merge
from redqueen.curriculum import Archive, CopyIndex
from redqueen.environments.base import SEED, Draft, sources_of
from redqueen.environments.code.environment import CodeEnvironment
from redqueen.environments.code.generator import BANDS, random_value
from redqueen.models.population_model import PopulationModel
from redqueen.rng import derive_seed
from redqueen.sandbox import Call, Sandbox, make_sandbox, parse_arguments
from redqueen.types import Rejection, Task

VALID_FROM, FALSE_BELOW, INPUTS = 0.75, 0.01, 100
ALLOWED = ("valid", "duplicate", "near_copy", "constant")


def as_draft(task: Task) -> Draft:
    """A task as a teacher would have proposed it."""
    payload = task.payload
    if task.kind == "code_f":
        inputs = "\n".join(given for given, _ in (*payload["examples"], *payload["hidden"]))
        return Draft(
            "code_f", f"<message>\n{payload['message']}\n<input>\n{inputs}", (task,), None, 0
        )
    return Draft(task.kind, f"{payload['program']}\n<input>\n{payload['input']}", (), None, 0)


def reasons(
    code: CodeEnvironment, config: Config, outcomes: Sequence[Task | Rejection]
) -> Counter[str]:
    """How often each reason, `duplicate` and `near_copy` included, and `valid`."""
    archive = Archive(10**6, code)
    archive.add(sources_of(code)[SEED].tasks(config.curriculum.seed_tasks, seed=1))
    copies = CopyIndex(code.fingerprint, config.curriculum.family_repeats)
    copies.follow(archive.tasks)
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        if isinstance(outcome, Rejection):
            counts[outcome.reason] += 1
        elif outcome.id in archive:
            counts["duplicate"] += 1
        elif copies.is_copy(outcome):
            counts["near_copy"] += 1
        else:
            counts["valid"] += 1
            archive.add([outcome])
            copies.add(outcome)
    return counts


def generated(code: CodeEnvironment, kind: str, count: int) -> list[Task]:
    """Distinct tasks of the generator, bands in turn."""
    tasks: dict[str, Task] = {}
    rng = Random(derive_seed(11, "guards", kind))
    while len(tasks) < count:
        task = code.maker.draw(kind, BANDS[len(tasks) % len(BANDS)], rng).task()
        tasks[task.id] = task
    return list(tasks.values())


def really_constant(sandbox: Sandbox, tasks: Sequence[Task], inputs: int) -> int:
    """How many of the generator's programs return the same on `inputs` of its own inputs."""
    rng = Random(derive_seed(11, "really constant"))
    calls = []
    for task in tasks:
        args = parse_arguments(task.payload["input"], task.payload["arity"]) or ()
        for _ in range(inputs):
            drawn = tuple(random_value(type(item).__name__, rng) for item in args)
            calls.append(Call(task.payload["program"], "f", drawn))
    texts = [item.text or None for item in sandbox.run(calls)]
    return sum(
        set(texts[place * inputs : (place + 1) * inputs]) <= {task.payload["output"], None}
        for place, task in enumerate(tasks)
    )


def table(columns: dict[str, Counter[str]]) -> str:
    """Reasons by column, in Markdown, the most frequent first."""
    total = sum(columns.values(), Counter())
    lines = [f"| | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    for name, _ in total.most_common():
        cells = " | ".join(str(counts[name]) for counts in columns.values())
        lines.append(f"| {name if name == 'valid' else f'`{name}`'} | {cells} |")
    return "\n".join(lines)


def plain(outcomes: Sequence[Task | Rejection]) -> Counter[str]:
    """Reasons alone, without archive."""
    return Counter(item.reason if isinstance(item, Rejection) else "valid" for item in outcomes)


@contextmanager
def open_code(config: Config) -> Iterator[CodeEnvironment]:
    """The code environment of a configuration."""
    with open_environments(config) as environments:
        code = environments["code"]
        assert isinstance(code, CodeEnvironment)
        yield code


def without_guards(config: Config) -> Config:
    """The configuration with every guard off."""
    return build_config(merge(config.model_dump(), {"environments": {"code": {"guards": ()}}}))


def measure_generator(code: CodeEnvironment, config: Config, count: int) -> list[str]:
    """Print the first table; returns what misses its bar."""
    columns, still, missed, seconds = {}, [], [], 0.0
    for kind in code.kinds:
        tasks = generated(code, kind, count)
        drafts = [as_draft(task) for task in tasks]
        begun = time.perf_counter()
        made = code.validate(drafts)
        seconds += time.perf_counter() - begun
        counts = columns[kind] = reasons(code, config, made)
        still += [
            task
            for task, item in zip(tasks, made, strict=True)
            if isinstance(item, Rejection) and item.reason == "constant"
        ]
        fallen = sum(number for name, number in counts.items() if name not in ALLOWED)
        if fallen >= FALSE_BELOW * count:
            missed.append(f"{fallen} of {count} sound {kind} tasks were turned down")
    print(f"{count} tasks of the generator of each kind, all guards on\n\n{table(columns)}")
    with make_sandbox(config.sandbox) as sandbox:
        same = really_constant(sandbox, still, INPUTS)
    print(f"\n{same} of {len(still)} `constant` ones never change on {INPUTS} other inputs")
    print(f"{1000 * seconds / (len(code.kinds) * count):.1f} ms of validation a proposal")
    return missed


def measure_seedling(code: CodeEnvironment, config: Config, count: int) -> list[str]:
    """Print the second table; returns what misses its bar."""
    model = PopulationModel.load(config.policy, slots=1, seed=0)
    with open_engine(config, model) as engine, open_code(without_guards(config)) as free:
        drafts = propose(engine, code, config, count)
        columns = {
            "guards on": reasons(code, config, code.validate(drafts)),
            "off": plain(free.validate(drafts)),
        }
    valid = columns["guards on"]["valid"] / count
    print(f"\n{count} proposals of the seedling at temperature 1\n\n{table(columns)}")
    return [f"only {valid:.1%} of the seedling's are valid"] if valid < VALID_FROM else []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1000, help="of each kind; 0: none")
    parser.add_argument("--proposals", type=int, default=600, help="of the seedling; 0: none")
    args = parser.parse_args()
    config = load_config(None, [("environments.code.style", "compact")])
    missed: list[str] = []
    with open_code(config) as code:
        if args.tasks:
            missed += measure_generator(code, config, args.tasks)
        if args.proposals:
            missed += measure_seedling(code, config, args.proposals)
    for sentence in missed:
        print(f"missed: {sentence}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
