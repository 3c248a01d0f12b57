"""The seedling's corpus: documents of both roles for all task kinds, with execution traces.

A document is a prompt of the compact style and the completion that a perfect player would write.
The reasoning of a `code_o` answer is the run itself, one step a line (`c = 3 + 2 = 5`); that of a
`code_i` answer is the run backwards (`5 = b + 2`), which ends at the input.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from redqueen.environments.code.generator import generate_program, more_inputs
from redqueen.environments.code.language import GenerationError
from redqueen.environments.code.program import Event, Program, execute
from redqueen.environments.code.styles import ANSWER, COMPACT, INPUT, MESSAGE


@dataclass(frozen=True, slots=True)
class Mix:
    """What a stage of training shows: shares of the kinds, and of answers without a trace."""

    kinds: Mapping[str, float]
    haste: Mapping[int, float] | None = None
    """By band, for `code_o` and `code_i`; None: every answer is worked out."""


_LATE = {"solve_o": 0.36, "solve_i": 0.26, "solve_f": 0.14, "propose": 0.18, "propose_f": 0.06}
MIXES = {
    "learn": Mix(
        {"solve_o": 0.46, "solve_i": 0.20, "solve_f": 0.12, "propose": 0.16, "propose_f": 0.06}
    ),
    "anneal": Mix(_LATE, {1: 0.25, 2: 0.35, 3: 0.45, 4: 0.60, 5: 0.70}),
    "finish": Mix(_LATE, {1: 0.25, 2: 0.35, 3: 0.50, 4: 0.70, 5: 0.80}),
}
"""Execution is learnt first; then, while the learning rate goes down, more of the rest.

Text by people often has the answer without the work, the more so the longer the work is. The late
mixes teach both habits; that the work pays is left for reinforcement learning to find.
"""
BANDS = {1: 0.30, 2: 0.27, 3: 0.23, 4: 0.13, 5: 0.07}
INPUTS = 6


@dataclass(frozen=True, slots=True)
class Document:
    """One training example; the loss of the prompt is weighted down."""

    kind: str
    band: int
    prompt: str
    completion: str


def arguments(args: Sequence[Any]) -> str:
    """The arguments of a call as text."""
    return ", ".join(map(repr, args))


def forward_trace(events: Sequence[Event]) -> str:
    """The run, one line a step, names replaced by values."""
    lines = []
    for event in events:
        if event.kind == "assign":
            value = repr(event.value)
            known = event.shown == value
            lines.append(f"{event.target} = {event.shown}" + ("" if known else f" = {value}"))
        elif event.kind == "for":
            lines.append(f"for {event.target} in {event.shown}")
        else:
            lines.append(f"{event.kind} {event.shown} = {event.value}")
    return "".join(f"{line}\n" for line in lines)


def backward_trace(program: Program, events: Sequence[Event]) -> str:
    """The assignments that the result needs, from the last to the first: value, what made it."""
    needed = {program.result}
    lines = []
    for event in reversed(events):
        if event.target in needed:
            needed.update(re.findall(r"\b[a-z]\b", event.source))
            if event.kind == "assign":
                lines.append(f"{event.value!r} = {event.source}\n")
    return "".join(lines)


def _propose(rng: Random, band: int) -> Document:
    references = [generate_program(band, rng) for _ in range(rng.choice((0, 0, 1, 2, 2)))]
    program, args = generate_program(band, rng)
    shown = [(item.source, arguments(given)) for item, given in references]
    prompt = COMPACT.propose(rng.choice(("code_o", "code_i")), shown)
    return Document("propose", band, prompt, f"{program.source}{INPUT}{arguments(args)}")


def blurred_message(program: Program, rng: Random) -> str:
    """The operations' names, some left out: a hint, not the solution."""
    kept = [name for name in program.operations if rng.random() < 0.85]
    return ", ".join(kept) if kept and rng.random() < 0.9 else "none"


def _with_inputs(rng: Random, band: int) -> tuple[Program, list[tuple[str, str]]]:
    while True:
        program, _ = generate_program(band, rng)
        try:
            pairs = more_inputs(program, INPUTS, rng)
        except GenerationError:
            continue
        return program, [(arguments(args), repr(value)) for args, value in pairs]


def make_document(kind: str, band: int, rng: Random, haste: float = 0.0) -> Document:
    """Draw one document of a kind and band; `haste` is the chance that its trace is left out."""
    if kind == "propose":
        return _propose(rng, band)
    if kind in ("solve_f", "propose_f"):
        program, pairs = _with_inputs(rng, band)
        message = blurred_message(program, rng)
        if kind == "solve_f":
            prompt = COMPACT.solve_f(message, pairs[: INPUTS // 2])
            return Document(kind, band, prompt, f"{ANSWER}{program.source}")
        inputs = "\n".join(args for args, _ in pairs)
        prompt = COMPACT.propose_f(program.source, INPUTS)
        return Document(kind, band, prompt, f"{MESSAGE}{message}{INPUT}{inputs}")
    program, args = generate_program(band, rng)
    value, events = execute(program, args)
    if haste and rng.random() < haste:
        events = []
    if kind == "solve_o":
        prompt = COMPACT.solve_o(program.source, arguments(args))
        return Document(kind, band, prompt, f"{forward_trace(events)}{ANSWER}{value!r}")
    prompt = COMPACT.solve_i(program.source, repr(value))
    return Document(
        kind, band, prompt, f"{backward_trace(program, events)}{ANSWER}{arguments(args)}"
    )


def documents(seed: int, mix: Mix = MIXES["learn"]) -> Iterator[Document]:
    """An endless stream of documents of a mix. `code_f` keeps to the bands 1 to 3."""
    rng = Random(seed)
    while True:
        kind = rng.choices(list(mix.kinds), list(mix.kinds.values()))[0]
        band = rng.choices(list(BANDS), list(BANDS.values()))[0]
        if kind in ("solve_f", "propose_f"):
            band = 1 + (band - 1) % 3
        yield make_document(kind, band, rng, mix.haste[band] if mix.haste else 0.0)
