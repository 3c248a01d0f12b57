"""Styles: how tasks are put into words. `compact` is what the seedling speaks.

A style writes the prompts of both roles and cuts a completion into its named parts. Cutting never
raises; it returns None if a part is missing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from redqueen.types import Messages

THINK, ANSWER = "<think>\n", "<answer>\n"
INPUT, OUTPUT, MESSAGE, EXAMPLES, TASK = (
    "\n<input>\n", "\n<output>\n", "<message>\n", "\n<examples>\n", "<task>\n",
)  # fmt: skip

Pair = tuple[str, str]
"""A program with the text of one input."""


def no_turns(task: str, inputs: int) -> Messages:
    """Return no worked example."""
    return ()


@dataclass(frozen=True, slots=True)
class Style:
    """The prompts and parsers of one way of speaking. All texts in, all texts out."""

    propose: Callable[[str, Sequence[Pair]], str]
    """(kind, reference programs with inputs) -> prompt for a code_o or code_i task."""
    propose_f: Callable[[str, int], str]
    """(program, number of inputs) -> prompt for a code_f task."""
    solve_o: Callable[[str, str], str]
    """(program, input) -> prompt for its output."""
    solve_i: Callable[[str, str], str]
    """(program, output) -> prompt for an input."""
    solve_f: Callable[[str, Sequence[Pair]], str]
    """(message, pairs of input and output) -> prompt for the program."""
    write_program_and_input: Callable[[str, str], str]
    """(program, input) -> a proposal; `read_program_and_input` reads it."""
    read_program_and_input: Callable[[str], Pair | None]
    read_inputs_and_message: Callable[[str], tuple[list[str], str] | None]
    read_answer: Callable[[str, str], str | None]
    """(kind, text) -> the answer in it."""
    earlier_turns: Callable[[str, int], Messages] = no_turns
    """(`propose_o`, `solve_f` …, number of inputs) -> a worked example before the prompt."""
    proposal_format: tuple[str, ...] = ()
    """Texts that proposals cannot do without, for vocabulary dropout."""
    worked: Mapping[str, Sequence[Pair]] = field(default_factory=dict)
    """Kind -> prompts with model answers, for the elicited base."""
    openings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Kind -> texts that open an answer which is not worked out, for the elicited base."""


PROGRAM_FORMAT = ("def f(a, b):\n    return a\n", "\n        ", ", ", "(", ")")
"""What no program can do without."""


def tagged(
    show: Callable[[str], str],
    *,
    program_tag: str,
    think: str,
    answer: str,
    read_inputs_and_message: Callable[[str], tuple[list[str], str] | None],
    **more: Any,
) -> Style:
    """Return a style whose texts are parts after tags, each on a line of its own.

    `show` puts a program into a solver's prompt, `program_tag` stands before one of which a
    `code_f` task is asked; solutions begin after `think`, and their answers after `answer`.
    """

    def propose(kind: str, references: Sequence[Pair]) -> str:
        shown = "".join(f"\n{TASK}{program}{INPUT}{args}" for program, args in references)
        return f"<propose_{kind[-1]}>{shown}\n<answer>\n"

    def propose_f(program: str, inputs: int) -> str:
        return f"<propose_f>\n{program_tag}{program}\n<answer>\n"

    def solve_o(program: str, args: str) -> str:
        return f"<code_o>{show(program)}{INPUT}{args}{think}"

    def solve_i(program: str, output: str) -> str:
        return f"<code_i>{show(program)}{OUTPUT}{output}{think}"

    def solve_f(message: str, examples: Sequence[Pair]) -> str:
        lines = "\n".join(f"{args} -> {output}" for args, output in examples)
        return f"<code_f>\n{MESSAGE}{message}{EXAMPLES}{lines}{think}"

    def write_program_and_input(program: str, args: str) -> str:
        return f"{program}{INPUT}{args}"

    def read_program_and_input(text: str) -> Pair | None:
        program, mark, args = text.partition(INPUT)
        return (program, args.strip()) if mark and INPUT not in args else None

    def read_answer(kind: str, text: str) -> str | None:
        _, mark, last = text.rpartition(answer)
        return last.strip("\n") if mark and last.strip() else None

    return Style(
        propose=propose,
        propose_f=propose_f,
        solve_o=solve_o,
        solve_i=solve_i,
        solve_f=solve_f,
        write_program_and_input=write_program_and_input,
        read_program_and_input=read_program_and_input,
        read_inputs_and_message=read_inputs_and_message,
        read_answer=read_answer,
        **more,
    )


def split_inputs(text: str) -> tuple[list[str], str] | None:
    """Return the inputs, a line each after the first tag, and what is before it."""
    head, mark, rest = text.partition(INPUT)
    return ([line for line in rest.split("\n") if line.strip()], head.strip()) if mark else None


def _compact_inputs_and_message(text: str) -> tuple[list[str], str] | None:
    if not text.partition(INPUT)[0].startswith(MESSAGE):
        return None
    return split_inputs(text.removeprefix(MESSAGE))


COMPACT = tagged(
    lambda program: f"\n{program}",
    program_tag="",
    think=f"\n{THINK}",
    answer=ANSWER,
    read_inputs_and_message=_compact_inputs_and_message,
    proposal_format=(INPUT, MESSAGE, *PROGRAM_FORMAT),
    openings={"code_o": (ANSWER,), "code_i": (ANSWER,)},
)
