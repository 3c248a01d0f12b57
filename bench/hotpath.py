"""Shared prompts against padded rows, side by side in one run: generation and learning.

Tasks of the generator are posed to members of a population as in the default run; both ways do the
same work on the same seeds, in turns; the ratio is of their processor times.

    python -m bench.hotpath --threads 1
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from bench.ratios import Ratio, in_turns, ratio, table, write
from bench.work import Lab, samples
from redqueen.build import open_environments
from redqueen.config import Config, load_config
from redqueen.engines.cpu import Cpu
from redqueen.environments.base import STREAM, sources_of
from redqueen.models.loading import Base
from redqueen.models.population_model import PopulationModel
from redqueen.types import Completion, Messages, Request, Sample


def compare(name: str, model: PopulationModel, work: Callable[[], object], repeats: int) -> Ratio:
    """`work` both ways in turns, in processor time."""
    ways = {"padded": replace(model.base, packed=None), "shared": model.base}

    def by(base: Base) -> Callable[[], object]:
        def run() -> object:
            model.base = base
            return work()

        return run

    seconds = in_turns({way: by(base) for way, base in ways.items()}, repeats, time.process_time)
    model.base = ways["shared"]
    medians = ", ".join(f"{way} {statistics.median(seconds[way]):.2f} s" for way in ways)
    bar = BARS.get(name)
    return ratio(name, seconds["padded"], seconds["shared"], "higher", bar, medians)


BARS = {"learn, G = 8": 2.0}


def prompts_of(config: Config, count: int, seed: int) -> list[Messages]:
    with open_environments(config) as environments:
        code = environments["code"]
        return [code.prompt(task) for task in sources_of(code)[STREAM].tasks(count, seed)]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tasks", type=int, default=26)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/bench/hotpath.json"))
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    config = load_config(None, [])
    model = PopulationModel.load(config.policy, 4, 0)
    lab = Lab.of(model, Cpu(workers=1))
    if model.base.packed is None:
        raise SystemExit("this base keeps its own attention, so there is nothing to compare")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for b in model.adapters.B.values():
            b.copy_(0.01 * torch.randn(b.shape, generator=generator))
    prompts = prompts_of(config, args.tasks, 0)

    def generate(attempts: int) -> list[Completion]:
        requests = [
            Request(place % 4, prompt, 1000 * place + attempt)
            for place, prompt in enumerate(prompts)
            for attempt in range(attempts)
        ]
        return lab.write(requests, 192)

    lines = [
        compare(f"generate, G = {attempts}", model, partial(generate, attempts), args.repeats)
        for attempts in (1, 8)
    ]
    before = {name: tensor.clone() for name, tensor in model.adapters.state_dict().items()}
    for attempts in (2, 8):
        batch = samples(generate(attempts))

        def learn(batch: list[Sample] = batch) -> None:
            model.adapters.load_state_dict(before)
            report = lab.learner(config.learner, 40).update(batch, 1, lab.versions())
            if report.trained_sequences != len(batch):
                raise SystemExit("some sequences were left out of the backward pass")

        lines.append(compare(f"learn, G = {attempts}", model, learn, args.repeats))
    print(f"{args.tasks} prompts, 4 members, {args.threads} threads: padded rows / shared prompts")
    print(table(lines))
    write(args.out, lines)
    return 0 if all(line.held is not False for line in lines) else 1


if __name__ == "__main__":
    raise SystemExit(main())
