"""The process that solves puzzles: `python -m redqueen.environments.logic.worker`.

Z3 (`z3-solver`) may take any time and memory; see `redqueen.environments.workers`. Its own resource
limit ends a question after the same amount of work on every machine, so that a verdict can be
repeated.
"""

from collections.abc import Mapping
from typing import Any

import z3

from redqueen.environments.workers import serve

MEMORY_BYTES = 2 << 30
WORK = 5_000_000
"""Z3's `rlimit` for each check of a question."""
Question = Mapping[str, Any]
"""`variables`: [name, low, high, is_bool] of each; `constraints`: trees (see `language`)."""


def solve(question: Question) -> dict[str, Any]:
    """Return `solution` (numbers by name; None: there is none), whether it is `unique`, whether any
    assignment does (`always`), and whether any satisfies one of the constraints (`idle`);
    `undecided` alone if the work was too much."""
    context = z3.Context()
    names = {name: z3.Int(name, context) for name, *_ in question["variables"]}
    booleans = {name for name, _, _, is_bool in question["variables"] if is_bool}
    true = z3.BoolVal(True, context)
    trees = [
        z3.And(_expression(tree, names, booleans, context), true)
        for tree in question["constraints"]
    ]
    everything = z3.And(trees)
    solver = z3.Solver(ctx=context)
    solver.set("rlimit", WORK)
    for name, low, high, _ in question["variables"]:
        solver.add(names[name] >= low, names[name] <= high)
    try:
        solver.push()
        solver.add(everything)
        if not _check(solver):
            return {"solution": None, "unique": False, "always": False, "idle": False}
        model = solver.model()
        solution = {n: model.eval(v, model_completion=True).as_long() for n, v in names.items()}
        solver.add(z3.Or([variable != solution[name] for name, variable in names.items()]))
        unique = not _check(solver)
        solver.pop()
        # What Z3 cannot decide of one constraint is not held against it.
        idle = any(solver.check(z3.Not(tree)) == z3.unsat for tree in trees)
        solver.add(z3.Not(everything))
        always = idle and not _check(solver)
        return {"solution": solution, "unique": unique, "always": always, "idle": idle}
    except _Undecided:
        return {"undecided": True}


class _Undecided(Exception):
    """Z3 gave up."""


def _check(solver: z3.Solver) -> bool:
    said = solver.check()
    if said == z3.unknown:
        raise _Undecided
    return bool(said == z3.sat)


def _expression(tree: Any, names: Mapping[str, Any], booleans: set[str], context: Any) -> Any:
    """Return Z3's term for a tree; variables are whole numbers, truth values 0 and 1."""
    head, *rest = tree
    if head == "var":
        return names[rest[0]] == 1 if rest[0] in booleans else names[rest[0]]
    if head == "const":
        make = z3.BoolVal if isinstance(rest[0], bool) else z3.IntVal
        return make(rest[0], context)
    parts = [_expression(item, names, booleans, context) for item in rest]
    match head:
        case "+":
            return z3.Sum(parts)
        case "*":
            return z3.Product(parts)
        case "-":
            return parts[0] - parts[1]
        case "mod":
            return parts[0] % parts[1]
        case "abs":
            return z3.If(parts[0] >= 0, parts[0], -parts[0])
        case "<":
            return parts[0] < parts[1]
        case "<=":
            return parts[0] <= parts[1]
        case ">":
            return parts[0] > parts[1]
        case ">=":
            return parts[0] >= parts[1]
        case "=":
            return parts[0] == parts[1]
        case "!=":
            return parts[0] != parts[1]
        case "distinct":
            return z3.Distinct(*parts)
        case "and":
            return z3.And(parts)
        case "or":
            return z3.Or(parts)
        case "not":
            return z3.Not(parts[0])
        case "=>":
            return z3.Implies(parts[0], parts[1])
    one, zero = z3.IntVal(1, context), z3.IntVal(0, context)
    return z3.Sum([z3.If(part, one, zero) for part in parts])  # count


def answer(question: Question) -> dict[str, Any]:
    """Return what `solve` does; memory that has run out leaves it undecided."""
    try:
        return solve(question)
    except (z3.Z3Exception, MemoryError):
        return {"undecided": True}


if __name__ == "__main__":
    serve(answer, MEMORY_BYTES)
