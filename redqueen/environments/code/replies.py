"""Replies of chat models cut into their parts: programs, inputs, answers.

Models are asked for one form and write others: a call instead of its arguments, an assertion, a
sentence that ends in the value, a fence around it, no tags. A form is read where it is unambiguous.
Cutting never raises; it returns None if a part is missing.
"""

import ast
import copy
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from redqueen.environments import thoughts
from redqueen.environments.code.names import bound_at_top, lacking
from redqueen.environments.code.reading import assigned, read_arguments
from redqueen.environments.code.stated import calls_in_prose, stated, unwrapped, with_comment
from redqueen.sandbox import parse_module

_OPEN = re.compile(r"(?:<|&lt;)\s*answer\s*(?:>|&gt;)|(?-i:\[ANSWER\])", re.IGNORECASE)
_CLOSE = re.compile(
    r"(?:<|&lt;)\s*(?:[/\\]\s*answer\s*(?:>|&gt;|$)|answer\s*/\s*>)|(?-i:\[/ANSWER\])",
    re.IGNORECASE,
)
_THINKS = re.compile(r"<think(?:ing)?>")
_DEFINES = re.compile(
    r"^(?:(?:async +)?def +f *\(|f *=(?!=)|f *:[^=\n]+=(?!=)|class f\b)", re.MULTILINE
)
_CODE = re.compile(r"(?:from|import|def|class) |f *=|@")
_FENCE = re.compile(
    r"([ \t]*(?:(?:[-*+]|\d+[.)])[ \t]+)?)(`{3,}|~{3,})[ \t]*\{?([\w+-]*)\}?"
    r"[ \t]*(?:[\w.-]+=[^`\n]*|\{[^`\n]*\}|[\w./-]+\.py[ \t]*)?"
)
"""A fence, its language, and attributes: `title="f.py"`, `{.numberLines}`, a file's name."""
_PROMPT = re.compile(r"(?:>>>|\.\.\.) ?")
_LABEL = re.compile(
    r"^(?:[-*+#>`* \t]|\d[.)])*+(?:the )?message[*`\s]*+:[*`\s]*+(.+)$"
    r"|^#+[ \t]*(?:the )?message[ \t]*\n+([^`#\n].*)$",
    re.IGNORECASE | re.MULTILINE,
)
_INPUT = re.compile(r"[#*\s]*inputs?[*\s]*:(.*)|#+\s*inputs?\s*()", re.IGNORECASE)
_LINES = 3
"""Lines at the end of a reply in which an answer without tags is looked for."""
_TAGS = _LABELS = 16
"""Tags and labels at the end of a reply that are looked at."""
_ENDS = 8
"""Places that are tried as the end of a block."""
_BLANK = " \t\r\n\u200b\ufeff\u2060\xa0"
_FAILURES = (SyntaxError, ValueError, MemoryError, RecursionError)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block and the line after it."""

    language: str
    text: str
    end: int


def spoken(text: str) -> str:
    """Return a reply without what was thought before, with `\\n` for other systems' line ends."""
    return thoughts.spoken(text.replace("\r\n", "\n"))


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
        closing = (n for n in range(line, len(lines)) if lines[n].strip() == fence)
        ends = [*islice(closing, _ENDS), len(lines)]
        body = _body(lines[line : ends[0]], indent)
        if "def " in body:
            bodies = ((end, _body(lines[line:end], indent)) for end in ends)
            ends[0], body = next((item for item in bodies if _parses(item[1])), (ends[0], body))
        if ends[0] == len(lines) and not _parses(body):
            body = body.partition(fence)[0]
        line = ends[0] + 1
        blocks.append(Block(language.lower(), body, line))
    return blocks


def _body(lines: list[str], indent: str) -> str:
    """Return the lines of a block as text, without indentation; of a session, what was typed."""
    lines = [line.removeprefix(" " * len(indent)) for line in lines]
    if lines and lines[0].startswith(">>> def "):
        typed = [(_PROMPT.match(line), line) for line in lines]
        lines = [line[prompt.end() :] for prompt, line in typed if prompt]
    text = "\n".join(lines)
    return textwrap.dedent(text) if text.lstrip("\n")[:1] in (" ", "\t") else text


def _parses(text: str) -> bool:
    try:
        parse_module(text)
    except _FAILURES:
        return False
    return True


# ── proposals ───────────────────────────────────────────────────────────────────────────────────


def read_program_and_input(text: str) -> tuple[str, str] | None:
    """Return the program and the input of a proposal: the last program, and the last ```input block
    or call of `f`, in its block or after it; else one that is mentioned or labelled elsewhere."""
    text = spoken(text)
    blocks = blocks_of(text)
    programs = [block for block in blocks if re.search(r"^def ", block.text, re.MULTILINE)]
    if not programs and not blocks and (bare := _bare_program(text)):
        programs = [Block("", bare, len(text.split("\n")))]
    if not programs:
        return None
    program = next((block for block in reversed(programs) if _defines(block.text)), programs[-1])
    inputs = [block.text.strip() for block in blocks if block.language == "input"]
    inputs = inputs or calls_in(program.text)
    for part in ("\n".join(text.split("\n")[program.end :]), text):
        inputs = inputs or list(calls_in_prose(part)) or _labelled_inputs(part)
    return (program.text, inputs[-1]) if inputs else None


def _labelled_inputs(text: str) -> list[str]:
    """Return what lines that begin with `Input:` give, or the block after such a line."""
    lines, inputs = text.split("\n"), []
    labels = [
        (n, (m[1] or "").strip(" `*")) for n, line in enumerate(lines) if (m := _INPUT.match(line))
    ]
    for number, value in labels[-_LABELS:]:
        after = [] if value else blocks_of("\n".join(lines[number + 1 :]))
        inputs.append(after[0].text.strip() if after else value)
    return [item for item in inputs if read_arguments(item) is not None]


def read_inputs_and_message(text: str) -> tuple[list[str], str] | None:
    """Return the inputs and the message of a code_f proposal: ```input blocks or calls of `f`, and
    a ```message block or a line that begins with `Message:`."""
    text = spoken(text)
    blocks = blocks_of(text)
    messages = [block.text for block in blocks if block.language == "message"]
    messages = messages or [(a or b).strip().rstrip("`") for a, b in _LABEL.findall(text)]
    given = [block.text.strip() for block in blocks if block.language == "input"]
    inputs = [item for block in given for item in _inputs_in(block)]
    inputs = inputs or [call for block in blocks for call in calls_in(block.text)]
    inputs = inputs or list(calls_in_prose(text))
    return (inputs, messages[-1].strip()) if inputs and messages else None


def _inputs_in(block: str) -> list[str]:
    """Return the input in a block; those in its lines, if they are inputs and the block is none."""
    lines = [line for line in block.split("\n") if line.strip()]
    apart = read_arguments(block) is None and all(map(read_arguments, lines))
    return lines if apart else [block]


def calls_in(program: str) -> list[str]:
    """Return the calls of `f` with readable arguments in a module, outside of its functions. Names
    that the module gives to literals, once, are replaced by them."""
    try:
        body = parse_module(program).body
    except _FAILURES:
        return []
    outside = [node for node in body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    values = _Constants(outside)
    calls = []
    for statement in outside:
        for node in ast.walk(statement):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "f"
            ):
                call = ast.unparse(values.visit(copy.deepcopy(node)))
                if read_arguments(call) is not None:
                    calls.append(call)
    return calls


class _Constants(ast.NodeTransformer):
    """Puts its value in the place of a name that statements bind once, and change nowhere."""

    def __init__(self, statements: Sequence[ast.stmt]) -> None:
        nodes = [node for statement in statements for node in ast.walk(statement)]
        bound = [n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        owners = [n.value for n in nodes if isinstance(n, ast.Attribute | ast.Subscript)]
        changed = {owner.id for owner in owners if isinstance(owner, ast.Name)}
        self._values: dict[str, ast.expr] = {}
        for statement in statements:
            match statement:
                case ast.Assign(targets=[target], value=value):
                    given = dict(assigned(target, value))
                    once = (name for name in given if bound.count(name) == 1)
                    self._values.update({n: given[n] for n in once if n not in changed})

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._values.get(node.id, node)


# ── answers ─────────────────────────────────────────────────────────────────────────────────────


def read_answer(kind: str, text: str) -> str | None:
    """Return the answer of a reply: what the last readable pair of tags holds; without tags, what
    the reply ends with. What was thought before is none."""
    text = spoken(text)
    parts = [_CLOSE.split(part, maxsplit=1) for part in _OPEN.split(text)[1:][-_TAGS:]]
    # Pairs, then tags that were left open, and in each of the two the last word first.
    tagged = [part[0] for part in reversed(parts) if len(part) == 2]
    tagged += [part[0] for part in reversed(parts) if len(part) == 1]
    if kind == "code_f":
        return next(filter(None, map(_program, [*tagged, text])), None)
    readable = (_readable(kind, part) for part in tagged)
    answer = next((item for item in readable if item is not None), None)
    if answer is not None:
        return answer
    filled = [part.strip() for part in tagged if part.strip()]
    if filled:
        return filled[0]
    return None if _THINKS.search(text) else _ending(kind, text)


def _program(text: str) -> str | None:
    blocks = [block.text for block in blocks_of(text)]
    last = next((n for n in reversed(range(len(blocks))) if _defines(blocks[n])), None)
    if last is not None:
        return completed(blocks[last], blocks[:last]).strip("\n")
    return None if "```" in text else _bare_program(text)


def completed(program: str, earlier: Sequence[str]) -> str:
    """Return a program after those of the earlier blocks that give it a name which it lacks."""
    if not earlier:
        return program
    try:
        missing = lacking(parse_module(program))
    except _FAILURES:
        return program
    parts = [program]
    for block in reversed(earlier):
        try:
            tree = parse_module(block)
        except _FAILURES:
            continue
        if missing & bound_at_top(tree):
            parts.insert(0, block.rstrip("\n"))
            missing = (missing - bound_at_top(tree)) | lacking(tree)
    return "\n".join(parts)


def _bare_program(text: str) -> str | None:
    """Return the program in a text without fences: from its first import or definition to its last
    indented line, or to its end if nothing else stands there."""
    if not _defines(text):
        return None
    lines = text.strip("\n").split("\n")
    starts = [n for n, line in enumerate(lines) if _CODE.match(line)]
    ends = [n for n, line in enumerate(lines) if line[:1].isspace() and line.strip()]
    if not starts:
        return None
    program = "\n".join(lines[starts[0] :]).rstrip("\n")
    return program if _parses(program) else "\n".join(lines[starts[0] : max(starts + ends) + 1])


def _defines(text: str) -> bool:
    return _DEFINES.search(text) is not None


def _readable(kind: str, text: str) -> str | None:
    """Return what is read of a text between tags: itself, without a fence, or what it states."""
    text = text.strip(_BLANK)
    blocks = blocks_of(text)
    if blocks:
        after = "\n".join(text.split("\n")[blocks[-1].end :])
        answer = _readable(kind, after) if after.strip() else None
        return _in_block(kind, blocks[-1].text) if answer is None else answer
    return _in_block(kind, text) if "\n" in text else stated(kind, text)


def _in_block(kind: str, text: str) -> str | None:
    """Return the answer in a block: all of it, the value that it states, its only call."""
    if kind == "code_o" and "\n" not in text.strip():
        return stated(kind, text)
    calls = set(calls_in(text)) if kind == "code_i" and _only_calls(text) else set()
    whole = unwrapped(kind, text) or (calls.pop() if len(calls) == 1 else None)
    if whole is None and kind == "code_o":
        last = text.strip().rpartition("\n")[2]
        return with_comment(last) if "#" in last else None
    return whole


def _only_calls(program: str) -> bool:
    try:
        body = parse_module(program).body
    except _FAILURES:
        return False
    said_again = any(isinstance(node, ast.FunctionDef) for node in body)
    again: tuple[type, ...] = (ast.FunctionDef, ast.Import, ast.ImportFrom) if said_again else ()
    return all(isinstance(node, (ast.Expr, ast.Assign, ast.Assert, *again)) for node in body)


def _ending(kind: str, text: str) -> str | None:
    """Return the answer that a reply without tags ends with: a fenced one, or one that the last
    lines state."""
    blocks = blocks_of(text)
    lines = [line for line in text.split("\n") if line.strip()]
    if blocks and not "".join(text.split("\n")[blocks[-1].end :]).strip():
        return _in_block(kind, blocks[-1].text)
    if kind == "code_i" and (given := _assigned_lines(lines[-_ENDS:])):
        return given
    answers = (stated(kind, line) for line in reversed(lines[-_LINES:]))
    return next((item for item in answers if item is not None), None)


def _assigned_lines(lines: Sequence[str]) -> str | None:
    """Return the assignments that the last lines are, two and more: `a = 1`, then `b = 2`."""
    plain = [re.sub(r"^(?:[-*+]|\d[.)])\s+", "", line.strip()).replace("`", "") for line in lines]
    begun = len(plain)
    while begun and re.match(r"[a-z_]\w*\s*=(?!=)", plain[begun - 1]):
        begun -= 1
    text = "\n".join(plain[begun:])
    return text if len(plain) - begun > 1 and read_arguments(text) is not None else None
