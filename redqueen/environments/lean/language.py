"""Reading theorems and proofs: what a text may say, before Lean sees it.

A text is one theorem and nothing else. Whatever begins another command, extends the grammar, sets
an option or an attribute, or lets compiled code vouch for a proof is turned down by its words. That
works because a text keeps neither comments nor strings nor quoted names, in which words would mean
something else. What is left to Lean's kernel is whether the proof proves the theorem.
"""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from redqueen.environments.json_texts import is_text

NAME = "target"
"""Of the theorem, whatever its author called it."""
SORRY = frozenset({"sorry", "admit", "stop", "sorryAx"})
_COMPILED = """
    native native_decide ofReduceBool ofReduceNat reduceBool reduceNat trustCompiler lcProof
    lcUnreachable unsafe unsafeCast unsafeIO implemented_by extern csimp"""
COMPILED = frozenset(_COMPILED.split())
"""What lets compiled code, not the kernel, vouch for a proof."""
_COMMANDS = """
    theorem lemma def abbrev example instance axiom opaque structure inductive coinductive class
    mutual deriving variable universe namespace section end open export import include omit
    attribute set_option macro macro_rules syntax notation notation3 infix infixl infixr prefix
    postfix elab elab_rules declare_syntax_cat initialize builtin_initialize run_cmd run_elab
    run_meta run_tac by_elab include_str simproc dsimproc simproc_decl dsimproc_decl
    builtin_simproc builtin_dsimproc private protected noncomputable partial nonrec public meta
    local scoped alias add_decl_doc irreducible_def proof_wanted to_additive
    register_simp_attr register_option register_label_attr"""
COMMANDS = frozenset(_COMMANDS.split())
"""Words that begin a command or change one; some are Mathlib's."""
_BLOCK = re.compile(r"```(?:lean4?)?[ \t]*\n(.*?)```", re.DOTALL)
_HEAD = re.compile(r"\s*(?:theorem|lemma)\s+[^\s({\[:]+")
_COMMENT = re.compile(r"--[^\n]*|/-|-/")
_BRACKETS = {"(": 1, "[": 1, "{": 1, "⟨": 1, "⦃": 1, ")": -1, "]": -1, "}": -1, "⟩": -1, "⦄": -1}
_WORD = re.compile(r"[a-z_][\w'!?]*(?:\.[a-z_][\w'!?]*)*", re.ASCII | re.IGNORECASE)
"""Keywords are ASCII; parting at every other letter finds as many as Lean, or more."""
_TOKEN = re.compile(r"[^\W\d][\w'!?₀-₉.]*|\d+|[^\s\w]")
_COMMAND_SIGN = re.compile(r"@\[|#\s*[^\W\d]|\beval\s*%")
_NAMES = re.compile(
    r"[({⦃]\s*([^\W\d][^:(){}⦃⦄\[\],]*?)\s*:|(?:∀|∃!?|fun|λ)\s*([^\W\d][^:(){}⦃⦄\[\],=↦]*?)\s*(?:[:,↦]|=>)"
)


_SPELLINGS = {
    "<->": "↔", "->": "→", "/\\": "∧", "\\/": "∨", "!=": "≠", "<=": "≤", ">=": "≥", "ℕ": "Nat",
    "ℤ": "Int", "λ": "fun", "=>": "↦",
}  # fmt: skip
_SPELT = re.compile("|".join(map(re.escape, _SPELLINGS)))
"""What Lean reads as the same -> one of its spellings."""


class LeanTextError(Exception):
    """A text that is turned down unread by Lean; `reason` is a rejection's."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Theorem:
    """What stands between a theorem's name and `:=`, and what stands after it."""

    statement: str
    proof: str

    def command(self, proof: str | None = None) -> str:
        """Return the command that asserts it, with another proof if there is one."""
        return f"theorem {NAME} {self.statement} :=\n{self.proof if proof is None else proof}"


def read_theorem(text: str, max_chars: int) -> Theorem:
    """Return the theorem of a text's last block of code.

    Raises:
        LeanTextError: there is none, or it says what no text may say.
    """
    block = _last_block(text)
    head = _HEAD.match(block)
    if head is None:
        raise LeanTextError("unparsable")
    theorem = _split(block, head.end())
    if not 0 < len(theorem.statement) <= max_chars or len(theorem.proof) > max_chars:
        raise LeanTextError("too_large")
    _censor(theorem.statement)
    _censor(theorem.proof)
    return theorem


def read_proof(text: str, statement: str, max_chars: int) -> str:
    """Return the proof of a statement in a text's last block of code; it may repeat the theorem.

    Raises:
        LeanTextError: there is none, it proves another theorem, or says what no text may say.
    """
    proof = _last_block(text)
    if head := _HEAD.match(proof):
        theorem = _split(proof, head.end())
        if theorem.statement.split() != statement.split():
            raise LeanTextError("other_theorem")
        proof = theorem.proof
    elif proof.lstrip().startswith(":="):
        proof = proof.lstrip()[2:].strip("\n")
    if not proof.strip() or len(proof) > max_chars:
        raise LeanTextError("too_large" if proof.strip() else "unparsable")
    _censor(proof)
    return proof


def normal_form(statement: str) -> tuple[str, str]:
    """Return a statement with its bound names in order, signs in one spelling and no idle brackets;
    and that with every number as 0."""
    statement = _SPELT.sub(lambda match: _SPELLINGS[match[0]], statement)
    bound = (
        name for match in _NAMES.finditer(statement) for name in (match[1] or match[2]).split()
    )
    names = {name: f"v{number}" for number, name in enumerate(dict.fromkeys(bound))}
    words = _without_idle_brackets([names.get(word, word) for word in tokens(statement)])
    return " ".join(words), " ".join("0" if word.isdecimal() else word for word in words)


def _without_idle_brackets(words: list[str]) -> list[str]:
    """Return words without brackets around one of them, or around other brackets alone."""
    opened: list[int] = []
    idle: set[int] = set()
    pairs: dict[int, int] = {}
    for place, word in enumerate(words):
        if word == "(":
            opened.append(place)
        elif word == ")" and opened:
            pairs[opened.pop()] = place
    for start, end in sorted(pairs.items(), reverse=True):
        inside = [place for place in range(start + 1, end) if place not in idle]
        if len(inside) == 1 or (inside and pairs.get(inside[0]) == inside[-1]):
            idle |= {start, end}
    return [word for place, word in enumerate(words) if place not in idle]


def tokens(text: str) -> list[str]:
    """Return the words, numbers and signs of a text."""
    return _TOKEN.findall(text)


def _last_block(text: str) -> str:
    """Return the last block of code without comments and empty lines around it."""
    blocks = _BLOCK.findall(text)
    if not blocks:
        raise LeanTextError("unparsable")
    if any(sign in blocks[-1] for sign in '"«»') or not _is_plain(blocks[-1]):
        raise LeanTextError("unreadable")
    code = textwrap.dedent("".join(_without_comments(blocks[-1])))
    return code.strip("\n").rstrip()


def _is_plain(text: str) -> bool:
    return is_text(text) and all(sign.isprintable() or sign == "\n" for sign in text)


def _without_comments(text: str) -> Iterator[str]:
    """Yield what stands outside of comments, which nest.

    Raises:
        LeanTextError: a comment does not end.
    """
    place = depth = 0
    for mark in _COMMENT.finditer(text):
        if depth == 0:
            yield text[place : mark.start()]
            if mark[0] == "-/":
                raise LeanTextError("unreadable")
        depth += {"/-": 1, "-/": -1}.get(mark[0], 0)
        place = mark.end()
    if depth:
        raise LeanTextError("unreadable")
    yield text[place:]


def _split(block: str, start: int) -> Theorem:
    """Return statement and proof, parted at the first `:=` outside of brackets."""
    depth = 0
    for place in range(start, len(block)):
        depth += _BRACKETS.get(block[place], 0)
        if depth == 0 and block.startswith(":=", place):
            proof = _own_lines(block[place + 2 :], place + 1 - block.rfind("\n", 0, place))
            return Theorem(block[start:place].strip(), proof)
    raise LeanTextError("unparsable")


def _own_lines(proof: str, column: int) -> str:
    """Return a proof that began at a column as lines of their own, which keep their columns: Lean
    reads them."""
    first, _, rest = proof.partition("\n")
    if not rest.strip() or first.strip() == "by":  # the block's first line sets its column
        return proof.strip()
    return f"{' ' * column}{proof}".rstrip() if first.strip() else rest.strip("\n").rstrip()


def _censor(text: str) -> None:
    words = set(_WORD.findall(text))
    names = {word.rpartition(".")[2] for word in words}
    for reason, said in (
        ("sorry", names & SORRY), ("compiled", names & COMPILED), ("command", words & COMMANDS),
    ):  # fmt: skip
        if said:
            raise LeanTextError(reason, min(said))
    if sign := _COMMAND_SIGN.search(text):
        raise LeanTextError("command", sign[0])
