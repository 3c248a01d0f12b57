"""Metamath databases: reading them, and checking proofs by substitution and comparison.

The language is that of the Metamath book (N. Megill and D. A. Wheeler, "Metamath: A Computer
Language for Mathematical Proofs", 2019, https://us.metamath.org/downloads/metamath.pdf): chapter 4
for databases, frames and proofs, appendix B for compressed proofs. Sections are named where they
are implemented. Files are not included (`$[`): a database is one text.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

Expression = tuple[str, ...]
"""Math symbols; the first is a constant, the type code."""
Pair = tuple[str, str]
"""Two variables in alphabetical order."""
_LABEL = re.compile(r"[A-Za-z0-9._-]+")
_SYMBOL = re.compile(r"[!-#%-~]+")


class MetamathError(ValueError):
    """A text is no Metamath database, or a proof does not prove its theorem."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A `$f` (a variable and its type) or an `$e` statement."""

    label: str
    expression: Expression
    floating: bool


@dataclass(frozen=True, slots=True)
class Assertion:
    """An `$a` or `$p` statement with its mandatory frame (section 4.2.7)."""

    label: str
    expression: Expression
    hypotheses: tuple[Hypothesis, ...]
    """The mandatory ones, in the order of the database."""
    disjoint: frozenset[Pair]
    """Mandatory pairs of variables that nothing in common may be put in for."""


@dataclass(frozen=True, slots=True)
class Theorem:
    """What a proof is to prove, and what it may use beside earlier assertions."""

    assertion: Assertion
    active: Mapping[str, Hypothesis]
    """All active hypotheses by label, mandatory or not."""
    disjoint: frozenset[Pair]
    """All active pairs, mandatory or not."""


@dataclass(slots=True)
class _Scope:
    """What one `${ … $}` block declares (section 4.2.8); the outermost has no braces."""

    variables: set[str] = field(default_factory=set)
    typed: set[str] = field(default_factory=set)
    """Variables with a `$f`."""
    hypotheses: list[Hypothesis] = field(default_factory=list)
    disjoint: set[Pair] = field(default_factory=set)


class Database:
    """Assertions by label; `read` adds those of a text."""

    def __init__(self) -> None:
        self.assertions: dict[str, Assertion] = {}
        self.constants: set[str] = set()
        self.variables: set[str] = set()
        """All that were ever declared."""
        self._labels: set[str] = set()
        self._scopes = [_Scope()]

    def read(self, text: str) -> Iterator[tuple[Theorem, tuple[str, ...]]]:
        """Add the statements of a text; yield each `$p` statement with its proof, unchecked.

        Raises:
            MetamathError: the text breaks a rule of chapter 4.
        """
        tokens = _tokens(text)
        for token in tokens:
            if token == "${":
                self._scopes.append(_Scope())
            elif token == "$}":
                if len(self._scopes) == 1:
                    raise MetamathError("$} without ${")
                self._scopes.pop()
            elif token in ("$c", "$v", "$d"):
                self._declare(token, _until(tokens, "$."))
            else:
                yield from self._statement(token, tokens)
        if len(self._scopes) > 1:
            raise MetamathError("${ without $}")

    def theorem(self, label: str, expression: Expression) -> Theorem:
        """Return a theorem in the scope that reading ended in.

        Raises:
            MetamathError: the expression is not one of active symbols.
        """
        self._check(expression)
        hypotheses = [item for scope in self._scopes for item in scope.hypotheses]
        disjoint = frozenset(pair for scope in self._scopes for pair in scope.disjoint)
        essential = [item.expression for item in hypotheses if not item.floating]
        mandatory = {s for item in (expression, *essential) for s in item if s in self.variables}
        frame = tuple(h for h in hypotheses if not h.floating or h.expression[1] in mandatory)
        pairs = frozenset(pair for pair in disjoint if mandatory.issuperset(pair))
        assertion = Assertion(label, expression, frame, pairs)
        return Theorem(assertion, {item.label: item for item in hypotheses}, disjoint)

    def _active(self, variable: str) -> bool:
        return any(variable in scope.variables for scope in self._scopes)

    def _declare(self, keyword: str, symbols: list[str]) -> None:
        """Sections 4.2.3 (`$c`, `$v`) and 4.2.5 (`$d`)."""
        if keyword == "$d":
            if len(set(symbols)) != len(symbols) or not all(map(self._active, symbols)):
                raise MetamathError(f"$d {' '.join(symbols)}: not different active variables")
            self._scopes[-1].disjoint |= {_pair(a, b) for a in symbols for b in symbols if a < b}
            return
        if keyword == "$c" and len(self._scopes) > 1:
            raise MetamathError("$c in a block")
        for symbol in symbols:
            again = symbol in self.variables if keyword == "$c" else self._active(symbol)
            if again or symbol in self.constants or symbol in self._labels:
                raise MetamathError(f"{symbol} is declared already")
            if not _SYMBOL.fullmatch(symbol):
                raise MetamathError(f"{symbol!r} is no math symbol")
            (self.constants if keyword == "$c" else self.variables).add(symbol)
            if keyword == "$v":
                self._scopes[-1].variables.add(symbol)

    def _statement(
        self, label: str, tokens: Iterator[str]
    ) -> Iterator[tuple[Theorem, tuple[str, ...]]]:
        """Sections 4.2.4 (`$f`, `$e`) and 4.2.6 (`$a`, `$p`)."""
        if not _LABEL.fullmatch(label):
            raise MetamathError(f"{label!r} is no label")
        if label in self._labels or label in self.constants or label in self.variables:
            raise MetamathError(f"the label {label} is in use")
        keyword = next(tokens, "the end")
        if keyword not in ("$f", "$e", "$a", "$p"):
            raise MetamathError(f"{label}: {keyword} where a statement should begin")
        expression = tuple(_until(tokens, "$=" if keyword == "$p" else "$."))
        if keyword == "$f":
            self._check_floating(expression)
        if keyword in ("$f", "$e"):
            self._check(expression, typed=keyword == "$e")
            item = Hypothesis(label, expression, floating=keyword == "$f")
            self._scopes[-1].hypotheses.append(item)
            if keyword == "$f":
                self._scopes[-1].typed.add(expression[1])
        else:
            theorem = self.theorem(label, expression)
            if keyword == "$p":
                yield theorem, tuple(_until(tokens, "$."))
            self.assertions[label] = theorem.assertion
        self._labels.add(label)

    def _typed(self, variable: str) -> bool:
        return any(variable in scope.typed for scope in self._scopes)

    def _check_floating(self, expression: Expression) -> None:
        if len(expression) != 2 or not self._active(expression[1]):
            raise MetamathError(f"$f {' '.join(expression)}: not a type and an active variable")
        if self._typed(expression[1]):
            raise MetamathError(f"{expression[1]} has a type already")

    def _check(self, expression: Expression, typed: bool = True) -> None:
        if not expression or expression[0] not in self.constants:
            raise MetamathError(f"{' '.join(expression)!r} does not begin with a constant")
        usable = self._typed if typed else self._active
        for symbol in expression:
            if symbol not in self.constants and not usable(symbol):
                raise MetamathError(f"{symbol!r} is no constant and no active, typed variable")


def _pair(a: str, b: str) -> Pair:
    return (a, b) if a < b else (b, a)


def _tokens(text: str) -> Iterator[str]:
    """Yield the tokens outside of comments (section 4.1.2)."""
    comment = False
    for match in re.finditer(r"[^ \t\r\n\f]+", text):
        token = match[0]
        if comment:
            comment = token != "$)"
            if comment and ("$(" in token or "$)" in token):
                raise MetamathError(f"{token} in a comment")
        elif token == "$(":
            comment = True
        elif token == "$[":
            raise MetamathError("$[: other files are not included")
        else:
            yield token
    if comment:
        raise MetamathError("a comment has no end")


def _until(tokens: Iterator[str], end: str) -> list[str]:
    symbols: list[str] = []
    for token in tokens:
        if token == end:
            return symbols
        if token.startswith("$"):
            raise MetamathError(f"{token} where {end} should be")
        symbols.append(token)
    raise MetamathError(f"the text ends before {end}")


# ── proofs ──────────────────────────────────────────────────────────────────────────────────────


def check_proof(
    database: Database,
    theorem: Theorem,
    proof: Sequence[str],
    max_symbols: int | None = None,
) -> None:
    """Check that a proof, in normal or compressed form, proves a theorem (section 4.3).

    A proof is a list of labels in reverse Polish notation. Only assertions that `database` has
    already may be used. `max_symbols` bounds every expression on the stack; None: no bound.

    Raises:
        MetamathError: it does not, or is too large.
    """
    stack = _Stack(database, theorem, max_symbols)
    if proof and proof[0] == "(":
        _run_compressed(stack, proof)
    else:
        for label in proof:
            stack.push(stack.find(label))
    if stack.entries != [theorem.assertion.expression]:
        left = stack.entries[-1] if stack.entries else ()
        raise MetamathError(
            f"the proof ends with {len(stack.entries)} expressions, the last {' '.join(left)!r}"
        )


class _Stack:
    """The stack of a proof, and the one rule of inference."""

    def __init__(self, database: Database, theorem: Theorem, max_symbols: int | None) -> None:
        self.database, self.theorem, self.max_symbols = database, theorem, max_symbols
        self.entries: list[Expression] = []

    def find(self, label: str) -> Hypothesis | Assertion:
        step = self.theorem.active.get(label) or self.database.assertions.get(label)
        if step is None:
            raise MetamathError(f"{label!r} is no label that the proof may use")
        return step

    def push(self, step: Hypothesis | Assertion) -> None:
        """Take the hypotheses of a step from the stack, and put its expression there."""
        if isinstance(step, Hypothesis):
            self.entries.append(step.expression)
            return
        base = len(self.entries) - len(step.hypotheses)
        if base < 0:
            raise MetamathError(f"{step.label} needs {len(step.hypotheses)} expressions")
        values: dict[str, Expression] = {}
        for hypothesis, entry in zip(step.hypotheses, self.entries[base:], strict=True):
            if not hypothesis.floating:
                if substitute(hypothesis.expression, values) != entry:
                    raise MetamathError(f"{step.label}: {' '.join(entry)} does not fit")
            elif entry[0] != hypothesis.expression[0]:
                raise MetamathError(f"{step.label}: {' '.join(entry)} has another type")
            else:
                values[hypothesis.expression[1]] = entry[1:]
        if step.disjoint:
            self._check_disjoint(step, values)
        del self.entries[base:]
        entry = substitute(step.expression, values)
        if self.max_symbols is not None and len(entry) > self.max_symbols:
            raise MetamathError(f"{step.label} gives more than {self.max_symbols} symbols")
        self.entries.append(entry)

    def _check_disjoint(self, step: Assertion, values: Mapping[str, Expression]) -> None:
        """Section 4.2.5: what is put in has no variable in common, and each pair is declared."""
        variables = {name: self.database.variables.intersection(e) for name, e in values.items()}
        for a, b in step.disjoint:
            for left in variables[a]:
                for right in variables[b]:
                    if left == right or _pair(left, right) not in self.theorem.disjoint:
                        raise MetamathError(f"{step.label}: {left} and {right} must be distinct")


def substitute(expression: Expression, values: Mapping[str, Expression]) -> Expression:
    """Return an expression with variables replaced, all at once."""
    symbols: list[str] = []
    for symbol in expression:
        if symbol in values:
            symbols.extend(values[symbol])
        else:
            symbols.append(symbol)
    return tuple(symbols)


def _run_compressed(stack: _Stack, proof: Sequence[str]) -> None:
    """Appendix B: numbers stand for mandatory hypotheses, the labels in parentheses, and
    expressions that a `Z` has marked, in this order."""
    if ")" not in proof:
        raise MetamathError("a compressed proof without )")
    close = proof.index(")")
    mandatory = stack.theorem.assertion.hypotheses
    labels = proof[1:close]
    if {item.label for item in mandatory} & {*labels}:
        raise MetamathError("a mandatory hypothesis in parentheses")
    steps = [*mandatory, *map(stack.find, labels)]
    marked: list[Expression] = []
    number = 0
    for letter in "".join(proof[close + 1 :]):
        if "A" <= letter <= "T":
            number = 20 * number + ord(letter) - ord("A")
            if number < len(steps):
                stack.push(steps[number])
            elif number < len(steps) + len(marked):
                stack.entries.append(marked[number - len(steps)])
            else:
                raise MetamathError(f"the number {number + 1} stands for nothing")
            number = 0
        elif "U" <= letter <= "Y":
            number = 5 * number + ord(letter) - ord("U") + 1
            if number > len(steps) + len(marked):
                raise MetamathError(f"a number from {number} on stands for nothing")
        elif letter == "Z" and not number and stack.entries:
            marked.append(stack.entries[-1])
        else:
            raise MetamathError(f"{letter!r} has no place in a compressed proof here")
    if number:
        raise MetamathError("the last number has no end")
