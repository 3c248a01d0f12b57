"""What a population costs over a single adapter, at the same rollouts and tokens.

    python -m bench.overhead                  2, 4, ... 128 members over 1

Two views. *Fixed work*: sampling and learning of a step's size with texts of one length, so that
every population does exactly the same arithmetic but for its adapters. *Whole steps*: runs of the
trainer with everything a step has (sandbox, ratings, evolution, database), in turns with a run in
which one member plays the same matches with itself. Matches draw from the same seeds and members
learn at a rate of nearly nothing, so that both go on writing like the base; rounding parts their
texts all the same, so the ratio is of seconds for each token.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from bench.ratios import Ratio, in_turns, ratio, table, write
from bench.sides import Side, step_in_turns
from bench.work import Lab, never_ending, plain_prompts, requests_of, samples
from redqueen.config import Config, load_config
from redqueen.models.population_model import PopulationModel

MEMBERS = (2, 4, 8, 16, 32, 64, 128)
BARS = {8: 1.08, 64: 1.3}
"""Largest ratio to one member."""
PROPOSALS, ATTEMPTS = 32, 8
PROMPT_TOKENS, TEXT_TOKENS = 60, 40
WARM_STEPS = 4
"""The first compiles, and all of them fetch memory that later ones have."""
CONFIG = Path("configs/default.toml")


def population(members: int, like: int | None = None) -> dict[str, str]:
    """Config keys of a population of this size that does the default run's work a step.

    It plays as many matches as the pairs of one of `like` members would.
    """
    pairs = members // 2
    matches = min(max((like or members) // 2, 1), PROPOSALS)
    keys = {
        "population.teachers": pairs,
        "population.students": pairs,
        "population.self_play": members % 2,
        "rollout.matches": matches,
        "rollout.tasks_per_match": PROPOSALS // matches,
        "rollout.attempts": ATTEMPTS,
        "evolution.enabled": str(members > 2).lower(),
        "evolution.interval": 5,
        "learner.learning_rate": 1e-9,
    }
    return {key: str(value) for key, value in keys.items()}


def fixed_work(config: Config, members: int) -> tuple[Lab, dict[str, Callable[[], object]]]:
    """Sampling and learning of `PROPOSALS` tasks x `ATTEMPTS`, dealt to `members` adapters.

    Close the engine when all is done.
    """
    lab = Lab.of(PopulationModel.load(config.policy, members, 0), config.engine)
    never_ending(lab)
    prompts = plain_prompts(lab.model, PROPOSALS, PROMPT_TOKENS)
    # There are never more students than tasks.
    requests = requests_of(prompts, members, ATTEMPTS)

    def sample() -> object:
        return lab.write(requests, TEXT_TOKENS)

    batch = samples(lab.write(requests, TEXT_TOKENS))
    learner = lab.learner(config.learner.model_copy(update={"learning_rate": 1e-9}))

    def learn() -> object:
        return learner.update(batch, 1, lab.versions())

    return lab, {"sample": sample, "learn": learn}


def compare_fixed_work(config: Config, sizes: Sequence[int], repeats: int) -> list[Ratio]:
    """Ratios to one member, for sampling, learning and both."""
    works = {size: fixed_work(config, size) for size in {1, *sizes}}
    seconds: dict[int, dict[str, list[float]]] = {size: {} for size in works}
    for name in ("sample", "learn"):
        named = {f"{size:04}": work[name] for size, (_, work) in works.items()}
        for key, values in in_turns(named, repeats).items():
            seconds[int(key)][name] = values
    for lab, _ in works.values():
        lab.engine.close()
    lines = []
    first = seconds[1]
    for size in sizes:
        own = seconds[size]
        both = [a + b for a, b in zip(own["sample"], own["learn"], strict=True)]
        base = [a + b for a, b in zip(first["sample"], first["learn"], strict=True)]
        parts = ", ".join(f"{n} {ratio(n, own[n], first[n], 'lower').value:.2f}" for n in own)
        lines.append(ratio(f"fixed work, {size} members", both, base, "lower", None, parts))
    return lines


def compare_steps(size: int, steps: int, words: dict[str, str]) -> Ratio:
    """Seconds a sampled token, whole steps of the trainer, over those of one member alone."""
    with tempfile.TemporaryDirectory() as folder:
        # One step more than is measured: a run that ends would do so beside the other's step.
        measured = WARM_STEPS + steps
        keys = {"steps": str(measured + 1), "checkpoint_every": str(measured)} | words
        sides = [
            Side(CONFIG, Path(folder) / name, population(members, size) | keys)
            for name, members in (("alone", 1), ("together", size))
        ]
        step_in_turns(sides, measured, WARM_STEPS)
    alone, together = ([step["seconds"] / step["tokens"] for step in side.steps] for side in sides)
    detail = ", ".join(
        f"{side.members}: {side.mean('seconds'):.2f} s and {side.mean('tokens'):,.0f} tokens"
        for side in sides
    )
    detail += f", peak {sides[1].steps[-1]['memory']['host']:,.0f} MiB"
    name = f"whole step, {size} members"
    return ratio(name, together, alone, "lower", BARS.get(size), detail)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--members", type=int, nargs="+", default=list(MEMBERS))
    parser.add_argument("--repeats", type=int, default=5, help="of the fixed work")
    parser.add_argument("--steps", type=int, default=12, help="whole steps")
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    parser.add_argument("--out", type=Path, default=Path("runs/bench/overhead.json"))
    parser.add_argument("--set", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"),
                        help="a config key of all populations")  # fmt: skip
    args = parser.parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    words = dict(args.set) | {"threads": str(args.threads)}
    config = load_config(CONFIG, list(words.items()))
    lines = compare_fixed_work(config, args.members, args.repeats)
    lines += [compare_steps(size, args.steps, words) for size in args.members]
    print(f"over 1 member, {PROPOSALS} proposals and {ATTEMPTS} attempts a task")
    print(table(lines))
    write(args.out, lines)
    return 0 if all(line.held is not False for line in lines) else 1


if __name__ == "__main__":
    raise SystemExit(main())
