"""The second seedling's corpus: documents of both roles for all task kinds, always worked out.

A document is a prompt of the `traced` style and what a careful player writes. Runs are worked
forwards in every kind: `code_i` tries inputs and `code_f` tries programs until one fits. A first
try that does not fit is shown now and then, but its choice is not learnt (weight 0): only what
follows from it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from redqueen.environments.code.styles import INPUT
from redqueen.environments.code.traced import GenerationError, Program, draw_program, more_inputs
from redqueen.environments.code.traced.cases import arguments
from redqueen.environments.code.traced.messages import blurred_message
from redqueen.environments.code.traced.programs import copied
from redqueen.environments.code.traced.prompts import ANSWER, THINK, TRACED, listing
from redqueen.environments.code.traced.trace import trace_call
from redqueen.environments.code.traced.trace_lines import TraceError
from redqueen.environments.code.traced.values import random_value

KINDS = {"solve_o": 0.50, "solve_i": 0.22, "solve_f": 0.08, "propose": 0.14, "propose_f": 0.06}
BANDS = {1: 0.36, 2: 0.33, 3: 0.20, 4: 0.08, 5: 0.03}
"""Many short programs, few long ones: what is longer is left for self-play to reach."""
SHORT_BANDS = {1: 0.6, 2: 0.4}
"""`code_f`: programs that can be found from examples."""
INPUTS = 6
REFERENCES = 64
"""Programs that are kept to be shown as references in prompts for proposals."""
AGAIN = 0.5
"""Share of documents on a program that was used before."""
WRONG_TRIES = (0, 0, 0, 1, 1, 2)

Piece = tuple[str, float]
"""A part of a completion and the weight of its loss."""


@dataclass(frozen=True, slots=True)
class Document:
    """One training example: a prompt, and a completion in weighted pieces."""

    kind: str
    band: int
    prompt: str
    pieces: tuple[Piece, ...]

    @property
    def completion(self) -> str:
        """The completion as one text."""
        return "".join(text for text, _ in self.pieces)


def solve_o(program: Program, rng: Random) -> Document:
    """The run, then the output."""
    prompt = TRACED.solve_o(program.source, arguments(program.args))
    text = f"{program.trace.text}{ANSWER}{program.trace.value!r}"
    return Document("solve_o", program.band, prompt, ((text, 1.0),))


def near_miss(args: Sequence[Any], types: Sequence[str], rng: Random) -> list[Any]:
    """Arguments with one of them changed: a number by a little, anything else anew."""
    changed = copied(args)
    place = rng.randrange(len(changed))
    value = changed[place]
    match types[place]:
        case "int":
            changed[place] = value + rng.choice((-3, -2, -1, 1, 2, 3, 10, -10))
        case "ints" if value:
            value[rng.randrange(len(value))] += rng.choice((-2, -1, 1, 2))
        case "str" | "ints" | "strs" if value and rng.random() < 0.5:
            cut = rng.randrange(len(value))
            changed[place] = value[:cut] + value[cut + 1 :]
        case kind:
            changed[place] = random_value(kind, rng)
    return changed


def solve_i(program: Program, rng: Random) -> Document:
    """Inputs that are tried, each with its run, up to one with the output that is asked for."""
    pieces: list[Piece] = []
    for _ in range(rng.choice(WRONG_TRIES) if program.band < 4 else 0):
        if rng.random() < 0.5:
            args = near_miss(program.args, program.types, rng)
        else:
            args = [random_value(kind, rng) for kind in program.types]
        try:
            trace = trace_call(program.source, copied(args), len(program.trace.lines) + 6)
        except TraceError:
            continue
        if trace.value != program.trace.value and len(trace.text) < 400:
            first, _, rest = trace.text[1:].partition("\n")
            pieces += [(f"\n{first}", 0.0), (f"\n{rest}", 1.0)]
    pieces.append((f"{program.trace.text}{ANSWER}{arguments(program.args)}", 1.0))
    prompt = TRACED.solve_i(program.source, repr(program.trace.value))
    return Document("solve_i", program.band, prompt, tuple(pieces))


def solve_f(program: Program, rng: Random, other: Program | None) -> Document:
    """Programs that are tried on the first example, up to one that gives its output."""
    runs = more_inputs(program, INPUTS, rng)
    shown = [(arguments(args), repr(value)) for args, value in runs[: INPUTS // 2]]
    prompt = TRACED.solve_f(blurred_message(program.source, rng), shown)
    pieces: list[Piece] = []
    if other is not None and other.types == program.types:
        try:
            trace = trace_call(other.source, copied(program.args), 12)
        except TraceError:
            trace = None
        if trace is not None and trace.value != program.trace.value and len(trace.text) < 250:
            pieces.append((listing(other.source), 0.0))
            pieces.append((f"{INPUT}{shown[0][0]}{THINK}{trace.text}", 1.0))
    pieces.append((listing(program.source), 1.0))
    run = f"{INPUT}{shown[0][0]}{THINK}{program.trace.text}{ANSWER}{program.source}"
    pieces.append((run, 1.0))
    return Document("solve_f", program.band, prompt, tuple(pieces))


def propose(program: Program, rng: Random, references: Sequence[Program]) -> Document:
    """A program with an input."""
    shown = [(item.source, arguments(item.args)) for item in references]
    prompt = TRACED.propose(rng.choice(("code_o", "code_i")), shown)
    text = f"{program.source}{INPUT}{arguments(program.args)}"
    return Document("propose", program.band, prompt, ((text, 1.0),))


def propose_f(program: Program, rng: Random) -> Document:
    """The operations of a given program as a message, and inputs for it."""
    inputs = "\n".join(arguments(args) for args, _ in more_inputs(program, INPUTS, rng))
    prompt = TRACED.propose_f(program.source, INPUTS)
    text = f"{blurred_message(program.source, rng)}{INPUT}{inputs}"
    return Document("propose_f", program.band, prompt, ((text, 1.0),))


@dataclass(slots=True)
class Corpus:
    """Draws documents; keeps the latest programs of each band as references and wrong tries."""

    rng: Random
    latest: dict[int, list[Program]] = field(default_factory=dict)

    def program(self, band: int) -> Program:
        """A new program of a band, or one of the latest with another input, which costs less."""
        shelf = self.latest.setdefault(band, [])
        if len(shelf) >= 8 and self.rng.random() < AGAIN:
            program = shelf.pop(self.rng.randrange(len(shelf)))
            args, _ = more_inputs(program, 2, self.rng)[1]
            trace = trace_call(program.source, copied(args))
            if len(trace.text) <= 1.3 * len(program.trace.text):
                program = replace(program, args=args, trace=trace)
        else:
            program = draw_program(band, self.rng)
        shelf.append(program)
        del shelf[:-REFERENCES]
        return program

    def document(self) -> Document:
        """One document.

        Raises:
            GenerationError: too few inputs for a `code_f` document.
        """
        rng = self.rng
        kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
        bands = SHORT_BANDS if kind in ("solve_f", "propose_f") else BANDS
        band = rng.choices(list(bands), list(bands.values()))[0]
        program = self.program(band)
        shelf = self.latest[band][:-1]
        match kind:
            case "solve_o":
                return solve_o(program, rng)
            case "solve_i":
                return solve_i(program, rng)
            case "solve_f":
                alike = [item for item in shelf if item.types == program.types]
                other = rng.choice(alike) if alike and rng.random() < 0.3 else None
                return solve_f(program, rng, other)
            case "propose":
                count = min(len(shelf), rng.choice((0, 1, 2, 2)))
                return propose(program, rng, rng.sample(shelf, count))
        return propose_f(program, rng)


def documents(seed: int) -> Iterator[Document]:
    """An endless stream of documents."""
    corpus = Corpus(Random(seed))
    while True:
        try:
            yield corpus.document()
        except GenerationError:
            continue
