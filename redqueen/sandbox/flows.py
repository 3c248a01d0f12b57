"""Where values of a program may go: from names to names, into containers, and out of functions.

A rough picture, the same whatever the order of statements: names of all functions are one
namespace, and what is put into a container may be what is taken out. It is there to find what monty
does otherwise than CPython and what no single expression shows (see `differences`):

- which expressions may be a bool or a float, or hold one. As keys of a dict they may equal a key
  of another type, of which monty keeps the last and CPython the first;
- which may hold themselves, or be nested as deep as a loop goes. Their text is cut short in monty;
- which may be a function, a class or an instance. Their text is another in monty.
"""

import ast
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

Leaf = tuple[str, bool]
"""What a value may be, or hold: a source or a node, and whether it lies in a container of it."""
FUEL = 200_000
"""Steps that are made over one program."""
ODD, OBJECT, NESTED = "<odd>", "<object>", "<nested>"
"""Sources: a bool or a float; a function, class or instance; what may hold itself."""
_VALUES = "values of "
"""Before the name of a node: the values of a dict, what is stored at a place of a list."""
_ALL, _PART, _PLACE = range(3)
"""How much of a value is taken: all, something in it, what it has at a place."""
_PLAIN_CALLS = frozenset({
    "len", "int", "str", "repr", "ord", "chr", "bin", "hex", "oct", "range", "bytes", "hash", "id",
    "format", "ascii", "print", "round",
})  # fmt: skip
_BOOL_CALLS = frozenset({
    "bool", "any", "all", "isinstance", "callable", "hasattr", "float", "complex",
})  # fmt: skip
_BOOL_METHODS = frozenset({"startswith", "endswith", "issubset", "issuperset", "isdisjoint"})
_TAKERS = frozenset({"pop", "get", "setdefault", "copy", "items", "values", "keys", "popitem"})
PUTTERS = frozenset({
    "append", "add", "insert", "extend", "update", "setdefault", "appendleft",
})  # fmt: skip
_WHOLE_MATH = frozenset({
    "floor", "ceil", "trunc", "factorial", "gcd", "lcm", "comb", "perm", "isqrt",
})  # fmt: skip


class TooLargeError(Exception):
    """More flows than anybody follows."""


class Flows:
    """The picture of one program; `odd_arguments`: those of its call hold a bool or a float.

    Raises:
        TooLargeError: it is too large to be drawn.
    """

    def __init__(self, tree: ast.Module, odd_arguments: bool = False) -> None:
        self._edges: defaultdict[str, set[Leaf]] = defaultdict(set)
        self._deeper: defaultdict[str, set[Leaf]] = defaultdict(set)
        """The same without what is taken out of a container: on such a way nothing gets deeper."""
        self._fuel = FUEL
        self._nodes = list(ast.walk(tree))
        self._functions = {n.name: n for n in self._nodes if isinstance(n, ast.FunctionDef)}
        self._classes = {n.name for n in self._nodes if isinstance(n, ast.ClassDef)}
        self._parameters = {node.arg for node in self._nodes if isinstance(node, ast.arg)}
        self._modules = {
            item.asname or item.name
            for node in self._nodes
            if isinstance(node, ast.Import)
            for item in node.names
        }
        for function in self._functions.values():
            self._read_function(function, odd_arguments)
        for node in self._nodes:
            self._read(node)
        self._reached: dict[str, set[str]] = {}
        self._mark_nested()

    def may_be(self, expression: ast.AST, source: str) -> bool:
        """Return whether the value of an expression may be, or hold, what a source stands for."""
        return any(
            leaf == source or source in self._sources(leaf) for leaf, *_ in self._leaves(expression)
        )

    def may_hold(self, expression: ast.AST, source: str) -> bool:
        """Return the same, the values of a dict included."""
        leaves = [leaf for leaf, *_ in self._leaves(expression)]
        return self.may_be(expression, source) or any(
            source in self._sources(_VALUES + leaf) for leaf in leaves
        )

    # ── what flows where ────────────────────────────────────────────────────────────────────────

    def _read_function(self, function: ast.FunctionDef, odd_arguments: bool) -> None:
        taken = function.args
        positional = [*taken.posonlyargs, *taken.args]
        names = [*positional, *taken.kwonlyargs]
        names += [item for item in (taken.vararg, taken.kwarg) if item is not None]
        defaults = [*taken.defaults, *taken.kw_defaults]
        of_defaults = [*positional[len(positional) - len(taken.defaults) :], *taken.kwonlyargs]
        for item, default in zip(of_defaults, defaults, strict=True):
            if default is not None:
                self._flow(default, item.arg)
        if odd_arguments:
            for item in names:
                self._edges[item.arg].add((ODD, True))
        pending: list[ast.AST] = list(function.body)
        while pending:
            node = pending.pop()
            if isinstance(node, ast.Return) and node.value is not None:
                self._flow(node.value, f"result of {function.name}")
            if not isinstance(node, ast.FunctionDef | ast.Lambda):
                pending += ast.iter_child_nodes(node)

    def _read(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._store(target, value)
                names = [item.id for item in (*targets, value) if isinstance(item, ast.Name)]
                # Two names of one list: what is done to it, both have.
                for name, other in zip(names, names[1:] + names[:1], strict=True):
                    for edges in (self._edges, self._deeper):
                        edges[name].add((other, False))
                        edges[other].add((name, False))
            case ast.AugAssign(target=target, value=value):
                self._store(target, value)
                if isinstance(node.op, ast.Div):
                    self._store(target, ast.Constant(0.5))
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._store(target, value)
            case ast.NamedExpr(target=target, value=value):
                self._store(target, value)
            case ast.For(target=target, iter=value) | ast.comprehension(target=target, iter=value):
                self._take(target, value)
            case ast.Call(func=ast.Attribute(value=owner, attr=name), args=args) if name in PUTTERS:
                for item in args:
                    for base in _bases(owner):
                        self._flow(item, base, nested=name not in ("extend", "update"))
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args) if (
                name in self._functions
            ):
                self._call(self._functions[name], args, node.keywords)

    def _call(
        self, function: ast.FunctionDef, args: list[ast.expr], keywords: list[ast.keyword]
    ) -> None:
        taken = function.args
        names = [item.arg for item in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs)]
        rest = [item.arg for item in (taken.vararg, taken.kwarg) if item is not None]
        exact = not rest and names[:1] != ["self"]
        exact = exact and not any(isinstance(item, ast.Starred) for item in args)
        for place, item in enumerate(args):
            for name in names[place : place + 1] if exact else (*names, *rest):
                self._flow(item, name)
        for keyword in keywords:
            for name in [keyword.arg] if keyword.arg in names else (*names, *rest):
                self._flow(keyword.value, str(name))

    def _take(self, target: ast.expr, source: ast.expr) -> None:
        """Let a loop's target have what its iterable holds."""
        inner = source
        while True:
            match inner:
                case ast.Call(func=ast.Name(id="enumerate"), args=[first, *_]) if isinstance(
                    target, ast.Tuple
                ):
                    target, inner = target.elts[-1], first
                case ast.Call(
                    func=ast.Name(id="sorted" | "list" | "reversed" | "tuple"), args=[first, *_]
                ):
                    inner = first
                case _:
                    break
        match target, inner:
            case (
                ast.Tuple(elts=[key, value]),
                ast.Call(func=ast.Attribute(value=owner, attr="items"), args=[]),
            ):
                self._store(key, owner, taken=True)
                self._store(value, ast.Subscript(owner, ast.Constant(0), ast.Load()))
            case _:
                self._store(target, inner, taken=True)

    def _store(self, target: ast.expr, value: ast.expr, taken: bool = False) -> None:
        taken = taken or isinstance(target, ast.Tuple | ast.List)
        for item in ast.walk(target):
            match item:
                case ast.Name(id=name, ctx=ast.Store()):
                    self._flow(value, name, taken=taken)
                case ast.Subscript(value=owner, slice=key, ctx=ast.Store()):
                    for base in _bases(owner):
                        self._flow(value, _VALUES + base, nested=True)
                        self._flow(key, base, nested=True)
                case ast.Attribute(attr=name, ctx=ast.Store()):
                    self._flow(value, f".{name}")

    def _flow(
        self, value: ast.expr, target: str, nested: bool = False, taken: bool = False
    ) -> None:
        for leaf, inside, is_value, out in self._leaves(value):
            place = _VALUES + target if is_value else target
            deeper = nested or (inside and not taken)
            self._edges[place].add((leaf, deeper))
            if not out and (inside or not taken):
                self._deeper[place].add((leaf, deeper))
            if not (is_value or inside or leaf.startswith(("<", _VALUES))):
                self._edges[_VALUES + target].add((_VALUES + leaf, nested))

    def _leaves(self, expression: ast.AST) -> Iterator[tuple[str, bool, bool, bool]]:
        """Yield what the value of an expression is made of: the leaf, whether it lies in the value,
        whether it does so as the value of a dict, and whether only a part of it is taken."""
        pending = [(expression, False, False, _ALL)]
        while pending:
            self._spend()
            node, nested, is_value, taken_out = pending.pop()
            parts, inside, found = self._parts(node)
            for leaf in found:
                yield leaf, nested, is_value, taken_out != _ALL
                if taken_out == _PLACE and leaf[0] != "<":
                    yield _VALUES + leaf, nested, is_value, False
            match node:
                case ast.Dict(values=values):
                    pending += [(v, True, is_value or taken_out != _PLACE, _ALL) for v in values]
                case ast.DictComp(value=value):
                    pending.append((value, True, is_value or taken_out != _PLACE, _ALL))
                case ast.Subscript(slice=key) if not isinstance(key, ast.Slice):
                    taken_out = _PLACE
                case ast.Call(func=ast.Attribute(attr="get" | "pop" | "values" | "items")):
                    taken_out = _PLACE
                case ast.Call(func=ast.Name(id="sum" | "min" | "max")):
                    taken_out = max(taken_out, _PART)
            pending += [(part, nested or inside, is_value, taken_out) for part in parts]

    def _parts(self, node: ast.AST) -> tuple[Iterable[ast.AST], bool, Iterable[str]]:
        """Return the parts that a value is made of, whether they lie in it, and leaves."""
        match node:
            case ast.Constant(value=bool() | float() | complex()) | ast.Compare():
                return (), False, (ODD,)
            case ast.UnaryOp(op=ast.Not()):
                return (), False, (ODD,)
            case ast.BinOp(op=ast.Div()):
                return (), False, (ODD,)
            case ast.BinOp(op=ast.Pow(), left=left, right=right):
                whole = isinstance(right, ast.Constant)
                return (left, right), False, () if whole else (ODD,)
            case ast.BinOp() if _is_text(node):
                return (), False, ()
            case ast.BinOp(left=left, right=right):
                return (left, right), False, ()
            case ast.Name(id=name):
                known = name in self._functions or name in self._classes | self._modules
                return (), False, (OBJECT,) if known and name not in self._parameters else (name,)
            case ast.Lambda():
                return (), False, (OBJECT,)
            case ast.Attribute(value=ast.Name(id=name)) if name in self._modules:
                return (), False, (ODD,)
            case ast.Attribute(value=value, attr=name):
                return (value,), False, (f".{name}",)
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                return items, True, ()
            case ast.Dict(keys=keys):
                return [item for item in keys if item is not None], True, ()
            case ast.ListComp(elt=item) | ast.SetComp(elt=item) | ast.GeneratorExp(elt=item):
                return (item,), True, ()
            case ast.DictComp(key=key):
                return (key,), True, ()
            case ast.Subscript(value=value) | ast.Starred(value=value):
                return (value,), False, ()
            case ast.NamedExpr(value=value) | ast.UnaryOp(operand=value):
                return (value,), False, ()
            case ast.BoolOp(values=values):
                return values, False, ()
            case ast.IfExp(body=body, orelse=other):
                return (body, other), False, ()
            case ast.Call(func=function, args=args):
                return self._parts_of_call(function, args)
        return (), False, ()

    def _parts_of_call(
        self, function: ast.expr, args: list[ast.expr]
    ) -> tuple[Iterable[ast.AST], bool, Iterable[str]]:
        match function:
            case ast.Name(id=name) if name in self._functions:
                return (), False, (f"result of {name}",)
            case ast.Name(id=name) if name in self._classes:
                return (), False, (OBJECT,)
            case ast.Name(id=name) if name in _PLAIN_CALLS:
                return (), False, ()
            case ast.Name(id=name) if name in _BOOL_CALLS:
                return (), False, (ODD,)
            case ast.Name(id="map") if args:
                called = ast.Call(args[0], [], [])
                made = args[0].body if isinstance(args[0], ast.Lambda) else called
                return (made, *args[1:]), False, ()
            case ast.Name(id=name):
                return args, False, (name,)
            case ast.Attribute(value=ast.Name(id="math"), attr=name):
                return (), False, () if name in _WHOLE_MATH else (ODD,)
            case ast.Attribute(attr=name) if name in self._functions:
                return (), False, (f"result of {name}",)
            case ast.Attribute(value=owner, attr=name) if name in _TAKERS:
                return (owner, *args), False, ()
            case ast.Attribute(attr=name) if name in _BOOL_METHODS or name.startswith("is"):
                return (), False, (ODD,)
        return (), False, ()

    # ── what is reached ─────────────────────────────────────────────────────────────────────────

    def _sources(self, node: str) -> set[str]:
        """Return all that flows into a node."""
        if node not in self._reached:
            self._reached[node] = self._reach(node, self._edges)
        return self._reached[node]

    def _reach(self, node: str, edges: Mapping[str, Collection[Leaf]]) -> set[str]:
        seen, pending = set[str](), [node]
        while pending:
            for leaf, _ in edges.get(pending.pop(), ()):
                self._spend()
                if leaf not in seen:
                    seen.add(leaf)
                    pending.append(leaf)
        return seen

    def _spend(self) -> None:
        self._fuel -= 1
        if self._fuel < 0:
            raise TooLargeError

    def _mark_nested(self) -> None:
        """Make `NESTED` a source of every node that flows into a container of its own, and of those
        that a program goes down in: what was put into them takes their place."""
        deep = []
        for node, leaves in self._deeper.items():
            owner = node.removeprefix(_VALUES)
            for leaf, nested in leaves:
                if nested:
                    inside = leaf == owner or owner in self._reach(leaf, self._deeper)
                    down = leaf, False
                    if inside or down in self._deeper.get(owner, ()):
                        deep.append(owner)
                elif node == owner and leaf == _VALUES + node:
                    deep.append(owner)
        for node in deep:
            self._edges[node].add((NESTED, False))


def _is_text(node: ast.BinOp) -> bool:
    """Whether one of the parts of a sum is a text, so that all are."""
    part: ast.expr = node
    while isinstance(part, ast.BinOp) and isinstance(part.op, ast.Add):
        if _is_written(part.right):
            return True
        part = part.left
    return _is_written(part)


def _is_written(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _bases(owner: ast.expr) -> Iterator[str]:
    """Yield the name or attribute that an expression takes something of."""
    while isinstance(owner, ast.Subscript | ast.Call):
        owner = owner.func if isinstance(owner, ast.Call) else owner.value
        if isinstance(owner, ast.Attribute) and owner.attr in _TAKERS:
            owner = owner.value
    if isinstance(owner, ast.Name):
        yield owner.id
    elif isinstance(owner, ast.Attribute):
        yield f".{owner.attr}"
