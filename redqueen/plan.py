"""`redqueen plan`: what a run takes in memory and time, before anything is loaded.

Everything follows from the base's config.json, the run's config and a few products that are timed
on this machine. Lengths are taken as long as the config allows, so the answer is an upper bound.
"""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from torch import nn
from torch.nn import functional
from transformers import AutoConfig, AutoModelForCausalLM

from redqueen.config import Config
from redqueen.engines.auto import SMALL, Auto
from redqueen.errors import ConfigError
from redqueen.formatting import duration
from redqueen.models.batching import MIN_ROWS, MIN_TOKENS
from redqueen.models.blocked import block, blockable, blocked_product, gains
from redqueen.models.footprint import LearningMemory, fitting_tokens, free_memory
from redqueen.models.loading import check_kind, place_options
from redqueen.models.logprobs import piece_rows
from redqueen.models.precision import DTYPES, multiplies_bfloat16, settle_dtype
from redqueen.models.sources import files_of, not_loaded, one_line, resolve_base
from redqueen.models.targets import find_targets, layer_shape, reached_by_text

GIB, MIB = 1 << 30, 1 << 20
CARD = 24 * 10**9
"""Bytes of a 24 GB card, less what the driver keeps for itself."""
DRIVER = 600 * MIB
PROCESS = {"main": 560 * MIB, "worker": 420 * MIB}
"""Python and the libraries, in a process that has computed."""
REPEATS, REPEAT_SECONDS = 4, 0.02
"""A product is timed so often, and so long, at the least; the shortest time counts."""
DRAW_BYTES = 36
"""Of a logit while tokens are drawn: several copies, some in float64."""
PROMPT = 400
"""Tokens of a usual prompt with its references."""
LLAMA_3_8B: Mapping[str, Any] = {
    "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "vocab_size": 128256,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
}  # fmt: skip
"""The shapes of Llama 3 8B (arXiv 2407.21783, table 3)."""


@dataclass(frozen=True, slots=True)
class Shapes:
    """Sizes of a base and its adapters."""

    parameters: int
    embedding: int
    """Parameters that are looked up and not multiplied."""
    linear: tuple[tuple[int, int], ...]
    """[out, in] of every linear layer, the head last."""
    adapted: int
    """Parameters of one adapter of rank 1."""
    layers: int
    hidden: int
    states: int
    """Values that one token keeps in a layer's key-value cache."""
    saved: float
    """Values that the backward pass needs of one token."""
    vocabulary: int


def shapes_of(values: Mapping[str, Any] | Any, targets: Sequence[str] | str) -> Shapes:
    """Return the shapes of the base that a library config, or its values, describe.

    The model is made without memory, on the device `meta`.

    Raises:
        ConfigError: the library does not know such a model.
    """
    try:
        config: Any = AutoConfig.for_model(**values) if isinstance(values, Mapping) else values
        check_kind(config, "policy.base")
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
        return _model_shapes(model, targets)
    except ConfigError:
        raise
    except Exception as error:  # the library's, about a file of somebody else
        raise ConfigError(
            f"policy.base: no model can be made of its config: {one_line(error)}"
        ) from error


def _model_shapes(model: Any, targets: Sequence[str] | str) -> Shapes:
    """Return the shapes of a model without memory."""
    text = model.config.get_text_config(decoder=True)
    head = model.get_output_embeddings()
    linear = [s for m in model.modules() if m is not head and (s := layer_shape(m)) is not None]
    adapted = [layer_shape(m) for m in _reached(model, find_targets(model, targets)).values()]
    layers, hidden = text.num_hidden_layers, text.hidden_size
    inner = getattr(text, "intermediate_size", None) or 4 * hidden
    sizes = [_attention_sizes(part) for part in _layer_configs(text)]
    return Shapes(
        parameters=sum(p.numel() for p in model.parameters()),
        embedding=model.get_input_embeddings().weight.numel(),
        linear=(*((s.outputs, s.inputs) for s in linear), tuple(head.weight.shape)),
        adapted=sum(s.inputs + s.outputs for s in adapted if s is not None),
        layers=layers,
        hidden=hidden,
        states=round(2 * sum(keys for _, keys in sizes) / len(sizes)),
        # Outputs of the products, twice the stream, attention's output and the gated inner state.
        saved=sum(s.outputs for s in linear)
        + layers * (2 * hidden + sum(queries for queries, _ in sizes) / len(sizes) + inner),
        vocabulary=head.weight.shape[0],
    )


def _reached(model: nn.Module, layers: dict[str, nn.Module]) -> dict[str, nn.Module]:
    """Return those of the layers that text reaches; all, where that needs a model with memory."""
    try:
        return reached_by_text(model, layers)
    except Exception:  # the library's, of any kind: some models look at values
        return layers


def _layer_configs(text: Any) -> Sequence[Any]:
    """Return the configs of the layers, one for all if they are alike."""
    return list(getattr(text, "per_layer_config", None) or [text])


def _attention_sizes(text: Any) -> tuple[int, int]:
    """Return the values of a token's queries, and of its keys, in one layer."""
    heads = getattr(text, "num_attention_heads", 1)
    size = getattr(text, "head_dim", None) or text.hidden_size // heads
    return heads * size, (getattr(text, "num_key_value_heads", None) or heads) * size


@dataclass(frozen=True, slots=True)
class Work:
    """The size of a step."""

    members: int
    proposals: int
    attempts: int
    """Texts of students, further turns of an interaction among them."""
    rows: int
    """Texts written side by side."""
    propose_tokens: int
    solve_tokens: int

    @classmethod
    def of(cls, config: Config) -> "Work":
        """Return that of a run."""
        people, rollout = config.population, config.rollout
        proposals = rollout.matches * rollout.tasks_per_match
        students = people.students if rollout.students_per_task == "all" else 1
        if isinstance(rollout.students_per_task, int):
            students = rollout.students_per_task
        attempts = proposals * rollout.interaction.texts(students, rollout.attempts)
        members = people.teachers + people.students + people.self_play
        rows = min(getattr(config.engine, "rows", 256), max(proposals, attempts))
        taught = people.teachers + people.self_play > 0
        return cls(members, proposals if taught else 0, attempts, rows,
                   rollout.propose_tokens, rollout.solve_tokens)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Budget:
    """Bytes by part, and what of them is alive at the worst moment."""

    parts: Mapping[str, float]
    learn_tokens: int
    recompute: bool
    copies: int
    """Of the base: this process's, and one for each worker."""

    @property
    def peak(self) -> float:
        """Sampling and learning take turns; all else stays."""
        turns = max(
            self.parts["keys and values"] + self.parts["drawing"], self.parts["activations"]
        )
        others = ("keys and values", "drawing", "activations")
        return turns + sum(size for name, size in self.parts.items() if name not in others)


def learning_memory(
    shapes: Shapes, width: int, device: torch.device, recompute: bool
) -> LearningMemory:
    """Return what a pass takes, as `measure_learning` would find; `width` is of the base's type."""
    token = shapes.saved * width
    if recompute:
        token = token / shapes.layers + shapes.layers * shapes.hidden * width
    rows = piece_rows(shapes.vocabulary, device)
    return LearningMemory(token, rows * shapes.vocabulary * (4 + 2 * width))


def base_bytes(shapes: Shapes, quantization: str, width: int) -> float:
    """Return the bytes of the base's weights.

    Quantised are the linear layers but the head: a byte a weight, or half a byte with 8 more bits
    for 64 weights (QLoRA, arXiv 2305.14314, section 3: 0.127 bits a weight beside the 4).
    """
    if quantization == "none":
        return float(shapes.parameters * width)
    linear = sum(outputs * inputs for outputs, inputs in shapes.linear[:-1])
    size = 1.0 if quantization == "8bit" else (4 + 0.127) / 8
    return linear * size + (shapes.parameters - linear) * width


def budget_of(config: Config, shapes: Shapes, device: torch.device, free: float) -> Budget:
    """Return the memory of a run on a device of which `free` bytes are to be had."""
    work, policy = Work.of(config), config.policy
    width = dtype_of(config, device).itemsize
    workers = worker_count(config, shapes, device)
    copies = 1 + (workers if workers > 1 else 0)
    held = min(config.population.slots or work.members, work.members)
    adapters = 4.0 * policy.rank * shapes.adapted * held
    longest = max(work.propose_tokens, work.solve_tokens)
    # Spare slots have gradients, as they lie in the same tensors, and no moments.
    spare = adapters / held * config.population.hall_of_fame.spare_slots
    base = copies * base_bytes(shapes, policy.quantization, width)
    blocked = 0.0
    if may_block(config, shapes, device):
        sizes = (outputs * inputs for outputs, inputs in shapes.linear)
        dtype = dtype_of(config, device)
        blocked = workers * width * sum(n for n in sizes if blockable(n, dtype, device))
    fixed = blocked + base + 4 * adapters + 2 * spare
    recompute = policy.gradient_checkpointing
    memory = learning_memory(shapes, width, device, recompute is True)
    if recompute == "auto":
        recompute = memory.token * (PROMPT + longest) + memory.fixed > 0.6 * (free - fixed)
        memory = learning_memory(shapes, width, device, recompute)
    tokens = policy.learn_tokens
    if tokens == "auto":
        tokens = fitting_tokens(memory, int(max(0.0, free - fixed)), device)
    total = PROMPT * work.proposals + work.proposals * work.propose_tokens
    total += PROMPT * work.proposals + work.attempts * work.solve_tokens
    pass_tokens = min(tokens, max(total, MIN_TOKENS))
    prompts = work.rows / max(1, work.attempts // max(1, work.proposals or work.attempts))
    kept = work.rows * longest + prompts * PROMPT
    parts = {
        "base": base,
        "second layout": blocked,
        "adapters": adapters + spare,
        "moments": 2 * adapters,
        "gradients": (adapters + spare) * copies,
        "keys and values": kept * shapes.layers * shapes.states * width,
        "drawing": float(work.rows * shapes.vocabulary * DRAW_BYTES),
        "activations": pass_tokens * memory.token + workers * memory.fixed,
        "processes": PROCESS["main"] + (PROCESS["worker"] * workers if workers > 1 else 0),
    }
    if device.type == "cuda":
        parts["processes"] = float(DRIVER)
    return Budget(parts, tokens, bool(recompute), copies)


def may_block(config: Config, shapes: Shapes, device: torch.device) -> bool:
    """Return whether the engine keeps weights that are `blockable` in a second layout."""
    policy = config.policy
    return (
        device.type == "cpu"
        and policy.quantization == "none"
        and (shapes.parameters <= SMALL or not isinstance(config.engine, Auto))
        and getattr(config.engine, "blocked", False)
    )


def dtype_of(config: Config, device: torch.device) -> torch.dtype:
    """Return the type of the base's weights."""
    return DTYPES[settle_dtype(config.policy, device).dtype]


def worker_count(config: Config, shapes: Shapes, device: torch.device) -> int:
    """Return how many processes write and learn; 1: this one alone."""
    if device.type != "cpu" or shapes.parameters > SMALL:
        return 1
    return getattr(config.engine, "workers", 0) or config.threads or os.cpu_count() or 1


def product_seconds(shapes: Shapes, rows: int, dtype: torch.dtype, blocked: bool) -> float:
    """Return the seconds of all products of one pass of `rows` tokens, measured by shape.

    `blocked`: products use the second layout where they gain by it.

    Raises:
        ConfigError: one of the layers does not fit the memory.
    """
    cpu = torch.device("cpu")
    total = 0.0
    for outputs, inputs in sorted(set(shapes.linear)):
        if outputs * inputs * dtype.itemsize > free_memory(cpu):
            raise ConfigError(
                f"policy.base: a layer of {outputs:,} x {inputs:,} weights does not fit this "
                "machine; take another base"
            )
        weight = torch.ones(outputs, inputs, dtype=dtype)
        x, seconds = torch.ones(rows, inputs, dtype=dtype), list[float]()
        second = blocked and gains(rows, dtype) and blockable(weight.numel(), dtype, cpu)
        other = block(weight) if second else weight
        while len(seconds) < REPEATS or sum(seconds) < REPEAT_SECONDS:
            begun = time.perf_counter()
            if second:
                blocked_product(x, other, None)
            else:
                functional.linear(x, weight)
            seconds.append(time.perf_counter() - begun)
        total += min(seconds) * shapes.linear.count((outputs, inputs))
    return total


def step_seconds(config: Config, shapes: Shapes) -> dict[str, float]:
    """Return the seconds of a step's phases on this machine's CPU, from its products alone.

    Texts end anywhere up to the longest, so on average half of the rows are left, and all are
    learnt from. Worker processes share the rows and have a thread each.
    """
    work = Work.of(config)
    device = torch.device("cpu")
    dtype, blocked = dtype_of(config, device), may_block(config, shapes, device)
    workers, threads = worker_count(config, shapes, device), torch.get_num_threads()

    def products(rows: int) -> float:
        torch.set_num_threads(1 if workers > 1 else threads)
        try:
            return product_seconds(shapes, -(-rows // workers), dtype, blocked)
        finally:
            torch.set_num_threads(threads)

    def writing(texts: int, tokens: int) -> float:
        if texts == 0:
            return 0.0
        rows = min(texts, work.rows)
        blocks = -(-texts // rows)
        steps = [products(max(1, int(rows * share))) for share in (1, 0.5, 0)]
        return blocks * tokens * sum(steps) / len(steps)

    batch = 256
    prompts = PROMPT * 2 * work.proposals
    prefill = products(batch) / batch
    tokens = work.proposals * work.propose_tokens + work.attempts * work.solve_tokens
    return {
        "propose": writing(work.proposals, work.propose_tokens) + prefill * prompts / 2,
        "solve": writing(work.attempts, work.solve_tokens) + prefill * prompts / 2,
        "learn": 2 * prefill * (prompts + tokens / 2),
    }


def advice(budget: Budget, free: float, config: Config, device: torch.device) -> list[str]:
    """Return what to change so that a run fits; nothing if it does."""
    if budget.peak <= free:
        return []
    parts, hints = budget.parts, []
    if parts["keys and values"] + parts["drawing"] > 0.2 * free:
        hints.append(f"engine.rows = {max(MIN_ROWS, Work.of(config).rows // 4)}")
    if parts["activations"] > 0.2 * free and not budget.recompute:
        hints.append("policy.gradient_checkpointing = true")
    if dtype_of(config, device) is torch.float32 and multiplies_bfloat16(device):
        hints.append('policy.dtype = "bfloat16"')
    if parts["second layout"] > 0:
        hints.append("engine.blocked = false")
    if parts["base"] > 0.4 * free and budget.copies > 1:
        hints.append("engine.workers = 1")
    if parts["base"] > 0.5 * free and config.policy.quantization == "none":
        hints.append('policy.quantization = "4bit"')
    if parts["adapters"] + parts["moments"] + parts["gradients"] > 0.2 * free:
        hints.append(f"policy.rank = {max(1, config.policy.rank // 2)}, or fewer members")
    if parts["base"] > 0.9 * free:
        hints.append("a smaller base")
    return hints or ["a machine with more memory"]


def base_shapes(config: Config) -> Shapes:
    """Return the shapes of a run's base; of a hub id, config.json alone is downloaded.

    Raises:
        ConfigError: there is no such base.
    """
    source, file = files_of(resolve_base(config.policy.base))
    where = f"policy.base = {config.policy.base!r}"
    try:
        library = AutoConfig.from_pretrained(source, **place_options(config.policy), **file)
    except Exception as error:  # the library's, of any kind
        raise not_loaded(where, error) from error
    return shapes_of(library, config.policy.targets)


def print_plan(config: Config, console: Console) -> None:
    """Print memory by part here and on a 24 GB card, and the seconds of a step."""
    shapes, here = base_shapes(config), torch.device("cpu")
    if config.policy.device != "cpu" and torch.cuda.is_available():
        here = torch.device("cuda")
    card = torch.device("cuda")
    hundred = config.model_copy(
        update={
            "population": config.population.model_copy(
                update={"teachers": 50, "students": 50, "self_play": 0}
            )
        }
    )
    llama = shapes_of(LLAMA_3_8B, config.policy.targets)
    columns = {
        "this machine": (config, shapes, here, float(free_memory(here))),
        "24 GB card": (config, shapes, card, float(CARD)),
        "Llama 3 8B, 100 adapters, 24 GB card": (hundred, llama, card, float(CARD)),
    }
    budgets = {name: budget_of(*column) for name, column in columns.items()}
    table = Table(
        title=f"{escape(config.policy.base)}: {shapes.parameters / 1e6:,.0f} M parameters"
    )
    table.add_column("GiB")
    for name in columns:
        table.add_column(name, justify="right")
    for part in next(iter(budgets.values())).parts:
        table.add_row(part, *(f"{budget.parts[part] / GIB:.2f}" for budget in budgets.values()))
    table.add_section()
    table.add_row("peak", *(f"{budget.peak / GIB:.2f}" for budget in budgets.values()))
    table.add_row("free", *(f"{free / GIB:.2f}" for *_, free in columns.values()))
    table.add_row("learn_tokens", *(f"{budget.learn_tokens:,}" for budget in budgets.values()))
    console.print(table)
    for name, (run, _, device, free) in columns.items():
        hints = advice(budgets[name], free, run, device)
        console.print(f"{name}: " + (f"does not fit; try {', '.join(hints)}" if hints else "fits"))
    if here.type == "cpu":
        seconds = step_seconds(config, shapes)
        phases = ", ".join(f"{name} {duration(value)}" for name, value in seconds.items())
        console.print(f"A step here: about {duration(sum(seconds.values()))} ({phases})")
