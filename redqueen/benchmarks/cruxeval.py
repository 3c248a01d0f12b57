"""CRUXEval: 800 short functions, predict the output or find an input (Gu et al., arXiv 2401.03065).

The prompts are the paper's for answers without reasoning, as one user turn. A completion's answer
runs in the jail as in the benchmark's own judge, so `[1] * 3` is an answer like `[1, 1, 1]`; an
answer that calls the function where the output is asked for is wrong.
"""

import ast
import builtins
import re
from collections.abc import Sequence
from typing import Any, ClassVar

from redqueen.benchmarks.base import Benchmark, BenchmarkEnvironment, Hub, Row
from redqueen.benchmarks.calls import Calls, run_calls
from redqueen.environments.base import Attempt, Verification
from redqueen.environments.code.policy import bound_names
from redqueen.environments.code.replies import spoken
from redqueen.sandbox import literals_equal, parse_literal
from redqueen.sandbox.cpython import CPythonSandbox
from redqueen.sandbox.syntax import parse_expression, parse_module
from redqueen.types import Messages, Task, Verdict, user

SECONDS = 3.0
_ANSWER = re.compile(r"\[ANSWER\](.*?)(?:\[/ANSWER\]|\Z)", re.DOTALL | re.IGNORECASE)
_CLOSED = re.compile(r"\[/ANSWER\]", re.IGNORECASE)
_NEXT = re.compile(r"\[/ANSWER\]\s*\[PYTHON\]", re.IGNORECASE)
"""Where a completion goes on with a problem of its own."""
_FENCE = re.compile(r"^[ \t]*```[ \t]*\w*[ \t]*$", re.MULTILINE)
_BUILTINS = frozenset(dir(builtins))
_LINES = 64
"""Lines of an answer that are looked at after `assert`."""
_CALLED = frozenset({
    "abs", "all", "any", "bin", "bool", "bytearray", "bytes", "chr", "complex", "dict", "divmod",
    "enumerate", "f", "filter", "float", "frozenset", "hex", "int", "iter", "len", "list", "map",
    "max", "min", "oct", "ord", "pow", "range", "repr", "reversed", "round", "set", "slice",
    "sorted", "str", "sum", "tuple", "zip",
})  # fmt: skip
"""Builtins that an input may use. With others it could change what the function uses (`globals`,
`exec`), or be an object that answers as is wanted (`type`)."""
_GIVEN = "redqueen_given"

_OUTPUT = (
    "You are given a Python function and an assertion containing an input to the function. "
    "Complete the assertion with a literal (no unsimplified expressions, no function calls) "
    "containing the output when executing the provided code on the given input, even if the "
    "function is incorrect or incomplete. Do NOT output any extra information. Provide the full "
    "assertion with the correct output in [ANSWER] and [/ANSWER] tags, following the examples.",
    (("def f(n):\n    return n", "f(17)", "17"),
     ("def f(s):\n    return s + \"a\"", 'f("x9j")', '"x9ja"')),
)  # fmt: skip
_INPUT = (
    "You will be given a function f and an output in the form f(??) == output. Find any input such "
    "that executing f on the input leads to the given output. There may be multiple answers, but "
    "you should only output one. In [ANSWER] and [/ANSWER] tags, complete the assertion with one "
    "such input that will produce the output when executing the function.",
    (("def f(my_list):\n    count = 0\n    for i in my_list:\n        if len(i) % 2 == 0:\n"
      "            count += 1\n    return count", 'f(["mq", "px", "zy"])', "3"),
     ("def f(s1, s2):\n    return s1 + s2", 'f("ba", "nana")', '"banana"')),
)  # fmt: skip


class CruxEval(Benchmark):
    """What both directions share."""

    file: ClassVar[str] = "cruxeval.jsonl"
    hub: ClassVar[Hub | None] = Hub("cruxeval-org/cruxeval")
    solve_tokens: ClassVar[int] = 256

    def key(self, row: Row, number: int) -> str:
        """Return the released id, as in `sample_0`."""
        return str(row["id"])

    def payload(self, row: Row) -> dict[str, Any]:
        """Return code, input and output."""
        return {name: row[name] for name in ("code", "input", "output")}

    def programs(self, row: Row) -> tuple[str, ...]:
        """Return the function."""
        return (row["code"],)

    def expression(self, text: str) -> str | None:
        """Return the part of an answer's assertion that is the model's; None if there is none."""
        raise NotImplementedError

    def program(self, task: Task, expression: str) -> str:
        """Return a program whose functions return the value that is asked for and the answer's."""
        raise NotImplementedError

    def verify(
        self, attempts: Sequence[Attempt], environment: BenchmarkEnvironment
    ) -> list[Verification]:
        """Evaluate each answer in the jail, and compare here."""
        answers = [self.expression(attempt.text) for attempt in attempts]
        jobs = [
            Calls(self.program(attempt.task, answer), _GIVEN, [()], [SECONDS])
            for attempt, answer in zip(attempts, answers, strict=True)
            if answer is not None
        ]
        endings = iter(run_calls(environment.services.shared(CPythonSandbox), jobs))
        verified = []
        for attempt, answer in zip(attempts, answers, strict=True):
            if answer is None:
                verified.append(Verification(Verdict.MALFORMED))
                continue
            [ending] = next(endings)
            verdict = Verdict.WRONG
            if ending.kind == "infra_error":
                verdict = Verdict.INFRA_ERROR
            elif ending.kind == "value" and _equal(ending.text, attempt.task.payload["output"]):
                verdict = Verdict.CORRECT
            verified.append(Verification(verdict, answer))
        return verified


class CruxEvalOutput(CruxEval):
    """Predict what a function returns."""

    label: ClassVar[str] = "cruxeval-o"
    title: ClassVar[str] = "CRUXEval-O"

    def prompt(self, task: Task) -> Messages:
        """Return instruction, two examples and the assertion without its output."""
        call = f"f({task.payload['input']})"
        shown = [(code, f"{left} == ??", f"{left} == {right}") for code, left, right in _OUTPUT[1]]
        return user(_prompt(_OUTPUT[0], shown, task.payload["code"], f"{call} == ??"))

    def expression(self, text: str) -> str | None:
        """Return what a call of `f` is said to equal, or the whole answer if it is no assertion."""
        source, tree = _read(text)
        match tree:
            case None:
                return None
            case ast.Compare(left=left, ops=[ast.Eq() | ast.Is()], comparators=[right]):
                node = left if _is_call(right) and not _is_call(left) else right
                return ast.get_source_segment(source, node)
            case ast.Compare():
                return None
        return ast.get_source_segment(source, tree)

    def program(self, task: Task, expression: str) -> str:
        """Return a program that evaluates the answer alone: it knows no `f`."""
        return f"def {_GIVEN}():\n    return ({expression}\n)\n"


class CruxEvalInput(CruxEval):
    """Find an input for which a function returns a given output."""

    label: ClassVar[str] = "cruxeval-i"
    title: ClassVar[str] = "CRUXEval-I"

    def prompt(self, task: Task) -> Messages:
        """Return instruction, two examples and the assertion without its input."""
        output = task.payload["output"]
        shown = [
            (code, f"f(??) == {right}", f"{left} == {right}") for code, left, right in _INPUT[1]
        ]
        return user(_prompt(_INPUT[0], shown, task.payload["code"], f"f(??) == {output}"))

    def expression(self, text: str) -> str | None:
        """Return the call of `f` that stands beside the `==`, or is the answer."""
        source, tree = _read(text)
        match tree:
            case ast.Compare(left=left, ops=[ast.Eq() | ast.Is()], comparators=[right]):
                tree = left if _is_call(left) else right
        if tree is None or not _is_call(tree) or not _is_harmless(tree):
            return None
        return ast.get_source_segment(source, tree)

    def program(self, task: Task, expression: str) -> str:
        """Return the function with the answer's call."""
        return f"{task.payload['code']}\n\ndef {_GIVEN}():\n    return ({expression}\n)\n"


def _prompt(instruction: str, shown: Sequence[tuple[str, str, str]], code: str, asked: str) -> str:
    examples = [
        f"[PYTHON]\n{program}\nassert {question}\n[/PYTHON]\n[ANSWER]\nassert {answer}\n[/ANSWER]"
        for program, question, answer in shown
    ]
    task = f"[PYTHON]\n{code}\nassert {asked}\n[/PYTHON]\n[ANSWER]\n"
    return "\n\n".join((instruction, *examples, task))


def _read(text: str) -> tuple[str, ast.expr | None]:
    """Return the last answer of a completion as text and tree, without `assert` and its message.

    Its tag may be the prompt's: then what comes before the first closing one is the answer. If the
    answer goes on after an assertion, that does not count.
    """
    text = _NEXT.split(spoken(text), maxsplit=1)[0]
    tagged = _ANSWER.findall(text)
    head = _CLOSED.split(text, maxsplit=1)[0]
    answer = tagged[-1] if tagged and "[ANSWER]" in head.upper() else head
    answer = _FENCE.sub("", answer).strip().strip("`").strip()
    begun = re.search(r"^assert\b", answer, re.MULTILINE) or re.search(r"\bassert\b", answer)
    if begun and _parsed(answer) is None:
        answer = answer[begun.end() :].strip().rstrip(";")
    lines = answer.split("\n")[:_LINES]
    for count in range(len(lines) if begun else 1, 0, -1):
        source = ("\n".join(lines[:count]) if begun else answer).rstrip().rstrip(";")
        if begun and (tree := _asserted(source)) is not None:
            return f"assert {source}", tree
        if (tree := _parsed(source)) is not None:
            return source, tree
    return "", None


def _asserted(text: str) -> ast.expr | None:
    """Return what an assertion with a message asserts."""
    try:
        [statement] = parse_module(f"assert {text}").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    return statement.test if isinstance(statement, ast.Assert) else None


def _parsed(text: str) -> ast.expr | None:
    try:
        return parse_expression(text).body if text else None
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _is_call(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "f"


def _is_harmless(tree: ast.expr) -> bool:
    """Whether an input is made of values alone; see `_CALLED`."""
    nodes = list(ast.walk(tree))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    unknown = names - _CALLED - bound_names(tree)
    attributes = [node.attr for node in nodes if isinstance(node, ast.Attribute)]
    return not (
        any(isinstance(node, ast.NamedExpr) for node in nodes)
        or any(name in _BUILTINS or name.startswith("__") for name in unknown)
        or any(name.startswith("_") or name == "format" for name in attributes)
    )


def _equal(text: str, expected: str) -> bool:
    """Return whether a canonical text is equal to a released literal."""
    read, value = parse_literal(text)
    stated, answer = parse_literal(expected)
    return text == expected or (read and stated and literals_equal(value, answer))
