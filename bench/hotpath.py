"""Shared prompts against padded rows, side by side in one run: generation and learning.

Tasks of the generator are posed to members of a population as in the default run; both ways do the
same work on the same seeds, in turns, and the ratio of their processor times is printed with its
spread over the repeats. The last lines set the work against the matrix product of this machine.

    python -m bench.hotpath --threads 1
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from random import Random

import torch

from redqueen.config import Config, load_config
from redqueen.domains import build_domain
from redqueen.domains.generator import BANDS
from redqueen.learner import Learner, StackedAdamW
from redqueen.policy import Policy
from redqueen.sandbox import make_sandbox
from redqueen.types import Completion, Request, Role, Trajectory


def processor_seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def compare(name: str, policy: Policy, work: Callable[[], object], repeats: int) -> float:
    """Run `work` both ways in turns, print the line, return the median of the new way."""
    ways = {"padded": replace(policy.base, packed=None), "shared": policy.base}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for repeat in range(repeats + 1):
        for way, base in ways.items():
            policy.base = base
            spent = processor_seconds(work)
            if repeat:  # the first of each warms up
                seconds[way].append(spent)
    policy.base = ways["shared"]
    ratios = [old / new for old, new in zip(seconds["padded"], seconds["shared"], strict=True)]
    old, new = (statistics.median(seconds[way]) for way in ways)
    print(
        f"{name:34} padded {old:6.2f} s  shared {new:6.2f} s  ratio {statistics.median(ratios):.2f}"
        f" ({min(ratios):.2f} to {max(ratios):.2f}, {repeats} repeats)",
        flush=True,
    )
    return new


def prompts_of(config: Config, policy: Policy, count: int, seed: int) -> list[str]:
    rng = Random(seed)
    with make_sandbox(config.sandbox) as sandbox:
        domain = build_domain(config, sandbox, policy.tokenizer)
        cells = [(kind, band) for band in BANDS for kind in domain.kinds]
        return [
            domain.pose(domain.generated_task(*cells[i % len(cells)], rng)) for i in range(count)
        ]


def trajectories(written: list[Completion]) -> list[Trajectory]:
    """Every attempt takes part: rewards differ within each group."""
    return [
        Trajectory(
            slot=text.slot or 0,
            member=text.slot or 0,
            role=Role.STUDENT,
            kind="code_o",
            group=str(hash(text.prompt_ids)),
            prompt_ids=text.prompt_ids,
            token_ids=text.token_ids,
            logprobs=text.logprobs,
            reward=float(place % 2),
        )
        for place, text in enumerate(written)
    ]


def matmul_rate(dtype: torch.dtype) -> float:
    """Floating-point operations a second of a product of this base's shapes."""
    x, w = torch.randn(4096, 256).to(dtype), torch.randn(256, 768).to(dtype)
    x @ w
    begun = time.perf_counter()
    for _ in range(20):
        x @ w
    return 20 * 2 * 4096 * 256 * 768 / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tasks", type=int, default=26)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    config = load_config(None, [])
    policy = Policy.load(config.policy, 4, 0)
    if policy.base.packed is None:
        raise SystemExit("this base keeps its own attention, so there is nothing to compare")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for b in policy.adapters.B.values():
            b.copy_(0.01 * torch.randn(b.shape, generator=generator))
    prompts = prompts_of(config, policy, args.tasks, 0)

    def requests(attempts: int) -> list[Request]:
        return [
            Request(place % 4, prompt, 1000 * place + attempt)
            for place, prompt in enumerate(prompts)
            for attempt in range(attempts)
        ]

    def generate(attempts: int) -> list[Completion]:
        return policy.generate(requests(attempts), max_new_tokens=192, temperature=1.0)

    print(f"{args.tasks} prompts, 4 members, {args.threads} threads, seedling")
    for attempts in (1, 8):
        compare(
            f"generate, {attempts} attempts", policy, lambda g=attempts: generate(g), args.repeats
        )
    before = policy.adapters.state_dict()
    before = {name: tensor.clone() for name, tensor in before.items()}
    for attempts in (2, 8):
        batch = trajectories(generate(attempts))

        def learn(batch: list[Trajectory] = batch) -> None:
            policy.adapters.load_state_dict(before)
            optimizer = StackedAdamW(policy.adapters.parameters())
            learner = Learner(policy, optimizer, config.learner, temperature=1.0, seed=0, steps=40)
            report = learner.update(batch, 1)
            if report.trained_sequences != len(batch):
                raise SystemExit("some sequences were left out of the backward pass")

        seconds = compare(f"learn, {attempts} attempts", policy, learn, args.repeats)
        prompt = len({(t.slot, t.prompt_ids) for t in batch})
        own = sum(len(t.token_ids) for t in batch)
        shared = own - len(batch) + sum(len(p) for _, p in {(t.slot, t.prompt_ids) for t in batch})
        alone = own - len(batch) + sum(len(t.prompt_ids) for t in batch)
        flops = 4 * policy.num_parameters * shared
        print(
            f"    {prompt} prompts, {alone} tokens one by one, {shared} shared; "
            f"{flops / seconds / 1e9:.0f} GFLOP/s of a product's "
            f"{matmul_rate(policy.base.dtype) / 1e9:.0f} (bfloat16), "
            f"{matmul_rate(torch.float32) / 1e9:.0f} (float32)"
        )


if __name__ == "__main__":
    main()
