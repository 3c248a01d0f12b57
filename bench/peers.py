"""Red Queen beside the tools it stands in for, doing the same work in turns.

    make bench-peers                          in an environment with bench/requirements.txt

- *routed pass*: one forward and backward pass of a batch in which every row has its own of eight
  adapters, beside PEFT's mixed batches (`adapter_names`) and the `populora` package's routed
  forward. No prompts are shared, no row is padded; loss and gradients are the same. All on one
  thread, as each of our workers has it.
- *whole step*: sampling, advantages, update of eight adapters, beside TRL's `GRPOTrainer` with PEFT
  run once for each adapter. Same model, prompts, attempts, lengths; rewards cost nothing. On all
  cores: ours with its workers, TRL with as many threads.
- *verdicts*: ours on what the base writes for generated tasks, eight attempts each, beside the
  Absolute Zero Reasoner's way (arXiv 2505.03335): strings executed by a pebble process pool, one
  at a time with one worker, as its code does by default (an output that is equal is not run, a
  function is run for each hidden input, a program is parsed first, two alarms are set for each);
  and all at once with as many workers as ours, which it never does. The peer's answers are read
  for it.
"""

import argparse
import logging
import math
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from pebble import ProcessPool
from peft import LoraConfig, get_peft_model
from populora import Population
from torch import Tensor
from torch.nn import functional
from transformers import AutoModelForCausalLM, PrinterCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from bench.azr import azr_programs, in_pool
from bench.ratios import Ratio, in_turns, ratio, table, write
from bench.sandbox import WORKERS
from bench.work import Lab, never_ending, plain_prompts, samples
from redqueen.build import open_environments
from redqueen.config import Config, PolicyConfig, build_config, load_config, merge
from redqueen.engines.cpu.model import accelerated
from redqueen.environments.base import SEED, Attempt, Environment, sources_of
from redqueen.models.attention import PackedAttention
from redqueen.models.packing import Packing, Text
from redqueen.models.population_model import PopulationModel
from redqueen.models.precision import DTYPES, settle_dtype
from redqueen.models.sources import resolve_base
from redqueen.types import Request, Verdict, user

MEMBERS, RANK, ALPHA = 8, 8, 16.0
TOKENS = 96
ROWS_PER_MEMBER = (1, 4, 16)
PROMPTS, ATTEMPTS, PROMPT_TOKENS, TEXT_TOKENS = 4, 8, 60, 40
"""Of each adapter's step."""
VERDICT_TASKS = 120
STEP_BAR, VERDICT_BAR = 6.0, 20.0


def fresh_model() -> Any:
    """The seedling, by the library, as every peer gets it: in the type that ours has here."""
    dtype = DTYPES[settle_dtype(PolicyConfig(), torch.device("cpu")).dtype]
    return AutoModelForCausalLM.from_pretrained(resolve_base("seedling"), dtype=dtype)


# ── one routed pass ─────────────────────────────────────────────────────────────────────────


def loss_of(logits_RTV: Tensor, ids_RT: Tensor) -> Tensor:
    """Mean negative log-likelihood of every token after the first."""
    return functional.cross_entropy(
        logits_RTV[:, :-1].float().flatten(0, 1), ids_RT[:, 1:].flatten()
    )


def our_pass(config: Config, ids_RT: Tensor) -> Callable[[], float]:
    model = PopulationModel.load(config.policy, MEMBERS, 0)
    base = accelerated(model.base)
    packed, per_member = base.packed, len(ids_RT) // MEMBERS
    if packed is None:
        raise SystemExit("this base cannot read packed texts")
    parameters = list(model.adapters.parameters().values())

    def work() -> float:
        texts = [Text(row // per_member, ids) for row, ids in enumerate(ids_RT.tolist())]
        packing = Packing(texts, base.device)
        attention = PackedAttention(packing, base.kernel)
        with model.router.route(packing.slots, "segments", packed=True) as route:
            logits_NV = packed.logits(packing.ids_N, packing.position_N, route, attention)
        loss = loss_of(logits_NV.view(*ids_RT.shape, -1), ids_RT)
        for parameter in parameters:
            parameter.grad = None
        loss.backward()
        return float(loss)

    return work


def peft_pass(ids_RT: Tensor) -> Callable[[], float]:
    settings = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear")
    model = get_peft_model(fresh_model(), settings, adapter_name="0")
    for number in range(1, MEMBERS):
        model.add_adapter(str(number), settings)
    model.eval()  # it refuses mixed batches in training mode
    parameters = [p for name, p in model.named_parameters() if "lora_" in name]
    for parameter in parameters:
        parameter.requires_grad_(True)
    per_member = len(ids_RT) // MEMBERS
    names = [str(row // per_member) for row in range(len(ids_RT))]

    def work() -> float:
        loss = loss_of(model(input_ids=ids_RT, adapter_names=names).logits, ids_RT)
        for parameter in parameters:
            parameter.grad = None
        loss.backward()
        return float(loss)

    return work


def populora_pass(ids_RT: Tensor) -> Callable[[], float]:
    model = fresh_model().requires_grad_(False)
    targets = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and name != "lm_head"
    ]
    population = Population(
        model, pop_size=MEMBERS, low_rank=RANK, lora_targets=targets, requires_grad=True
    )
    parameters = [*population.weight_down.values(), *population.weight_up.values()]
    with torch.no_grad():
        for up in population.weight_up.values():
            up.zero_()  # it begins with noise, the others with nothing

    def work() -> float:
        logits = population(input_ids=ids_RT, all_individuals=True).logits
        loss = loss_of(logits, ids_RT)
        for parameter in parameters:
            parameter.grad = None
        loss.backward()
        if any(parameter.grad is None for parameter in parameters):
            raise SystemExit("populora: an adapter got no gradient")
        return float(loss)

    return work


def compare_passes(config: Config, repeats: int) -> list[Ratio]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    lines = []
    for per_member in ROWS_PER_MEMBER:
        rows = per_member * MEMBERS
        generator = torch.Generator().manual_seed(rows)
        ids_RT = torch.randint(4, 300, (rows, TOKENS), generator=generator)
        works = {
            "redqueen": our_pass(config, ids_RT),
            "PEFT": peft_pass(ids_RT),
            "populora": populora_pass(ids_RT),
        }
        # B is zero in all of them, so all losses are the base's.
        losses = {name: work() for name, work in works.items()}
        if max(losses.values()) - min(losses.values()) > 0.05:
            raise SystemExit(f"the passes differ in their loss: {losses}")
        seconds = in_turns(works, repeats)
        for peer in ("PEFT", "populora"):
            name = f"pass, {rows} rows, {peer} / ours"
            lines.append(ratio(name, seconds[peer], seconds["redqueen"], "higher", 1.0))
    torch.set_num_threads(threads)
    return lines


# ── one whole step ──────────────────────────────────────────────────────────────────────────


def our_steps(config: Config, steps: int) -> list[float]:
    """Seconds of each step of all eight adapters."""
    lab = never_ending(Lab.of(PopulationModel.load(config.policy, MEMBERS, 0), config.engine))
    learner = lab.learner(config.learner, steps)
    attempts = [
        (member, prompt)
        for member in range(MEMBERS)
        for prompt in plain_prompts(lab.model, PROMPTS, PROMPT_TOKENS, member)
        for _ in range(ATTEMPTS)
    ]
    seconds = []
    for step in range(1, steps + 1):
        begun = time.perf_counter()
        requests = [
            Request(member, user(prompt), 10_000 * step + number)
            for number, (member, prompt) in enumerate(attempts)
        ]
        learner.update(samples(lab.write(requests, TEXT_TOKENS)), step, lab.versions())
        seconds.append(time.perf_counter() - begun)
    lab.engine.close()
    return seconds


class Stopwatch(TrainerCallback):
    """Seconds of each of TRL's steps, sampling included."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._begun = math.nan

    def on_step_begin(self, *args: object, **kwargs: object) -> None:
        self._begun = time.perf_counter()

    def on_step_end(self, *args: object, **kwargs: object) -> None:
        self.seconds.append(time.perf_counter() - self._begun)


def alternating(completions: Sequence[str], **kwargs: object) -> list[float]:
    """Rewards that cost nothing and differ within each group."""
    return [float(number % 2) for number in range(len(completions))]


def trl_steps(config: Config, member: int, steps: int, folder: Path) -> list[float]:
    """Seconds of each step of one adapter."""
    model = PopulationModel.load(config.policy, 1, 0)
    prompts = plain_prompts(model, PROMPTS, PROMPT_TOKENS, member)
    watch = Stopwatch()
    settings = GRPOConfig(
        output_dir=str(folder),
        use_cpu=True,
        bf16=False,
        max_steps=steps,
        per_device_train_batch_size=PROMPTS * ATTEMPTS,
        num_generations=ATTEMPTS,
        max_completion_length=TEXT_TOKENS,
        generation_kwargs={"min_new_tokens": TEXT_TOKENS},
        gradient_checkpointing=False,
        learning_rate=config.learner.learning_rate,
        max_grad_norm=config.learner.max_grad_norm,
        beta=0.0,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=member,
    )
    trainer = GRPOTrainer(
        model=fresh_model(),
        args=settings,
        reward_funcs=alternating,
        train_dataset=Dataset.from_dict({"prompt": prompts}),
        processing_class=model.tokenizer,
        peft_config=LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear"),
        callbacks=[watch],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return watch.seconds


def compare_steps(config: Config, repeats: int, folder: Path) -> list[Ratio]:
    """Step by step: ours, and the sum over eight adapters of TRL's; the first ones warm up."""
    steps = repeats + 1
    begun = our_steps(config, steps)[1:]
    peers = [trl_steps(config, member, steps, folder)[1:] for member in range(MEMBERS)]
    # The machine may have changed meanwhile, so ours come before and after.
    ended = our_steps(config, steps)[1:]
    ours = [(a + b) / 2 for a, b in zip(begun, ended, strict=True)]
    detail = (
        f"{MEMBERS} adapters x {PROMPTS} prompts x {ATTEMPTS} attempts x {TEXT_TOKENS} tokens: "
        f"ours {sum(ours) / repeats:.2f} s, TRL + PEFT {sum(map(sum, peers)) / repeats:.1f} s"
    )
    theirs = [sum(values) for values in zip(*peers, strict=True)]
    return [ratio("step, 8 x (TRL + PEFT) / ours", theirs, ours, "higher", STEP_BAR, detail)]


# ── verdicts ────────────────────────────────────────────────────────────────────────────────


def written_attempts(config: Config, code: Environment) -> list[Attempt]:
    """What the base writes for generated tasks of all kinds and bands."""
    lab = Lab.of(PopulationModel.load(config.policy, 1, 0), config.engine)
    seeds = sources_of(code)[SEED].tasks(VERDICT_TASKS, 0)
    tasks = [task for task in seeds for _ in range(ATTEMPTS)]
    requests = [Request(None, code.prompt(task), number) for number, task in enumerate(tasks)]
    texts = lab.write(requests, config.rollout.solve_tokens)
    lab.engine.close()
    return [Attempt(task, text.text) for task, text in zip(tasks, texts, strict=True)]


def with_workers(config: Config) -> Config:
    """The same with as many sandbox processes as the peer has."""
    return build_config(merge(config.model_dump(), {"sandbox": {"workers": WORKERS}}))


def compare_verdicts(config: Config, repeats: int) -> list[Ratio]:
    """Verdicts on the same attempts, answers already read for the peer; and that they agree."""
    with (
        open_environments(with_workers(config)) as environments,
        ProcessPool(max_workers=1) as single,
        ProcessPool(max_workers=WORKERS) as several,
    ):
        code = environments["code"]
        attempts = written_attempts(config, code)
        judged = code.verify(attempts)
        answers = [(a.task, j.answer) for a, j in zip(attempts, judged, strict=True)]

        def ours() -> list[bool]:
            return [item.verdict is Verdict.CORRECT for item in code.verify(attempts)]

        def planned() -> list[list[str]]:
            return [azr_programs(task, answer) for task, answer in answers]

        def one_by_one() -> list[bool]:
            return right([[in_pool(single, [p])[0] for p in programs] for programs in planned()])

        def at_once() -> list[bool]:
            plans = planned()
            results = iter(in_pool(several, [p for programs in plans for p in programs]))
            return right([[next(results) for _ in programs] for programs in plans])

        def right(results: Sequence[Sequence[bool]]) -> list[bool]:
            return [
                answer is not None and all(found)
                for found, (_, answer) in zip(results, answers, strict=True)
            ]

        works = {"ours": ours, "AZR": one_by_one, "pool": at_once}
        found = {name: work() for name, work in works.items()}
        seconds = in_turns(works, repeats)
    count = len(attempts)
    for name in ("AZR", "pool"):
        same = sum(a == b for a, b in zip(found["ours"], found[name], strict=True))
        # 1 == True and 1 == 1.0 there.
        if same < 0.98 * count:
            raise SystemExit(f"{name}: {count - same} of {count} verdicts differ from ours")
    rates = ", ".join(f"{n} {count * repeats / sum(s):,.0f}/s" for n, s in seconds.items())
    return [
        ratio(
            "verdicts, ours / AZR's", seconds["AZR"], seconds["ours"], "higher", VERDICT_BAR, rates
        ),
        ratio("verdicts, ours / pool at once", seconds["pool"], seconds["ours"], "higher"),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    parser.add_argument("--out", type=Path, default=Path("runs/bench/peers.json"))
    parser.add_argument("--only", choices=("passes", "steps", "verdicts"))
    args = parser.parse_args(argv)
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    if args.threads:
        torch.set_num_threads(args.threads)
    config = load_config(None, [])
    parts: dict[str, Callable[[], list[Ratio]]] = {
        "verdicts": lambda: compare_verdicts(config, args.repeats),
        "passes": lambda: compare_passes(config, args.repeats),
        "steps": lambda: compare_steps(config, args.steps, args.out.parent / "trl"),
    }
    lines = []
    for name, part in parts.items():
        if args.only in (None, name):
            lines += part()
    print(table(lines))
    write(args.out, lines)
    return 0 if all(line.held is not False for line in lines) else 1


if __name__ == "__main__":
    raise SystemExit(main())
