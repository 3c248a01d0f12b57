"""What many members cost beside eight that have the same rollouts: time, memory, a newcomer.

    python -m bench.many_adapters             128, 256, 512, 1,024 members beside 8, paged
    python -m bench.many_adapters --slots 0   the same with all members in memory

*Steps*: whole steps of the trainer (sandbox, ratings, database, checkpoint), those of two
populations in turns, each in processes of its own, so that each has its own memory (`bench.sides`).
All play the default run's matches: the work is the same, and who does it varies. Ratios are of
seconds for each token. No generation falls into them: it costs the lines below for each birth.

*A member*: seconds in which one member is replaced by a child (both parents read, the child made
and written), and in which an adapter that is in memory joins in a member's place.

*Alone or together*: how far one member's update is from its update without the others, with passes
that members share and with passes of its own (`learner.batching`); one thread, real texts.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from bench.ratios import Ratio, ratio, table, write
from bench.sides import Side, step_in_turns
from bench.work import Lab, plain_prompts, requests_of, samples
from redqueen.build import start
from redqueen.config import Config, PolicyConfig, load_config
from redqueen.engines.torch import Torch
from redqueen.evolution import survey
from redqueen.models.population_model import PopulationModel

FEW = 8
MEMBERS = (128, 256, 512, 1024)
BARS = {128: 1.15, 1024: 1.5}
"""Largest ratio of step times to that of `FEW` members."""
SECONDS_BAR = 0.1
"""Most seconds in which a member joins or is replaced."""
WARM_STEPS = 4
CONFIG = Path("configs/default.toml")


def keys_of(members: int, slots: int, words: Mapping[str, str]) -> dict[str, str]:
    """Config keys of a population of this size; only more members than slots are paged."""
    keys = {
        "population.teachers": members // 2,
        "population.students": members - members // 2,
        "population.slots": slots if members > slots else 0,
        "evolution.enabled": "false",
        "learner.learning_rate": 1e-9,
    }
    return {key: str(value) for key, value in keys.items()} | dict(words)


def compare_steps(size: int, slots: int, steps: int, words: Mapping[str, str]) -> list[Ratio]:
    """Seconds a token and peak memory of `size` members over `FEW`."""
    with tempfile.TemporaryDirectory() as folder:
        # One step more than is measured: a run that ends would do so beside the other's step.
        measured = WARM_STEPS + steps
        sides = [
            Side(CONFIG, Path(folder) / str(members),
                 keys_of(members, slots, words) | {"steps": str(measured + 1)})
            for members in (FEW, size)
        ]  # fmt: skip
        step_in_turns(sides, measured, WARM_STEPS)
    few, many = ([step["seconds"] / step["tokens"] for step in side.steps] for side in sides)
    peaks = [side.steps[-1]["memory"]["host"] for side in sides]
    detail = ", ".join(
        f"{side.members}: {side.mean('seconds'):.2f} s and {side.mean('tokens'):,.0f} tokens"
        for side in sides
    )
    return [
        ratio(f"step, {size} members over {FEW}", many, few, "lower", BARS.get(size), detail),
        ratio(f"peak memory, {size} over {FEW}", peaks[1:], peaks[:1], "lower", None,
              f"{FEW}: {peaks[0]:,.0f} MiB, {size}: {peaks[1]:,.0f} MiB"),
    ]  # fmt: skip


def compare_seconds(size: int, slots: int, repeats: int, words: Mapping[str, str]) -> list[Ratio]:
    """Seconds of a replacement and of a newcomer, in a run of `size` members, over the bar."""
    # The least share: one of each role goes.
    keys = keys_of(size, slots, words) | {"evolution.enabled": "true", "evolution.cull": "1e-9"}
    keys |= {"callbacks": "[]", "engine.workers": "1"}
    replaced, joined = [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        start(load_config(CONFIG, list(keys.items())), Path(folder) / "run") as trainer,
    ):
        moments = trainer.pager or trainer.learner.optimizer
        for step in range(1, repeats + 1):
            adapters, population = trainer.adapters, trainer.population
            seen = survey(population, trainer.behaviour, adapters.get, 2)
            newcomer = adapters.get(0)
            begun = time.perf_counter()
            trainer.population, events = trainer.evolution.evolve(
                population, seen, adapters, moments, step
            )
            trainer.snapshot()
            replaced.append((time.perf_counter() - begun) / len(events))
            begun = time.perf_counter()
            adapters.set(size - 1, newcomer)
            moments.reset_slot(size - 1)
            trainer.snapshot()
            joined.append(time.perf_counter() - begun)
    return [
        ratio(f"{name}, {size} members / {SECONDS_BAR} s", seconds, [SECONDS_BAR] * repeats,
              "lower", 1.0, f"{sorted(seconds)[repeats // 2]:.4f} s, with what a checkpoint writes")
        for name, seconds in (("replacement", replaced), ("join", joined))
    ]  # fmt: skip


def policy_of(config: Config) -> PolicyConfig:
    """The run's, with adapters that do something: the gradient of A is not zero."""
    return config.policy.model_copy(update={"init_noise": 0.02})


def updated(config: Config, batching: str, slots: Sequence[int]) -> torch.Tensor:
    """All numbers of member 0's adapter after one update in which these members learn."""
    model = PopulationModel.load(policy_of(config), FEW, 0)
    lab = Lab.of(model, Torch(rows=64))
    prompts = plain_prompts(model, 2 * FEW, 60)
    texts = samples(lab.write(requests_of(prompts, FEW, 8), 40))
    learner = lab.learner(config.learner.model_copy(update={"batching": batching}))
    learner.update([text for text in texts if text.slot in slots], 1, lab.versions())
    return torch.cat([t.flatten() for pair in model.adapters.get(0).values() for t in pair])


def compare_updates(config: Config) -> list[Ratio]:
    """Distance between member 0's updates alone and among `FEW`, over the update's own length."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        lines = []
        founder = PopulationModel.load(policy_of(config), 1, 0).adapters.get(0)
        before = torch.cat([t.flatten() for pair in founder.values() for t in pair])
        for batching in ("shared", "member"):
            alone, together = (updated(config, batching, m) for m in ([0], range(FEW)))
            off, size = (together - alone).norm(), (alone - before).norm()
            same = float((alone == together).float().mean())
            lines.append(
                ratio(f"alone or together, {batching}", [float(off)], [float(size)], "lower",
                      0.0 if batching == "member" else None,
                      f"{same:.2%} of {len(alone):,} numbers are equal to the bit")
            )  # fmt: skip
        return lines
    finally:
        torch.set_num_threads(threads)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--members", type=int, nargs="+", default=list(MEMBERS))
    parser.add_argument("--slots", type=int, default=16, help="members in memory; 0: all")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=5, help="of replacements and newcomers")
    parser.add_argument("--out", type=Path, default=Path("runs/bench/many_adapters.json"))
    parser.add_argument("--set", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"),
                        help="a config key of all populations")  # fmt: skip
    args = parser.parse_args(argv)
    words = dict(args.set)
    lines = compare_updates(load_config(CONFIG, list(words.items())))
    lines += compare_seconds(max(args.members), args.slots, args.repeats, words)
    for size in args.members:
        lines += compare_steps(size, args.slots, args.steps, words)
    print(table(lines))
    write(args.out, lines)
    return 0 if all(line.held is not False for line in lines) else 1


if __name__ == "__main__":
    raise SystemExit(main())
