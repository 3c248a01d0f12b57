"""A seeded generator of small Python programs with a difficulty dial.

It makes the seedling's corpus, the archive's seed tasks and the suites, from seeds that never meet.
A program is a function `f` over int, bool, str, list, tuple and dict, one operation a line. The
dial (band 1 to 5) sets the number of statements, control flow, nesting and depth of expressions.
Bands 6 and 7 are longer and deeper, for the suite `beyond` alone.
"""

from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from random import Random
from typing import Any

from redqueen.environments.code.language import GenerationError
from redqueen.environments.code.program import (
    Assign,
    For,
    If,
    Program,
    Run,
    Statement,
    While,
    execute,
    most_events,
)

BANDS = (1, 2, 3, 4, 5)
BEYOND = (6, 7)
"""Longer and deeper than band 5. No corpus, seed task or training stream draws from them."""
LETTERS = "abcd"


@dataclass(frozen=True, slots=True)
class Operation:
    """One expression form. `{0}`, `{1}` are operands of `types`, `{k}` a small constant."""

    name: str
    template: str
    types: tuple[str, ...]
    result: str
    weight: float
    constants: tuple[Any, ...] = ()
    lowest_band: int = 1


OPERATIONS: tuple[Operation, ...] = (
    Operation("add", "{0} + {1}", ("int", "int"), "int", 1.5),
    Operation("add", "{0} + {k}", ("int",), "int", 1.5, (1, 2, 3, 4, 5)),
    Operation("sub", "{0} - {1}", ("int", "int"), "int", 1.0),
    Operation("sub", "{0} - {k}", ("int",), "int", 1.0, (1, 2, 3)),
    Operation("mul", "{0} * {k}", ("int",), "int", 1.5, (2, 3)),
    Operation("max", "max({0}, {1})", ("int", "int"), "int", 0.7),
    Operation("min", "min({0}, {1})", ("int", "int"), "int", 0.7),
    Operation("mod", "{0} % {k}", ("int",), "int", 0.4, (2, 10)),
    Operation("len", "len({0})", ("list",), "int", 0.8),
    Operation("item", "{0}[{k}]", ("list",), "int", 1.6, (0, 1, -1)),
    Operation("sum", "sum({0})", ("list",), "int", 0.8),
    Operation("max", "max({0})", ("list",), "int", 0.6),
    Operation("min", "min({0})", ("list",), "int", 0.6),
    Operation("reverse", "{0}[::-1]", ("list",), "list", 1.6),
    Operation("sort", "sorted({0})", ("list",), "list", 1.2),
    Operation("append", "{0} + [{1}]", ("list", "int"), "list", 1.4),
    Operation("prepend", "[{1}] + {0}", ("list", "int"), "list", 1.0),
    Operation("tail", "{0}[1:]", ("list",), "list", 1.2),
    Operation("head", "{0}[:2]", ("list",), "list", 0.8),
    Operation("pair", "[{0}, {1}]", ("int", "int"), "list", 1.0),
    Operation("map", "[v + {k} for v in {0}]", ("list",), "list", 0.8, (1, 2)),
    Operation("map", "[v * {k} for v in {0}]", ("list",), "list", 0.4, (2,)),
    Operation("keep", "[v for v in {0} if v > {k}]", ("list",), "list", 0.6, (2, 4, 5)),
    Operation("reverse", "{0}[::-1]", ("str",), "str", 1.4),
    Operation("concat", "{0} + {1}", ("str", "str"), "str", 1.2),
    Operation("concat", "{0} + {k}", ("str",), "str", 1.0, ("a", "b", "c", "d")),
    Operation("upper", "{0}.upper()", ("str",), "str", 0.8),
    Operation("char", "{0}[{k}]", ("str",), "str", 0.8, (0, -1)),
    Operation("len", "len({0})", ("str",), "int", 0.8),
    Operation("tail", "{0}[1:]", ("str",), "str", 0.8),
    Operation("repeat", "{0} * {k}", ("str",), "str", 0.5, (2,)),
    Operation("replace", "{0}.replace('a', 'b')", ("str",), "str", 0.5),
    Operation("greater", "{0} > {1}", ("int", "int"), "bool", 0.35),
    Operation("greater", "{0} > {k}", ("int",), "bool", 0.35, (3, 5, 8)),
    Operation("contains", "{k} in {0}", ("list",), "bool", 0.25, (1, 2, 3)),
    Operation("not", "not {0}", ("bool",), "bool", 1.0),
    Operation("tuple", "({0}, {1})", ("int", "int"), "tuple", 0.35),
    Operation("item", "{0}[{k}]", ("tuple",), "int", 3.0, (0, 1)),
    Operation("get", "{0}['{k}']", ("dict",), "int", 2.0, ("a", "b")),
    Operation("get", "{0}.get('{k}', 0)", ("dict",), "int", 1.5, ("a", "c")),
    Operation("len", "len({0})", ("dict",), "int", 0.4),
    Operation("item, add", "{0}[{k}] + {1}", ("list", "int"), "int", 0.8, (0, -1), 4),
    Operation("max, min, sub", "max({0}) - min({0})", ("list",), "int", 0.6, (), 4),
    Operation("tail, sum", "sum({0}[1:])", ("list",), "int", 0.6, (), 4),
    Operation("mul, add", "{0} * {k} + {1}", ("int", "int"), "int", 0.8, (2, 3), 4),
    Operation("upper, concat", "{0}.upper() + {1}", ("str", "str"), "str", 0.6, (), 4),
    Operation("append, sort", "sorted({0} + [{1}])", ("list", "int"), "list", 0.8, (), 6),
    Operation("map, reverse", "[v + {1} for v in {0}][::-1]", ("list", "int"), "list", 0.6, (), 6),
    Operation("keep, sum", "sum([v for v in {0} if v > {k}])", ("list",), "int", 0.8, (2, 4), 6),
    Operation("max, item, sub", "max({0}) - {0}[{k}]", ("list",), "int", 0.8, (0, -1), 6),
    Operation("concat, reverse", "({0} + {1})[::-1]", ("str", "str"), "str", 0.8, (), 6),
)
PARAMETER_TYPES = (("int", 0.36), ("list", 0.36), ("str", 0.19), ("tuple", 0.03), ("dict", 0.04),
                   ("bool", 0.02))  # fmt: skip


def random_value(kind: str, rng: Random) -> Any:
    """A small value of the named type."""
    if kind == "int":
        return rng.randint(0, 9) if rng.random() < 0.8 else rng.randint(10, 20)
    if kind == "list":
        return [rng.randint(0, 9) for _ in range(rng.choice((2, 3, 3, 4)))]
    if kind == "str":
        return "".join(rng.choice(LETTERS) for _ in range(rng.choice((2, 3, 3, 4))))
    if kind == "bool":
        return rng.random() < 0.5
    if kind == "tuple":
        return (rng.randint(0, 9), rng.randint(0, 9))
    if kind == "dict":
        return {key: rng.randint(0, 9) for key in ("a", "b")}
    raise ValueError(f"unknown type {kind!r}")


@cache
def _options(
    band: int, result: str | None, kinds: frozenset[str], latest: str
) -> tuple[list[Operation], list[float]]:
    """Return the operations that fit, with the running sums of their weights.

    `result` is the type asked for, `kinds` those at hand, `latest` that of the newest value.
    """
    options = [
        op for op in OPERATIONS
        if op.lowest_band <= band and result in (None, op.result) and kinds.issuperset(op.types)
    ]  # fmt: skip
    focused = (op.weight * (4.0 if latest in op.types else 1.0) for op in options)
    return options, list(accumulate(focused))


@dataclass(slots=True)
class _Builder:
    """Grows one program statement by statement, running it on one input as it goes."""

    band: int
    rng: Random
    types: dict[str, str]
    env: dict[str, Any]
    recent: list[str]
    operations: list[str] = field(default_factory=list)
    tainted: set[str] = field(default_factory=set)
    names: list[str] = field(default_factory=lambda: list("ghijklmnopqrstuwxyz"))
    events: int = 0

    def run(self, statement: Statement) -> None:
        limit = most_events(self.band)
        trial = Run(dict(self.env), limit)
        trial.block([statement])
        self.events += len(trial.events)
        if self.events > limit:
            raise GenerationError("too long")
        self.env = trial.env

    def pick(self, kind: str, without: str = "") -> str:
        """A variable of a type, the latest ones likelier."""
        fitting = [name for name in self.recent if self.types[name] == kind and name != without]
        if not fitting:
            raise GenerationError("no operand")
        if self.rng.random() < 0.7:
            return fitting[-1]
        return self.rng.choice(fitting)

    def expression(self, result: str | None = None) -> tuple[Operation, str, tuple[str, ...]]:
        """An operation with a template over variable names, and those names."""
        kinds = frozenset(self.types[name] for name in self.recent)
        options, weights = _options(self.band, result, kinds, self.types[self.recent[-1]])
        if not options:
            raise GenerationError("no operation")
        op = self.rng.choices(options, cum_weights=weights)[0]
        operands: list[str] = []
        for kind in op.types:
            operands.append(self.pick(kind, operands[0] if operands else ""))
        constant = self.rng.choice(op.constants) if op.constants else ""
        quoted = isinstance(constant, str) and "'{k}'" not in op.template
        template = op.template.replace("{k}", repr(constant) if quoted else str(constant))
        for index, name in enumerate(operands):
            template = template.replace(f"{{{index}}}", f"{{{name}}}")
        return op, template, tuple(operands)

    def assign(self, target: str | None = None, result: str | None = None) -> Assign:
        """A new assignment; run by the caller."""
        op, template, operands = self.expression(result)
        if target is None:
            target = self.names.pop(0)
        self.operations.append(op.name)
        self.types[target] = op.result
        if self.tainted.intersection(operands):
            self.tainted.add(target)
        return Assign(target, template, operands, op.name)

    def declare(self, statement: Statement, *targets: str) -> Statement:
        self.run(statement)
        for target in targets:
            if target in self.recent:
                self.recent.remove(target)
            self.recent.append(target)
        return statement

    def straight(self) -> Statement:
        statement = self.assign()
        return self.declare(statement, statement.target)

    def branch(self) -> Statement:
        """if/else that gives one new variable a value of the same type on both sides."""
        number = self.pick("int")
        limit = self.rng.choice((3, 4, 5, 6, 8))
        sign = self.rng.choice((">", "<"))
        first = self.assign()
        kind = self.types[first.target]
        second = self.assign(first.target, kind)
        self.operations[-2:] = [f"if, {self.operations[-2]}, {self.operations[-1]}"]
        if number in self.tainted:
            self.tainted.add(first.target)
        statement = If(f"{{{number}}} {sign} {limit}", (number,), (first,), (second,))
        return self.declare(statement, first.target)

    def loop(self) -> list[Statement]:
        """A `for` over a list that builds an accumulator (band 5: with a condition inside)."""
        source = self.pick("list")
        if len(self.env[source]) > 4:
            raise GenerationError("loop too long")
        total, item = self.names.pop(0), self.names.pop(0)
        if self.rng.random() < 0.6:
            start, template, kind = "0", f"{{{total}}} + {{{item}}}", "int"
        else:
            start, template, kind = "[]", f"[{{{item}}}] + {{{total}}}", "list"
        first = Assign(total, start, (), "start")
        self.types[total] = kind
        self.declare(first, total)
        step: Statement = Assign(total, template, (total, item), "accumulate")
        if self.band >= 5 and self.rng.random() < 0.5:
            step = If(f"{{{item}}} > {self.rng.choice((2, 4, 5))}", (item,), (step,))
        body: tuple[Statement, ...] = (step,)
        if self.band >= 5 and kind == "int" and self.rng.random() < 0.3:
            extra = self.rng.choice((1, 2))
            body = (step, Assign(total, f"{{{total}}} + {extra}", (total,), "add"))
        self.operations.append("loop")
        if source in self.tainted:
            self.tainted.add(total)
        statement = For(item, f"{{{source}}}", (source,), body)
        self.declare(statement, total)
        return [first, statement]

    def fork(self) -> list[Statement]:
        """Beyond band 5: an if/else inside an if/else, one new variable on all three ways."""
        outer, inner = self.pick("int"), self.pick("int")
        first = self.assign()
        kind = self.types[first.target]
        others = (self.assign(first.target, kind), self.assign(first.target, kind))
        self.operations[-3:] = [", ".join(["if", "if", *self.operations[-3:]])]
        if self.tainted.intersection((outer, inner)):
            self.tainted.add(first.target)
        limits = self.rng.sample((3, 4, 5, 6, 8), 2)
        below = If(f"{{{inner}}} > {limits[0]}", (inner,), (first,), (others[0],))
        statement = If(f"{{{outer}}} < {limits[1]}", (outer,), (below,), (others[1],))
        return [self.declare(statement, first.target)]

    def sieve(self) -> list[Statement]:
        """Beyond band 5: a `for` over a list that does one thing or another with each item."""
        source = self.pick("list")
        if len(self.env[source]) > 4:
            raise GenerationError("loop too long")
        total, item = self.names.pop(0), self.names.pop(0)
        if self.rng.random() < 0.6:
            start, kind = "0", "int"
            ways = [f"{{{total}}} + {{{item}}}", f"{{{total}}} - 1", f"{{{total}}} + 2"]
        else:
            start, kind = "[]", "list"
            ways = [
                f"[{{{item}}}] + {{{total}}}",
                f"{{{total}}} + [{{{item}}}]",
                f"{{{total}}}[1:]",
            ]
        then, other = self.rng.sample(ways, 2)
        first = Assign(total, start, (), "start")
        self.types[total] = kind
        self.declare(first, total)
        steps = [Assign(total, way, (total, item), "accumulate") for way in (then, other)]
        limit = self.rng.choice((2, 4, 5))
        body = If(f"{{{item}}} > {limit}", (item,), (steps[0],), (steps[1],))
        self.operations.append("loop, if")
        if source in self.tainted:
            self.tainted.add(total)
        return [first, self.declare(For(item, f"{{{source}}}", (source,), (body,)), total)]

    def countdown(self) -> list[Statement]:
        """A `while` that shrinks a number and counts."""
        source = self.pick("int")
        count, left = self.names.pop(0), self.names.pop(0)
        step = self.rng.choice((2, 3, 4))
        first = Assign(count, "0", (), "start")
        second = Assign(left, f"{{{source}}} - {step}", (source,), "sub")
        self.types[count] = self.types[left] = "int"
        self.declare(first, count)
        self.declare(second, left)
        body = (
            Assign(count, f"{{{count}}} + 1", (count,), "add"),
            Assign(left, f"{{{left}}} - {step}", (left,), "sub"),
        )
        self.operations.append("while")
        if source in self.tainted:
            self.tainted.update((count, left))
        statement = While(f"{{{left}}} > 0", (left,), body)
        self.declare(statement, left, count)
        return [first, second, statement]


_STRAIGHT = {1: (1, 2), 2: (3, 3), 3: (4, 5), 4: (4, 6), 5: (5, 7), 6: (7, 8), 7: (8, 10)}


def _grow(builder: _Builder, band: int, rng: Random) -> tuple[Statement, ...]:
    plan = ["straight"] * rng.randint(*_STRAIGHT[band])
    if band == 3 and rng.random() < 0.3:
        plan.insert(rng.randrange(len(plan) + 1), "branch")
    elif band >= 4:
        extras = [rng.choice(("branch", "loop", "loop", "while"))]
        if band >= 5:
            extras.append(rng.choice(("branch", "loop")))
        extras += [rng.choice(("fork", "sieve")) for _ in range(band - 5)]
        for extra in extras:
            plan.insert(rng.randrange(len(plan) + 1), extra)
    body: list[Statement] = []
    for step in plan:
        if step == "straight":
            body.append(builder.straight())
        elif step == "branch":
            body.append(builder.branch())
        else:
            grow = {
                "loop": builder.loop, "while": builder.countdown,
                "fork": builder.fork, "sieve": builder.sieve,
            }  # fmt: skip
            body.extend(grow[step]())
    return tuple(body)


def generate_program(band: int, rng: Random) -> tuple[Program, tuple[Any, ...]]:
    """Draw a program of a difficulty band (1 to 7) and one input on which it runs.

    The result depends on a parameter, never equals it outright, and all values stay small.
    """
    if band not in BANDS + BEYOND:
        raise ValueError(f"band must be one of {BANDS + BEYOND}, not {band}")
    names, weights = zip(*PARAMETER_TYPES, strict=True)
    while True:
        count = 1 if rng.random() < 0.45 else 2
        parameters = tuple("abc"[:count])
        types = tuple(rng.choices(names, weights, k=count))
        args = tuple(random_value(kind, rng) for kind in types)
        env = dict(zip(parameters, args, strict=True))
        builder = _Builder(
            band, rng, dict(zip(parameters, types, strict=True)), dict(env), list(parameters),
            tainted=set(parameters),
        )  # fmt: skip
        try:
            body = _grow(builder, band, rng)
        except GenerationError:
            continue
        result = builder.recent[-1]
        if result in builder.tainted and result not in parameters:
            ops = tuple(builder.operations)
            return Program(band, parameters, types, body, result, ops), args


def more_inputs(program: Program, count: int, rng: Random) -> list[tuple[tuple[Any, ...], Any]]:
    """`count` distinct inputs with their outputs.

    Raises:
        GenerationError: the program fails on too many inputs, or its output never changes.
    """
    runs: dict[str, tuple[tuple[Any, ...], Any]] = {}
    for _ in range(6 * count):
        args = tuple(random_value(kind, rng) for kind in program.types)
        try:
            value, _events = execute(program, args)
        except GenerationError:
            continue
        runs.setdefault(repr(args), (args, value))
        if len(runs) == count:
            if len({repr(value) for _, value in runs.values()}) == 1:
                raise GenerationError("constant")
            return list(runs.values())
    raise GenerationError("too few inputs")
