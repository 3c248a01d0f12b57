"""How the Absolute Zero Reasoner (arXiv 2505.03335) runs programs, written anew: for bench.peers.

A pebble process pool executes strings. Nothing is isolated.
"""

import ast
import pickle
import traceback
from collections.abc import Sequence
from functools import partial
from typing import Any

import regex
from pebble import ProcessPool
from timeout_decorator import timeout

from redqueen.types import Task

AZR_SECONDS = 10.0


class Runtime:
    """The namespace of a program; it travels to the pool's worker with every program."""

    def __init__(self) -> None:
        self.scope: dict[str, Any] = {}

    def run(self, code: str) -> None:
        if regex.search(r"\binput\(", code):
            raise RuntimeError("input")
        exec(code, self.scope)

    def value(self, expression: str) -> Any:
        return eval(expression, self.scope)


def execute(lines: Sequence[str], runtime: Runtime, seconds: float) -> tuple[Any, str]:
    """What a worker of the pool does: run all lines but the last, evaluate that, each with an
    alarm set, and see whether the result can travel back."""
    try:
        timeout(seconds)(runtime.run)("\n".join(lines[:-1]))
        result = timeout(seconds)(runtime.value)(lines[-1])
        str(result)
        pickle.dumps(result)
    except Exception:
        return None, traceback.format_exc()
    return result, ""


def in_pool(pool: ProcessPool, programs: Sequence[str]) -> list[bool]:
    """Whether each program's last line is true; one that does not parse is not run."""
    known = [program for program in programs if parses(program)]
    job = partial(execute, runtime=Runtime(), seconds=AZR_SECONDS)
    future = pool.map(job, [program.split("\n") for program in known], timeout=AZR_SECONDS)
    found = dict(zip(known, future.result(), strict=True))
    return [
        program in found and not found[program][1] and bool(found[program][0])
        for program in programs
    ]


def parses(program: str) -> bool:
    try:
        ast.parse(program)
    except (SyntaxError, ValueError):
        return False
    return True


def azr_programs(task: Task, answer: str | None) -> list[str]:
    """What its executor is asked to run for one answer that was read already."""
    payload = task.payload
    if answer is None:
        return []
    if task.kind == "code_i":
        return [f"{payload['program']}\n{payload['output']} == f({answer})"]
    if task.kind == "code_f":
        return [f"{answer}\n{output} == f({args})" for args, output in payload["hidden"]]
    try:
        if eval(payload["output"]) == eval(answer):
            return []
    except Exception:
        pass  # as there: what cannot be compared is run
    return [f"{payload['program']}\neval({payload['output']}) == eval({answer})"]
