"""A worked run of a program of the language: what happens, one line for each executed statement.

A trace line is `#LABEL PART; PART; …`. The label is the number of the executed line in the listing
of the program. Parts are, in order of evaluation:

- `7 + 2 = 9`: an operation on values (names are replaced by what they hold) and its result;
- `7 + 2`: the same, when the next part says what becomes of the result;
- `name = 9`: a name is bound, or what it holds was changed;
- `if True`, `while False`, `return 9`, `break`, `continue`, `pass`: the end of such a statement;
- `x = 3; rest [5, 8]`: a loop takes an item; `done`: it has none left;
- `g(3, 4)`: a function of the program is called; its lines follow, then the caller's line goes on.

A line follows from the listing, from the latest binding of each name that it reads and from the
line before it. Constructs outside the language raise `TraceError`.
"""

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from redqueen.environments.code.traced.operations import (
    BINARY,
    COMPARISONS,
    METHODS,
    MUTATORS,
    apply_builtin,
    check_size,
)
from redqueen.environments.code.traced.trace_lines import (
    Jump,
    Trace,
    TraceError,
    TraceWriter,
    read_program,
)

MAX_STEPS = 120


def trace_call(source: str, args: Sequence[Any], max_steps: int = MAX_STEPS) -> Trace:
    """Run `f(*args)` of a program that a generator or a person wrote, and write the run down.

    Nothing is handed to the host's `eval` or `exec`: the syntax tree is walked.

    Raises:
        TraceError: the program is outside the language, raises, or takes over `max_steps` lines.
    """
    run = _Run(source, max_steps)
    try:
        value = run.call("f", list(args))
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise TraceError(f"{type(error).__name__}: {error}") from error
    except RecursionError as error:
        raise TraceError("recursion") from error
    return Trace(value, tuple(run.lines))


class _Run(TraceWriter):
    """Walks the syntax tree; `lines` is what it has written."""

    def __init__(self, source: str, max_steps: int):
        super().__init__(max_steps)
        self.functions, self.labels = read_program(source)
        self.names: dict[str, Any] = {}

    # ── functions and statements ────────────────────────────────────────────────────────────────

    def call(self, name: str, args: list[Any]) -> Any:
        """Run a function of the program from its first line to its return."""
        node = self.functions[name]
        taken = [item.arg for item in node.args.args]
        if len(taken) != len(args):
            raise TraceError("wrong number of arguments")
        outer = self.names, self.label
        self.names, self.label = dict(zip(taken, args, strict=True)), self.labels[node.lineno]
        self.parts = [f"{name} = {value!r}" for name, value in self.names.items()]
        self.end_line()
        try:
            self.block(node.body)
        except Jump as jump:
            self.names, self.label = outer
            self.fresh = False
            return jump.value
        raise TraceError("no return")

    def block(self, body: Sequence[ast.stmt]) -> None:
        """Run statements in order."""
        for node in body:
            self.label = self.labels[node.lineno]
            self.statement(node)

    def statement(self, node: ast.stmt) -> None:
        """Run one statement."""
        match node:
            case ast.Assign(targets=[target], value=value):
                self.assign(target, self.value(value))
                self.end_line()
            case ast.AugAssign(target=target, op=op, value=value):
                self.augment(target, op, value)
            case ast.Return(value=value):
                result = None if value is None else self.value(value)
                self.conclude(f"return {result!r}")
                raise Jump("return", result)
            case ast.If(test=test, body=body, orelse=orelse):
                truth = bool(self.value(test))
                self.conclude(f"if {truth}")
                self.block(body if truth else orelse)
            case ast.While(orelse=[]):
                self.loop_while(node)
            case ast.For(orelse=[]):
                self.loop_over(node)
            case ast.Expr(value=ast.Call(func=ast.Attribute())):
                self.value(node.value)
                self.end_line()
            case ast.Break() | ast.Continue() | ast.Pass():
                word = type(node).__name__.lower()
                self.conclude(word)
                if word != "pass":
                    raise Jump(word)
            case _:
                raise TraceError(f"no statement of the language: {type(node).__name__}")

    def assign(self, target: ast.expr, value: Any) -> None:
        """Bind what is on the left of `=`; the last part of the line."""
        match target:
            case ast.Name(id=name):
                self.names[name] = value
                self.result_to(f"{name} = {value!r}")
            case ast.Tuple(elts=targets):
                items = list(value)
                if len(items) != len(targets):
                    raise TraceError("unequal unpacking")
                self.fresh = self.fresh and len(items) == 0
                for part, item in zip(targets, items, strict=True):
                    self.assign(part, item)
            case ast.Subscript(value=owner, slice=index) if not isinstance(index, ast.Slice):
                holder, place = self.value(owner), self.value(index)
                holder[place] = value
                self.note(f"[{place!r}] = {value!r}")
                self.changed(owner)
            case _:
                raise TraceError("no target of the language")
        self.fresh = False

    def augment(self, target: ast.expr, op: ast.operator, value: ast.expr) -> None:
        """`target op= value`; a list is changed in place by `+=`."""
        before = self.value(target)
        amount = self.value(value)
        if isinstance(before, list):
            if not isinstance(op, ast.Add) or not isinstance(target, ast.Name):
                raise TraceError("no augmented assignment of the language")
            text = f"{before!r} + {amount!r}"
            before += amount
            self.operation(text, before)
            self.result_to(f"{target.id} = {before!r}")
            self.changed(target, besides=target.id)
        else:
            self.assign(target, self.binary(op, before, amount))
        self.end_line()

    def changed(self, owner: ast.expr, besides: str = "") -> None:
        """Write the new value of every name that holds the changed object."""
        while isinstance(owner, ast.Subscript):
            owner = owner.value
        if not isinstance(owner, ast.Name):
            return
        held = self.names[owner.id]
        check_size(held)
        for name, value in self.names.items():
            if value is held and name != besides:
                self.note(f"{name} = {value!r}")
        self.fresh = False

    def loop_while(self, node: ast.While) -> None:
        """Test, body, and again."""
        while True:
            self.label = self.labels[node.lineno]
            truth = bool(self.value(node.test))
            self.conclude(f"while {truth}")
            if not truth or self.leaves(node.body):
                return

    def loop_over(self, node: ast.For) -> None:
        """Take the items one by one; the sequence is the one that was there at first."""
        label = self.labels[node.lineno]
        for item, rest in self.items(node.iter):
            self.label = label
            self.assign(node.target, item)
            self.note(f"rest {rest}")
            self.end_line()
            if self.leaves(node.body):
                return
        self.label = label
        self.conclude("done")

    def items(self, node: ast.expr) -> Iterator[tuple[Any, str]]:
        """The items of a loop, each with the text of what is left after it."""
        match node:
            case ast.Call(func=ast.Name(id="enumerate"), args=[inner]):
                source = self.value(inner)
                shown: Any = source if isinstance(source, str) else list(source)
                pairs = [(pair, repr(shown[i + 1 :])) for i, pair in enumerate(enumerate(shown))]
            case ast.Call(func=ast.Name(id="zip"), args=[left, right]):
                first, second = list(self.value(left)), list(self.value(right))
                pairs = [
                    (pair, f"{first[i + 1 :]!r}, {second[i + 1 :]!r}")
                    for i, pair in enumerate(zip(first, second, strict=False))
                ]
            case _:
                source = self.value(node)
                shown = source if isinstance(source, str | range) else list(source)
                pairs = [(item, repr(shown[i + 1 :])) for i, item in enumerate(shown)]
        self.fresh = False
        sources = [node]
        if isinstance(node, ast.Call):
            owner = [node.func.value] if isinstance(node.func, ast.Attribute) else []
            sources = [*node.args, *owner]
        named = [self.names[item.id] for item in sources if isinstance(item, ast.Name)]
        watched = [value for value in named if isinstance(value, list | dict)]
        before = [_contents(sequence) for sequence in watched]
        for place in range(len(pairs) + 1):  # CPython looks once more after the last item
            for sequence, items in zip(watched, before, strict=True):
                now = _contents(sequence)
                if len(now) != len(items) or now[place:] != items[place:]:
                    raise TraceError("a sequence that changes while a loop runs over it")
            yield from pairs[place : place + 1]

    def leaves(self, body: Sequence[ast.stmt]) -> bool:
        """Run the body of a loop once; whether a `break` ended the loop."""
        try:
            self.block(body)
        except Jump as jump:
            if jump.word == "return":
                raise
            return jump.word == "break"
        return False

    # ── expressions ─────────────────────────────────────────────────────────────────────────────

    def value(self, node: ast.expr) -> Any:
        """The value of an expression; writes its operations."""
        match node:
            case ast.Constant(value=bool() | int() | str() | None as value):
                self.fresh = False
                return value
            case ast.Name(id=name):
                if name not in self.names:
                    raise TraceError(f"the name {name} is not bound")
                self.fresh = False
                return self.names[name]
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as number)):
                self.fresh = False
                return -number
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                number = self.value(operand)
                shown = f"-({number!r})" if number < 0 else f"-{number!r}"
                return self.operation(shown, -number)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                truth = self.value(operand)
                return self.operation(f"not {truth!r}", not truth)
            case ast.BinOp(left=left, op=op, right=right):
                first = self.value(left)
                return self.binary(op, first, self.value(right))
            case ast.BoolOp(op=word, values=values):
                for part in values:
                    result = self.value(part)
                    if bool(result) is isinstance(word, ast.Or):
                        break
                return result
            case ast.Compare(left=left, ops=ops, comparators=rights):
                return self.compare(left, ops, rights)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.value(body if self.value(test) else orelse)
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                items = [self.value(part) for part in parts]
                self.fresh = False
                return items if isinstance(node, ast.List) else tuple(items)
            case ast.Dict(keys=keys, values=values) if None not in keys:
                table = {self.value(k): self.value(v) for k, v in zip(keys, values, strict=True)}  # type: ignore[arg-type]
                self.fresh = False
                return table
            case ast.Subscript(value=owner, slice=ast.Slice() as part):
                return self.slice(self.value(owner), part)
            case ast.Subscript(value=owner, slice=index):
                holder = self.value(owner)
                place = self.value(index)
                return self.operation(f"{holder!r}[{place!r}]", holder[place])
            case ast.ListComp() | ast.GeneratorExp():
                return list(self.comprehension(node))
            case ast.Call():
                return self.called(node)
        raise TraceError(f"no expression of the language: {type(node).__name__}")

    def binary(self, op: ast.operator, left: Any, right: Any) -> Any:
        """`left op right`; a product of two numbers of two digits is worked out in parts."""
        if type(op) not in BINARY:
            raise TraceError("no operator of the language")
        sign, compute = BINARY[type(op)]
        text = f"{left!r} {sign} {right!r}"
        if sign == "*" and type(left) is type(right) is int and abs(left) > 9 and right > 10:
            tens = right // 10 * 10
            if right > tens:
                self.note(text)
                first = self.operation(f"{left} * {tens}", left * tens)
                second = self.operation(f"{left} * {right - tens}", left * (right - tens))
                return self.operation(f"{first} + {second}", first + second)
        return self.operation(text, compute(left, right))

    def compare(self, left: ast.expr, ops: Sequence[ast.cmpop], rights: Sequence[ast.expr]) -> Any:
        """A comparison, or a chain of them up to the first that fails."""
        first = self.value(left)
        for op, node in zip(ops, rights, strict=True):
            sign, test = COMPARISONS[type(op)]
            second = self.value(node)
            if not self.operation(f"{first!r} {sign} {second!r}", test(first, second)):
                return False
            first = second
        return True

    def slice(self, holder: Any, node: ast.Slice) -> Any:
        """`holder[a:b:c]`."""
        ends = [None if e is None else self.value(e) for e in (node.lower, node.upper, node.step)]
        shown = ["" if end is None else repr(end) for end in ends]
        text = ":".join(shown if ends[2] is not None else shown[:2])
        return self.operation(f"{holder!r}[{text}]", holder[slice(*ends)])

    def comprehension(self, node: ast.ListComp | ast.GeneratorExp) -> Iterator[Any]:
        """The items of a comprehension with one `for`, one by one."""
        if len(node.generators) != 1:
            raise TraceError("a comprehension with two loops")
        part = node.generators[0]
        outside = dict(self.names)
        source = self.value(part.iter)
        self.settle()
        for item in list(source):
            self.fresh = False
            self.assign(part.target, item)
            if all(self.value(test) for test in part.ifs):
                result = self.value(node.elt)
                self.settle()
                yield result
            self.settle()
        self.names, self.fresh = outside, False

    def called(self, node: ast.Call) -> Any:
        """A function of the program, a builtin or a method."""
        if isinstance(node.func, ast.Attribute):
            return self.method(node, node.func)
        if not isinstance(node.func, ast.Name):
            raise TraceError("no call of the language")
        name = node.func.id
        if name in self.functions and not node.keywords:
            args = [self.value(arg) for arg in node.args]
            return self.own_function(name, args)
        if name in ("any", "all") and isinstance(node.args[0], ast.GeneratorExp):
            return self.lazily(name, node.args[0])
        args = [self.value(arg) for arg in node.args]
        options = {item.arg: self.value(item.value) for item in node.keywords if item.arg}
        shown = [*map(repr, args), *(f"{key}={value!r}" for key, value in options.items())]
        text = f"{name}({', '.join(shown)})"
        if name == "range":
            self.fresh = False
            return range(*args)
        if name == "sum" and len(args) == 1 and len(args[0]) > 1:
            self.note(text)
            total, *others = args[0]
            for item in others:
                total = self.operation(f"{total!r} + {item!r}", total + item)
            return total
        try:
            return self.operation(text, apply_builtin(name, args, options))
        except NotImplementedError as error:
            raise TraceError(str(error)) from error

    def own_function(self, name: str, args: list[Any]) -> Any:
        """Break the line off, run the function, and go on."""
        self.note(f"{name}({', '.join(map(repr, args))})")
        self.end_line()
        before = {key: repr(value) for key, value in self.names.items()}
        result = self.call(name, args)
        for key, text in before.items():
            if repr(self.names[key]) != text:
                self.note(f"{key} = {self.names[key]!r}")
        return result

    def lazily(self, name: str, node: ast.GeneratorExp) -> bool:
        """`any` or `all` of a generator, which stop at the first item that decides."""
        outside, items = dict(self.names), []
        for item in self.comprehension(node):
            items.append(item)
            if bool(item) is (name == "any"):
                break
        self.names = outside
        return bool(self.operation(f"{name}({items!r})", apply_builtin(name, [items], {})))

    def method(self, node: ast.Call, target: ast.Attribute) -> Any:
        """A method of a string, list or dict; the new value of what it changes is written."""
        owner, name = self.value(target.value), target.attr
        if name not in METHODS.get(type(owner), ()) or len(node.keywords) > 0:
            raise TraceError(f"no method of the language: {name}")
        args = [self.value(arg) for arg in node.args]
        shown = f".{name}({', '.join(map(repr, args))})"
        text = f"{owner!r}{shown}"
        function: Callable[..., Any] = getattr(owner, name)
        result = function(*args)
        if name in MUTATORS:
            self.note(shown if result is None else f"{shown} = {result!r}")
            self.changed(target.value)
            return result
        if name in ("values", "keys", "items"):
            result = list(result)
        return self.operation(text, result)


def _contents(sequence: list[Any] | dict[Any, Any]) -> list[Any]:
    return list(sequence.items() if isinstance(sequence, dict) else sequence)
