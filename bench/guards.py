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
from collections.abc import Sequence
from random import Random

from recipes.seedling.evaluate import propose
from redqueen.config import Config, load_config
from redqueen.domains import Archive, CopyIndex, Domain, Draft, build_domain
from redqueen.domains.generator import BANDS
from redqueen.policy import Policy
from redqueen.rng import derive_seed
from redqueen.sandbox import make_sandbox
from redqueen.types import Rejection, Task

VALID_FROM, FALSE_BELOW = 0.75, 0.01
ALLOWED = ("valid", "near_copy", "constant")


def as_draft(task: Task) -> Draft:
    """A task as a teacher would have proposed it."""
    payload = task.payload
    if task.kind == "code_f":
        inputs = "\n".join(given for given, _ in (*payload["examples"], *payload["hidden"]))
        return Draft(
            "code_f", f"<message>\n{payload['message']}\n<input>\n{inputs}", (task,), None, 0
        )
    return Draft(task.kind, f"{payload['program']}\n<input>\n{payload['input']}", (), None, 0)


def reasons(domain: Domain, config: Config, outcomes: Sequence[Task | Rejection]) -> Counter[str]:
    """How often each reason, `duplicate` and `near_copy` included, and `valid`."""
    archive = Archive(10**6, domain.cell, domain.cells)
    archive.add(domain.seed_tasks(config.domain.seed_tasks, seed=1))
    copies = CopyIndex(domain.form, config.domain.program_repeats)
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


def generated(domain: Domain, kind: str, count: int) -> list[Task]:
    """Distinct tasks of the generator, bands in turn."""
    tasks: dict[str, Task] = {}
    rng = Random(derive_seed(11, "guards", kind))
    while len(tasks) < count:
        task = domain.generated_task(kind, BANDS[len(tasks) % len(BANDS)], rng)
        tasks[task.id] = task
    return list(tasks.values())


def table(columns: dict[str, Counter[str]]) -> str:
    """Reasons by column, in Markdown, the most frequent first."""
    total = sum(columns.values(), Counter())
    lines = [f"| | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    for name, _ in total.most_common():
        cells = " | ".join(str(counts[name]) for counts in columns.values())
        lines.append(f"| {name if name == 'valid' else f'`{name}`'} | {cells} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1000, help="generated tasks of each kind")
    parser.add_argument("--proposals", type=int, default=600, help="of the seedling; 0: none")
    args = parser.parse_args()
    config = load_config(None, [("domain.style", "compact")])
    missed = []
    with make_sandbox(config.sandbox) as sandbox:
        domain = build_domain(config, sandbox, None)
        columns = {}
        begun, total = time.perf_counter(), 0
        for kind in domain.kinds:
            made = domain.validate([as_draft(t) for t in generated(domain, kind, args.tasks)])
            counts = columns[kind] = reasons(domain, config, made)
            total += len(made)
            fallen = sum(n for name, n in counts.items() if name not in (*ALLOWED, "duplicate"))
            if made and fallen >= FALSE_BELOW * len(made):
                missed.append(f"{fallen} of {len(made)} sound {kind} tasks were turned down")
        seconds = time.perf_counter() - begun
        print(
            f"{args.tasks} tasks of the generator of each kind, all guards on\n\n{table(columns)}"
        )
        print(f"\n{1000 * seconds / max(total, 1):.2f} ms a proposal, generation included")
        if args.proposals:
            policy = Policy.load(config.policy, slots=1, seed=0)
            parts = {}
            for name, guards in (("guards on", config.domain.guards), ("off", ())):
                settings = replace_guards(config, guards)
                judge = build_domain(settings, sandbox, policy.tokenizer)
                outcomes = propose(policy, judge, settings, args.proposals)
                parts[name] = reasons(judge, settings, outcomes) if guards else plain(outcomes)
            valid = parts["guards on"]["valid"] / args.proposals
            print(
                f"\n{args.proposals} proposals of the seedling at temperature 1\n\n{table(parts)}"
            )
            if valid < VALID_FROM:
                missed.append(f"only {valid:.1%} of the seedling's proposals are valid")
    for sentence in missed:
        print(f"missed: {sentence}")
    return 1 if missed else 0


def plain(outcomes: Sequence[Task | Rejection]) -> Counter[str]:
    """Reasons alone, without archive."""
    return Counter(item.reason if isinstance(item, Rejection) else "valid" for item in outcomes)


def replace_guards(config: Config, guards: tuple[str, ...]) -> Config:
    """The configuration with other guards."""
    return config.model_copy(update={"domain": config.domain.model_copy(update={"guards": guards})})


if __name__ == "__main__":
    raise SystemExit(main())
