"""The `traced` style: what the embedded base reads and writes. Programs are shown with numbered
lines, and solutions are worked runs (`redqueen.environments.code.traced.trace`) before the answer.

- `code_o`: the run of the program, then the output.
- `code_i`: the run on an input that is tried; if it ends elsewhere, another one; then the input.
- `code_f`: a program as a listing and its run on the first example; if it ends elsewhere, another
  one; then the program.
"""

from collections.abc import Sequence

from redqueen.environments.code.styles import PROGRAM_FORMAT, Pair, Style

THINK, ANSWER = "\n<think>", "\n<answer>\n"
INPUT, OUTPUT, MESSAGE, EXAMPLES, TASK = (
    "\n<input>\n", "\n<output>\n", "\n<message>\n", "\n<examples>\n", "\n<task>\n",
)  # fmt: skip


def listing(program: str) -> str:
    """The program with a number before each line that is not blank, each on a line of its own."""
    lines = (line for line in program.split("\n") if line.strip())
    return "".join(f"\n#{label} {line}" for label, line in enumerate(lines, 1))


def _propose(kind: str, references: Sequence[Pair]) -> str:
    shown = "".join(f"{TASK}{program}{INPUT}{args}" for program, args in references)
    return f"<propose_{kind[-1]}>{shown}{ANSWER}"


def _propose_f(program: str, inputs: int) -> str:
    return f"<propose_f>{TASK}{program}{ANSWER}"


def _solve_o(program: str, args: str) -> str:
    return f"<code_o>{listing(program)}{INPUT}{args}{THINK}"


def _solve_i(program: str, output: str) -> str:
    return f"<code_i>{listing(program)}{OUTPUT}{output}{THINK}"


def _solve_f(message: str, examples: Sequence[Pair]) -> str:
    lines = "\n".join(f"{args} -> {output}" for args, output in examples)
    return f"<code_f>{MESSAGE}{message}{EXAMPLES}{lines}{THINK}"


def _read_program_and_input(text: str) -> Pair | None:
    program, mark, args = text.partition(INPUT)
    return (program, args.strip()) if mark and INPUT not in args else None


def _read_inputs_and_message(text: str) -> tuple[list[str], str] | None:
    message, mark, rest = text.partition(INPUT)
    if not mark:
        return None
    return [line for line in rest.split("\n") if line.strip()], message.strip()


def _read_answer(kind: str, text: str) -> str | None:
    _, mark, answer = text.rpartition(ANSWER)
    return answer.strip("\n") if mark and answer.strip() else None


TRACED = Style(
    propose=_propose,
    propose_f=_propose_f,
    solve_o=_solve_o,
    solve_i=_solve_i,
    solve_f=_solve_f,
    read_program_and_input=_read_program_and_input,
    read_inputs_and_message=_read_inputs_and_message,
    read_answer=_read_answer,
    proposal_format=(INPUT, *PROGRAM_FORMAT),
    openings=dict.fromkeys(("code_o", "code_i", "code_f"), (ANSWER,)),
)
