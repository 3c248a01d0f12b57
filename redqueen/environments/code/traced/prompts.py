"""The `traced` style: what the embedded base reads and writes. Programs are shown with numbered
lines, and solutions are worked runs (`redqueen.environments.code.traced.trace`) before the answer.

- `code_o`: the run of the program, then the output.
- `code_i`: the run on an input that is tried; if it ends elsewhere, another one; then the input.
- `code_f`: a program as a listing and its run on the first example; if it ends elsewhere, another
  one; then the program.
"""

from redqueen.environments.code.styles import INPUT, PROGRAM_FORMAT, TASK, split_inputs, tagged

THINK, ANSWER = "\n<think>", "\n<answer>\n"


def listing(program: str) -> str:
    """The program with a number before each line that is not blank, each on a line of its own."""
    lines = (line for line in program.split("\n") if line.strip())
    return "".join(f"\n#{label} {line}" for label, line in enumerate(lines, 1))


TRACED = tagged(
    listing,
    program_tag=TASK,
    think=THINK,
    answer=ANSWER,
    read_inputs_and_message=split_inputs,
    proposal_format=(INPUT, *PROGRAM_FORMAT),
    openings=dict.fromkeys(("code_o", "code_i", "code_f"), (ANSWER,)),
)
