"""Replies of chat models cut into their parts: programs, inputs, answers.

Models are asked for one form and write others: a call instead of its arguments, an assertion, a
sentence that ends in the value, a fence around it, no tags. A form is read where it is unambiguous.
Cutting never raises; it returns None if a part is missing.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from redqueen.environments.code.reading import read_arguments, read_value
from redqueen.sandbox import parse_module

OPEN, CLOSE = "<answer>", "</answer>"
_FENCE = re.compile(r"([ \t]*)(`{3,}|~{3,})[ \t]*([\w+-]*)[ \t]*")
_SPAN = re.compile(r"`+([^`\n]+)`+|(?<![\w*])\*\*([^*\n]+)\*\*(?![\w*])")
_STATED = re.compile(
    r"(?:\b(?:is|are|be|returns?|returned|outputs?|input|answer|result|value|equals?|get)\b|[:=→]|->|=>)"
    r"(?![=>])[ \t:]*"
)
_LABEL = re.compile(r"^[#*\s]*message[*\s]*:[*\s]*(.+)$", re.IGNORECASE | re.MULTILINE)
_LINES = 3
"""Lines at the end of a reply in which an answer without tags is looked for."""
_ENDS = 8
"""Places that are tried as the end of a block or a call."""
_FAILURES = (SyntaxError, ValueError, MemoryError, RecursionError)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block and the line after it."""

    language: str
    text: str
    end: int


def plain_lines(text: str) -> str:
    """Return a text with `\\n` for the line ends of other systems."""
    return text.replace("\r\n", "\n")


def blocks_of(text: str) -> list[Block]:
    """Return the fenced blocks of a text. The last may be left open; a fence inside a Python text
    does not end it."""
    lines, blocks, line = text.split("\n"), [], 0
    while line < len(lines):
        opened = _FENCE.fullmatch(lines[line])
        line += 1
        if opened is None:
            continue
        indent, fence, language = opened.groups()
        ends = [n for n in range(line, len(lines)) if lines[n].rstrip() == indent + fence][:_ENDS]
        bodies = [_body(lines[line:end], indent) for end in [*ends, len(lines)]]
        whole = next((n for n, body in enumerate(bodies) if "def " in body and _parses(body)), 0)
        line = [*ends, len(lines)][whole] + 1
        blocks.append(Block(language.lower(), bodies[whole], line))
    return blocks


def _body(lines: list[str], indent: str) -> str:
    return "\n".join(line.removeprefix(indent) for line in lines)


def _parses(text: str) -> bool:
    try:
        parse_module(text)
    except _FAILURES:
        return False
    return True


# ── proposals ───────────────────────────────────────────────────────────────────────────────────


def read_program_and_input(text: str) -> tuple[str, str] | None:
    """Return the program and the input of a proposal: the last program, and the last ```input block
    or call of `f`, in its block or after it."""
    text = plain_lines(text)
    blocks = blocks_of(text)
    programs = [block for block in blocks if re.search(r"^def ", block.text, re.MULTILINE)]
    if not programs:
        return None
    program = next((block for block in reversed(programs) if _defines(block.text)), programs[-1])
    inputs = [block.text.strip() for block in blocks if block.language == "input"]
    if not inputs:
        after = "\n".join(text.split("\n")[program.end :])
        inputs = [*calls_in(program.text), *calls_in_prose(after)]
    return (program.text, inputs[-1]) if inputs else None


def read_inputs_and_message(text: str) -> tuple[list[str], str] | None:
    """Return the inputs and the message of a code_f proposal: ```input blocks or calls of `f`, and
    a ```message block or a line that begins with `Message:`."""
    text = plain_lines(text)
    blocks = blocks_of(text)
    messages = [block.text for block in blocks if block.language == "message"]
    messages = messages or _LABEL.findall(text)
    inputs = [block.text.strip() for block in blocks if block.language == "input"]
    inputs = inputs or [call for block in blocks for call in calls_in(block.text)]
    inputs = inputs or list(calls_in_prose(text))
    return (inputs, messages[-1].strip()) if inputs and messages else None


def calls_in(program: str) -> list[str]:
    """Return the calls of `f` with readable arguments in a module, outside of its functions."""
    try:
        body = parse_module(program).body
    except _FAILURES:
        return []
    calls = []
    for statement in body:
        if not isinstance(statement, ast.FunctionDef | ast.ClassDef):
            for node in ast.walk(statement):
                if isinstance(node, ast.Call):
                    call = ast.unparse(node)
                    if call.startswith("f(") and read_arguments(call) is not None:
                        calls.append(call)
    return calls


def calls_in_prose(text: str) -> Iterator[str]:
    """Yield the calls of `f` with readable arguments that a text mentions, each on one line."""
    for line in text.split("\n"):
        place = 0
        while match := re.compile(r"\bf\(").search(line, place):
            place = match.end()
            for end in [m.end() for m in re.finditer(r"\)", line) if m.start() >= place][:_ENDS]:
                if read_arguments(line[match.start() : end]) is not None:
                    yield line[match.start() : end]
                    place = end
                    break


# ── answers ─────────────────────────────────────────────────────────────────────────────────────


def read_answer(kind: str, text: str) -> str | None:
    """Return the answer of a reply: what the last readable pair of tags holds; without tags, what
    the reply ends with."""
    text = plain_lines(text)
    parts = [part.partition(CLOSE) for part in text.split(OPEN)[1:]]
    # Pairs before a tag that was left open, and in each of the two the last word first.
    tagged = [inside for inside, close, _ in reversed(parts) if close]
    tagged += [inside for inside, close, _ in parts[-1:] if not close]
    if kind == "code_f":
        return next(filter(None, map(_program, [*tagged, text])), None)
    readable = (_readable(kind, part) for part in tagged)
    answer = next((item for item in readable if item is not None), None)
    filled = [part.strip() for part in tagged if part.strip()]
    if answer is None:
        return filled[0] if filled else _ending(kind, text)
    return answer


def _program(text: str) -> str | None:
    programs = [block.text for block in blocks_of(text) if _defines(block.text)]
    if programs:
        return programs[-1].strip("\n")
    return text.strip("\n") if _defines(text) and "```" not in text else None


def _defines(text: str) -> bool:
    return re.search(r"^(?:def f\(|f *=|class f\b|async def f\()", text, re.MULTILINE) is not None


def _reads(kind: str, text: str) -> bool:
    return read_value(text)[0] if kind == "code_o" else read_arguments(text) is not None


def _readable(kind: str, text: str) -> str | None:
    """Return what is read of a text between tags: itself, without a fence, or what it states."""
    text = text.strip()
    if _reads(kind, text):
        return text
    blocks = blocks_of(text)
    if blocks and _reads(kind, blocks[-1].text):
        return blocks[-1].text.strip()
    return _stated(kind, text) if "\n" not in text else None


def _ending(kind: str, text: str) -> str | None:
    """Return the answer that a reply without tags ends with: a fenced one, or one that the last
    lines state."""
    blocks = blocks_of(text)
    lines = [line for line in text.split("\n") if line.strip()]
    if blocks and not "".join(text.split("\n")[blocks[-1].end :]).strip():
        return blocks[-1].text.strip() if _reads(kind, blocks[-1].text) else None
    stated = (_stated(kind, line) for line in reversed(lines[-_LINES:]))
    return next((item for item in stated if item is not None), None)


def _stated(kind: str, line: str) -> str | None:
    """Return the answer that a line states: the call or code span in it, or what follows `is`, `:`
    and the like up to its end."""
    if kind == "code_i" and (calls := list(calls_in_prose(line))):
        return calls[-1]
    spans: list[str] = [one or two for one, two in _SPAN.findall(line)]
    if readable := [span.strip() for span in spans if _reads(kind, span)]:
        return readable[-1]
    if line.strip()[:1] in "[({'\"-0123456789TFN" and _reads(kind, line):
        return line.strip()
    for match in _STATED.finditer(line):
        rest = line[match.end() :].strip().strip("*`").strip().rstrip(".").strip("*` ")
        if rest and _reads(kind, rest):
            return rest
    return None
