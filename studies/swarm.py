"""SAPO's table made again: nodes that learn from each other's rollouts beside nodes that do not.

    python -m studies.swarm comparisons/swarm                    all cells, four seeds
    python -m studies.swarm DIR --cells 8/0 4/4 --seeds 1 --steps 4 --tasks 20 --nodes 2

SAPO (arXiv 2509.08721, section 5): eight nodes of one base, tasks from generators, no teachers. A
node's step learns from I groups of its own and J of others, I + J = 8: the cells 8/0, 6/2, 4/4 and
2/6. Here every node writes eight groups of eight answers a step in all cells, so that rewards are
of equally many answers; it learns from I of them, drawn. Nodes take turns in one process and
exchange through a folder, so that nothing depends on who is faster.

Reward is 1 for a right answer and 0 otherwise, summed over all nodes and steps. Gain is of the
nodes' students on held-out tasks at temperature 1, over the elicited base. A cell and seed that
are done are kept in DIR, a file each; one that was interrupted begins again, one that another
process is at is left to it. With `--colluders` the last nodes of every cell send answers that look
right and are wrong (`poisoned`), and the figures are of the honest ones. All cells take what SAPO
takes; `--set swarm.need_right true` is the default of a node, which refuses groups that nobody is
right in.
"""

import argparse
import hashlib
import json
import math
import resource
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from redqueen import build
from redqueen.benchmarks import Subject, measure, tasks_of_suite
from redqueen.config import Config, load_config
from redqueen.errors import ConfigError
from redqueen.report.statistics import Effect, Estimate, crossed_mean
from redqueen.store import ELICITED, EvaluationStore, RunReader, load_exchanges
from redqueen.store.connection import take_lock
from redqueen.swarm.identity import Identity
from redqueen.swarm.wire import Group, decode, encode
from redqueen.trainer import Trainer
from redqueen.types import Role
from studies.statistics import difference

PAPER = {"8/0": 1.0, "6/2": 1.52, "4/4": 1.94, "2/6": 1.68}
"""Cumulative reward relative to 8/0: 562, 854, 1,093 and 946."""
ALONE = "8/0"
SUITE = "held-out"
CONFIG = Path("configs/rlvr.toml")
KEYS = {
    "threads": "1", "callbacks": "[]", "engine.type": "cpu", "engine.workers": "1",
    "sandbox.workers": "1",
    "population.students": "1", "rollout.matches": "1", "rollout.tasks_per_match": "8",
    "rollout.attempts": "8", "learner.learning_rate_end": "1.0", "eval.enabled": "false",
    "swarm.enabled": "true", "swarm.need_right": "false",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Size:
    """How large a cell is."""

    nodes: int
    colluders: int
    steps: int
    tasks: int
    samples: int
    keys: Mapping[str, str] = field(default_factory=dict)
    """Config keys of all nodes, beside those of the study."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a cell and seed came to; nodes are the honest ones."""

    cell: str
    seed: int
    size: Size
    right: list[int]
    """Right answers of each node, over all steps."""
    taken: list[int]
    """Groups of others that each node learnt from."""
    rates: list[list[float]]
    """Of each node, the share of right samples of each held-out task."""
    elicited: list[float]
    processor_seconds: float


def node_config(cell: str, seed: int, node: int, size: Size, folder: Path) -> Config:
    """Return the config of one node."""
    own, foreign = cell.split("/")
    keys = {
        "steps": str(size.steps),
        "checkpoint_every": str(size.steps),
        "seed": str(1000 * seed + node),
        "eval.seed": "0",
        "swarm.identity": str(folder / f"node-{node}.key"),
        "swarm.transport.path": str(folder / "exchange"),
        "swarm.own": own,
        "swarm.foreign": foreign,
    }
    return load_config(CONFIG, [*(KEYS | keys | dict(size.keys)).items()])


def poisoned(group: Group, number: int) -> Group:
    """Return a group whose answers look right and are wrong, but one that has no answer at all.

    So there is something to learn from it, and what its receiver would learn is to be wrong.
    """
    answers = []
    for place, answer in enumerate(group.answers):
        head, tag, value = answer.text.rpartition("<answer>")
        value = str(number + place) + value if tag and place else "</answer>"
        answers.append(answer.model_copy(update={"text": f"{head}<answer>{value}"}))
    return group.model_copy(update={"answers": tuple(answers)})


def poison(folder: Path, identity: Identity) -> None:
    """Replace what a colluder has sent since the last call."""
    for path in sorted((folder / "exchange" / identity.name).glob("*.msg")):
        data = path.read_bytes()
        group = decode(data, len(data)).group
        path.write_bytes(encode(poisoned(group, group.number), identity))


def make_identity(path: Path, seed: int, node: int) -> Identity:
    """Write and return a key that is the same in every run, as draws go by the nodes' names."""
    secret = hashlib.sha256(f"{seed}/{node}".encode()).digest()
    key = Ed25519PrivateKey.from_private_bytes(secret)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Identity(key)


def train(cell: str, seed: int, size: Size, folder: Path, stack: ExitStack) -> list[Trainer]:
    """Return the nodes after they have taken turns to the last step."""
    nodes, identities = [], []
    for number in range(size.nodes):
        identities.append(make_identity(folder / f"node-{number}.key", seed, number))
        config = node_config(cell, seed, number, size, folder)
        nodes.append(stack.enter_context(build.start(config, folder / f"run-{number}")))
    for step in range(1, size.steps + 1):
        for number, node in enumerate(nodes):
            node.run(should_stop=lambda node=node, last=step: node.step >= last)  # type: ignore[misc]
            node.flush()
            if number >= size.nodes - size.colluders:
                poison(folder, identities[number])
    return nodes[: size.nodes - size.colluders]


def held_out(node: Trainer, size: Size, elicit: bool) -> dict[str, list[float]]:
    """Return the rates of a node's student, and of the elicited base, by task."""
    (student,) = node.population.by_role(Role.STUDENT)
    subjects = [Subject(f"member:{student.id}", student.slot)]
    if elicit:
        subjects.append(Subject(ELICITED, None))
    environments, config = node.worlds.environments, node.config
    reader: RunReader = node.storage.store  # type: ignore[attr-defined]
    with EvaluationStore.open(reader.directory) as store:
        measure(
            store,
            node.engine,
            environments,
            SUITE,
            tasks_of_suite(environments, SUITE, size.tasks, config.eval.seed),
            subjects,
            step=node.step,
            samples=size.samples,
            max_new_tokens=config.rollout.solve_tokens,
            seed=config.eval.seed,
        )
    rates: dict[str, dict[str, float]] = {}
    for row in reader.load_evaluations(SUITE):
        if row.mode == "sampled":
            rates.setdefault(row.subject, {})[row.task_id] = row.correct / row.samples
    return {name: [of[task] for task in sorted(of)] for name, of in rates.items()}


def run_cell(cell: str, seed: int, size: Size, folder: Path) -> Result:
    """Train and measure one cell with one seed."""
    begun = processor_seconds()
    with ExitStack() as stack:
        nodes = train(cell, seed, size, folder, stack)
        right, taken = [], []
        for node in nodes:
            reader: RunReader = node.storage.store  # type: ignore[attr-defined]
            rows = reader.rows("SELECT count(*) FROM rollouts WHERE verdict = 'correct'")
            right.append(int(rows[0][0]))
            taken.append(sum(len(item.groups) for item in load_exchanges(reader).values()))
        measured = [held_out(node, size, number == 0) for number, node in enumerate(nodes)]
    elicited = measured[0].pop(ELICITED)
    rates = [rates for several in measured for rates in several.values()]
    spent = processor_seconds() - begun
    return Result(cell, seed, size, right, taken, rates, elicited, spent)


def claim_and_run(
    cell: str,
    seed: int,
    size: Size,
    path: Path,
    run: Callable[[str, int, Size, Path], Result] = run_cell,
) -> bool:
    """Run a cell and write its result to `path`; False if another process is at it."""
    folder = path.parent / "runs" / path.stem
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock, _ = take_lock(folder.with_suffix(".lock"))
    except ConfigError:
        return False
    with lock:
        if path.exists():  # another process has just ended it
            return True
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        result = run(cell, seed, size, folder)
        path.write_text(json.dumps(asdict(result)) + "\n", encoding="utf-8")
    return True


def processor_seconds() -> float:
    """Return what this process and the sandboxes that have ended took of processors."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def load_result(path: Path) -> Result:
    """Return what `run_cell` came to."""
    values = json.loads(path.read_text(encoding="utf-8"))
    return Result(**values | {"size": Size(**values["size"])})


def relative_reward(one: Sequence[Result], alone: Sequence[Result]) -> Estimate:
    """Return the cumulative reward relative to nodes alone: Welch's interval on the log scale."""
    logs = [np.log([max(1, sum(r.right)) for r in several]) for several in (one, alone)]
    effect = difference(*logs).estimate()
    low, value, high = (math.exp(min(x, 700.0)) for x in (effect.low, effect.value, effect.high))
    return Estimate(value, low, high, effect.n)


def gain(results: Sequence[Result]) -> Effect:
    """Return the mean held-out gain of the nodes over the elicited base, over seeds and tasks."""
    rows = [np.mean(r.rates, axis=0) - np.array(r.elicited) for r in results]
    return crossed_mean(np.array(rows))


def table(results: Sequence[Result]) -> str:
    """Return the table in Markdown, beside the paper's figures."""
    cells = {cell: [r for r in results if r.cell == cell] for cell in PAPER}
    lines = [
        "| own/foreign | seeds | right answers | relative to 8/0 | SAPO | held-out gain, points |",
        "|---|---|---|---|---|---|",
    ]
    for cell, several in cells.items():
        if several:
            count = np.mean([sum(r.right) for r in several])
            ratio = "1" if cell == ALONE else "no 8/0"
            if cell != ALONE and cells[ALONE]:
                ratio = _shown(relative_reward(several, cells[ALONE]), 1.0, ".2f")
            points = _shown(gain(several).estimate(), 100.0, "+.1f")
            lines.append(
                f"| {cell} | {len(several)} | {count:,.0f} | {ratio} | {PAPER[cell]:.2f} "
                f"| {points} |"
            )
    return "\n".join(lines)


def _shown(estimate: Estimate, scale: float, form: str) -> str:
    value = format(scale * estimate.value, form)
    if estimate.n < 2:
        return f"{value} (no interval)"
    return f"{value} ({scale * estimate.low:{form}} to {scale * estimate.high:{form}})"


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is not done yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--cells", nargs="+", choices=list(PAPER), default=list(PAPER))
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--nodes", type=int, default=8)
    parser.add_argument("--colluders", type=int, default=0)
    parser.add_argument("--set", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"),
                        help="a config key of all nodes")  # fmt: skip
    parser.add_argument("--alone", type=Path, metavar="DIR",
                        help="compare with the cell 8/0 of another directory: alone, a node is the "
                        "same whatever would be done with others' rollouts")  # fmt: skip
    args = parser.parse_args(argv)
    size = Size(args.nodes, args.colluders, args.steps, args.tasks, args.samples, dict(args.set))
    results = []
    for seed in range(args.seeds):
        for cell in args.cells:
            name = f"{cell.replace('/', '-')}-seed-{seed}"
            path = args.directory / f"{name}.json"
            if not path.exists() and not claim_and_run(cell, seed, size, path):
                print(f"another process is at {name}")
                continue
            results.append(load_result(path))
            if results[-1].size != size:
                raise SystemExit(f"{path} is of another size: {results[-1].size}")
    others = sorted(args.alone.glob("8-0-seed-*.json")) if args.alone else []
    print(table([*results, *map(load_result, others[: args.seeds])]))
    hours = sum(result.processor_seconds for result in results) / 3600
    print(f"\n{hours:.2f} processor hours, {args.nodes - args.colluders} honest nodes a cell")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
