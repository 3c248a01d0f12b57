"""The statement half of the grammar: free bodies of blocks, loops, branches, several returns."""

from dataclasses import dataclass, field
from random import Random

from redqueen.environments.code.traced.expressions import (
    Scope,
    condition,
    constant,
    expression,
    literal,
)
from redqueen.environments.code.traced.values import KEYS, MUTABLE, TYPES

_INDENT = "    "
_NEW_TYPES = {"int": 5.0, "ints": 2.5, "str": 2.2, "bool": 0.7, "strs": 0.7, "pair": 0.5,
              "table": 0.5}  # fmt: skip
_STARTS = {"int": ("0", "0", "1"), "ints": ("[]",), "str": ("''",)}


@dataclass(slots=True)
class Writer:
    """Writes the body of one function. `budget` is the number of statements that are left."""

    rng: Random
    scope: Scope
    budget: int
    nesting: int
    depth: int
    result: str
    """Type of the function's value."""
    results: frozenset[str] = frozenset(TYPES)
    """What that type may become: that of the name which was worked on last."""
    lines: list[str] = field(default_factory=list)
    in_loop: bool = False
    total: str = ""
    """The latest accumulator: what is added up in a loop is mostly added to it."""

    def line(self, level: int, text: str) -> None:
        """Append one line."""
        self.lines.append(_INDENT * level + text)

    def body(self) -> list[str]:
        """The whole body, its last line a `return`."""
        while self.budget > 0:
            self.statement(1, self.scope)
        latest = next(reversed(self.scope.types.values()))
        if self.rng.random() < 0.75 and latest in self.results:
            self.result = latest  # what was worked on last is what is returned
        self.final_return(1, self.scope)
        return self.lines

    def final_return(self, level: int, scope: Scope) -> None:
        """`return` of the latest names, or of an expression."""
        names = scope.of_type(self.result)
        if names and self.lines and self.rng.random() < 0.55:
            self.line(level, f"return {names[-1] if self.rng.random() < 0.8 else names[0]}")
        else:
            self.line(level, f"return {self.expression(self.result, scope)}")

    def expression(self, kind: str, scope: Scope) -> str:
        """An expression, deeper with a small chance."""
        deep = self.rng.choice((1, 1, 1, 2, 3))
        return expression(kind, scope, self.rng, min(self.depth, deep))

    def statement(self, level: int, scope: Scope) -> None:
        """One statement at an indentation level, with all that hangs on it."""
        blocks = level <= self.nesting and self.budget >= 2
        choices = {
            self.new: 3.0 if level == 1 else 0.8,
            self.rebind: 2.5,
            self.augment: 1.2 if level == 1 else 2.8,
            self.mutate: 1.0,
            self.swap: 0.3,
            self.branch: 3.4 if blocks else 0.0,
            self.loop_over: 2.6 if blocks else 0.0,
            self.loop_while: 1.2 if blocks else 0.0,
            self.leave: 0.9 if self.in_loop and level > 1 else 0.0,
        }
        while True:
            write = self.rng.choices(list(choices), list(choices.values()))[0]
            if write(level, scope):
                return

    # ── simple statements ───────────────────────────────────────────────────────────────────────

    def bind(self, level: int, scope: Scope, name: str, kind: str, text: str) -> bool:
        """`name = text`; the name becomes the latest of its scope."""
        self.line(level, f"{name} = {text}")
        scope.touch(name, kind)
        self.budget -= 1
        return True

    def new(self, level: int, scope: Scope) -> bool:
        """Bind a new name."""
        kind = self.rng.choices(list(_NEW_TYPES), list(_NEW_TYPES.values()))[0]
        text = self.expression(kind, scope)
        return self.bind(level, scope, scope.new_name(self.rng), kind, text)

    def rebind(self, level: int, scope: Scope) -> bool:
        """Bind a name again, mostly with its type."""
        name = self.rng.choice(list(scope.types))
        kind = scope.types[name]
        if level == 1 and self.rng.random() < 0.1:
            kind = self.rng.choice(TYPES)
        return self.bind(level, scope, name, kind, self.expression(kind, scope))

    def augment(self, level: int, scope: Scope) -> bool:
        """`name += …` and its like."""
        names = [name for name, kind in scope.types.items() if kind in ("int", "str", "ints")]
        if not names:
            return False
        name = self.rng.choice(names)
        if self.in_loop and self.total in names and self.rng.random() < 0.6:
            name = self.total
        kind = scope.types[name]
        sign = "+"
        if kind == "int":
            sign = self.rng.choices(("+", "-", "*", "//", "%"), (6, 3, 1.2, 0.4, 0.4))[0]
            amount = constant("#" if sign in "+-" else "k", self.rng)
            others = [n for n in scope.of_type("int") if n != name]
            if sign in "+-" and others and self.rng.random() < 0.6:
                amount = self.rng.choice(others)
            elif sign in "+-" and self.rng.random() < 0.25:
                amount = self.expression("int", scope)
        elif kind == "str":
            amount = self._piece("str", scope, constant("w", self.rng))
        else:
            item = self._piece("int", scope, constant("n", self.rng))
            amount = f"[{item}]"
        self.line(level, f"{name} {sign}= {amount}")
        scope.touch(name, kind)
        self.budget -= 1
        return True

    def mutate(self, level: int, scope: Scope) -> bool:
        """Change a list or a table in place."""
        names = [name for name, kind in scope.types.items() if kind in MUTABLE]
        if not names:
            return False
        name = self.rng.choice(names)
        kind = scope.types[name]
        item = "str" if kind == "strs" else "int"
        value = self._piece(item, scope, literal(item, self.rng))
        if kind == "table":
            key = repr(self.rng.choice(KEYS))
            sign = self.rng.choice(("=", "=", "+=")) if f"[{key}]" in "".join(self.lines) else "="
            self.line(level, f"{name}[{key}] {sign} {value}")
        else:
            index = constant("i", self.rng)
            forms = ((5.0, f"{name}.append({value})"), (1.0, f"{name}[{index}] = {value}"),
                     (0.5, f"{name}[{index}] += {value}"), (0.6, f"{name}.sort()"),
                     (0.6, f"{name}.reverse()"), (0.4, f"{name}.insert(0, {value})"),
                     (0.4, f"{name}.pop()"))  # fmt: skip
            self.line(level, self.rng.choices(forms, [weight for weight, _ in forms])[0][1])
        scope.touch(name, kind)
        self.budget -= 1
        return True

    def swap(self, level: int, scope: Scope) -> bool:
        """`a, b = …, …` of two numbers."""
        names = scope.of_type("int")
        if len(names) < 2:
            return False
        first, second = self.rng.sample(names, 2)
        right = self.rng.choice((first, self.expression("int", scope)))
        self.line(level, f"{first}, {second} = {second}, {right}")
        self.budget -= 1
        return True

    def leave(self, level: int, scope: Scope) -> bool:
        """`break`, `continue` or a `return` from within a loop, under a condition of its own."""
        word = self.rng.choice(("break", "break", "continue", "return"))
        self.line(level, f"if {condition(scope, self.rng, 1)}:")
        if word == "return":
            self.final_return(level + 1, scope)
        else:
            self.line(level + 1, word)
        self.budget -= 1
        return True

    def _piece(self, kind: str, scope: Scope, otherwise: str) -> str:
        """What is added to a value: a name, an expression, or a constant."""
        names = scope.of_type(kind)
        draw = self.rng.random()
        if names and draw < 0.6:
            return self.rng.choice(names)
        return self.expression(kind, scope) if draw < 0.8 else otherwise

    # ── blocks ──────────────────────────────────────────────────────────────────────────────────

    def block(self, level: int, scope: Scope, most: int) -> Scope:
        """One to `most` statements in a scope of their own; returns that scope."""
        inner = scope.inner()
        for _ in range(self.rng.randint(1, most)):
            self.statement(level, inner)
            if self.budget <= 0:
                break
        return inner

    def branch(self, level: int, scope: Scope) -> bool:
        """`if` with free bodies; `elif`, `else` or an early `return` by chance."""
        self.budget -= 1
        self.line(level, f"if {condition(scope, self.rng, min(2, self.depth))}:")
        if self.rng.random() < 0.2:
            self.final_return(level + 1, scope)
        else:
            self.block(level + 1, scope, 2)
        if self.budget > 0 and self.rng.random() < 0.35:
            self.line(level, f"elif {condition(scope, self.rng, 1)}:")
            self.block(level + 1, scope, 2)
        if self.budget > 0 and self.rng.random() < 0.5:
            self.line(level, "else:")
            self.block(level + 1, scope, 2)
        return True

    def loop_over(self, level: int, scope: Scope) -> bool:
        """`for` over a list, string, range, `enumerate` or table; often with an accumulator."""
        self._accumulator(level, scope)
        heads = [("int", "range({})", "int", 1.6)]
        heads += [("int", name, "ints", 3.0) for name in scope.of_type("ints")[-2:]]
        heads += [("str", name, "str", 1.5) for name in scope.of_type("str")[-2:]]
        heads += [("str", name, "strs", 1.5) for name in scope.of_type("strs")[-1:]]
        heads += [("str", name, "table", 1.5) for name in scope.of_type("table")[-1:]]
        item_type, source, kind, _ = self.rng.choices(heads, [head[-1] for head in heads])[0]
        inner, first = scope.inner(), scope.new_name(self.rng)
        head = f"for {first} in "
        if source == "range({})":
            source = self._range(scope)
        elif kind == "table" and self.rng.random() < 0.6:
            second = scope.new_name(self.rng)
            head, source = f"for {first}, {second} in ", f"{source}.items()"
            inner.types[second] = "int"
        elif kind != "table" and self.rng.random() < 0.28:
            second = scope.new_name(self.rng)
            head, source = f"for {first}, {second} in ", f"enumerate({source})"
            inner.types[second], item_type = item_type, "int"
        elif kind != "table" and self.rng.random() < 0.2:
            source += self.rng.choice(("[::-1]", "[1:]", "[:-1]", "[:3]"))
        inner.types[first] = item_type
        self.budget -= 1
        self.line(level, f"{head}{source}:")
        outside, self.in_loop = self.in_loop, True
        self.block(level + 1, inner, 3)
        self.in_loop = outside
        return True

    def loop_while(self, level: int, scope: Scope) -> bool:
        """`while` with a step that ends it, and a free rest of the body."""
        rng = self.rng
        counters, lists = scope.of_type("int"), scope.of_type("ints")
        self._accumulator(level, scope)
        if lists and rng.random() < 0.2:
            name = rng.choice(lists)
            head = rng.choice((f"len({name}) > {rng.randint(0, 2)}", name))
            step = rng.choice((f"{name} = {name}[1:]", f"{name}.pop()", f"{name} = {name}[:-1]"))
        elif lists and rng.random() < 0.3:
            name = scope.new_name(rng)
            self.bind(level, scope, name, "int", "0")
            head, step = f"{name} < len({rng.choice(lists)})", f"{name} += 1"
        elif counters:
            name = rng.choice(counters)
            amount = rng.randint(1, 9)
            forms = (
                (f"{name} > {rng.randint(0, 6)}", f"{name} -= {amount}"),
                (f"{name} > {rng.randint(1, 6)}", f"{name} //= {rng.choice((2, 3, 10))}"),
                (f"{name} < {rng.randint(5, 60)}", f"{name} += {amount}"),
                (f"{name} < {rng.randint(9, 90)}", f"{name} *= {rng.choice((2, 3))}"),
            )
            head, step = rng.choice(forms)
        else:
            return False
        if rng.random() < 0.15:
            head += f" and {condition(scope, rng, 0)}"
        self.budget -= 2
        self.line(level, f"while {head}:")
        inner = scope.inner()
        inner.types.pop(name)
        first = rng.random() < 0.4 or not inner.types
        if first:
            self.line(level + 1, step)
        outside, self.in_loop = self.in_loop, True
        if inner.types and (self.budget > 0 or not first) and rng.random() < 0.9:
            self.block(level + 1, inner, 2)
        self.in_loop = outside
        if not first:
            self.line(level + 1, step)
        return True

    def _accumulator(self, level: int, scope: Scope) -> None:
        """Often a fresh total, list or text before a loop, for the body to build on."""
        if self.rng.random() < 0.55:
            kind = self.rng.choice(("int", "int", "ints", "str"))
            start = self.rng.choice(_STARTS[kind])
            self.total = scope.new_name(self.rng)
            self.bind(level, scope, self.total, kind, start)

    def _range(self, scope: Scope) -> str:
        names = scope.of_type("int")
        last = self.rng.choice(names) if names and self.rng.random() < 0.35 else ""
        if not last and scope.of_type("ints") and self.rng.random() < 0.3:
            last = f"len({scope.of_type('ints')[-1]})"
        if last:
            return f"range({last})"
        first, count = self.rng.randint(0, 3), self.rng.randint(2, 4)
        if first == 0:
            return f"range({count})"
        step = self.rng.choice((1, 1, 2, 3))
        tail = f", {step}" if step > 1 else ""
        return f"range({first}, {first + count * step}{tail})"
