"""Whether proofs prove their theorems: questions to REPLs that run side by side."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from redqueen.closing import Closing
from redqueen.config.sandbox import SandboxConfig
from redqueen.environments.lean.language import NAME, Theorem
from redqueen.environments.lean.repl import Repl, Reply
from redqueen.environments.workers import NoReply, Pool
from redqueen.errors import ConfigError

AXIOMS = frozenset({"propext", "Classical.choice", "Quot.sound"})
"""What a proof may depend on: the axioms of Lean's library."""
HEADER_SECONDS, HEADER_PATIENCE = 300.0, 900.0
"""For the imports."""
MOST_COMMANDS = 200
"""A REPL keeps what it was ever asked; after so many commands a new one starts."""
_AXIOMS = re.compile(
    rf"['`]{NAME}['`] (?:does not depend on any axioms|depends on axioms:\s*\[([^\]]*)\])"
)
Command = Callable[[int], Sequence[str]]
"""Makes the command of a REPL; see `Repl`."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A theorem, and what to find out of it."""

    theorem: Theorem
    proposal: bool = False
    """Whether its statement is new too: it must stand for itself, warn of nothing, and resist
    `easy`."""
    easy: str = ""
    """A tactic that must not prove it; empty: none is tried."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a theorem: the reason of a rejection, None if nothing is."""

    reason: str | None
    detail: str = ""


class LeanChecker(Closing):
    """`config.processes` REPLs, which start when they are first needed."""

    def __init__(
        self, command: Command, header: str, seconds: float, memory_mb: float, config: SandboxConfig
    ) -> None:
        start = partial(_Examiner, command, header, memory_mb)
        self._pool = Pool(start, config.processes, seconds, "lean")

    def examine(self, inquiries: Sequence[Inquiry]) -> list[Finding | NoReply]:
        """Return what the kernel says of each theorem."""
        return self._pool.ask(inquiries)

    def close(self) -> None:
        """End all REPLs."""
        self._pool.close()


class _Examiner:
    """A REPL that has read the header; a `Worker`."""

    def __init__(self, command: Command, header: str, memory_mb: float) -> None:
        """Raises ConfigError if Lean does not accept the header."""
        self._start = partial(_begin, command, header, memory_mb)
        self._repl, self._env = self._start()
        self._asked = 0

    def ask(self, question: Inquiry, seconds: float, patience: float) -> Finding:
        """See `Worker.ask`; the seconds are for each command."""
        if self._asked >= MOST_COMMANDS:
            self._repl.close()
            (self._repl, self._env), self._asked = self._start(), 0

        def run(code: str, env: int | None = self._env) -> Reply:
            self._asked += 1
            return self._repl.run(code, env, seconds, patience)

        return _examine(question, run)

    def close(self) -> None:
        """End the REPL."""
        self._repl.close()


def _begin(command: Command, header: str, memory_mb: float) -> tuple[Repl, int]:
    """Return a REPL, and the number of its environment after the header."""
    repl = Repl(command, memory_mb)
    try:
        said = repl.run(header, None, HEADER_SECONDS, HEADER_PATIENCE)
        if said.env is None or said.texts("error"):
            raise ConfigError(f"Lean does not accept the header: {_first(said.texts('error'))}")
    except TimeoutError as error:
        repl.close()
        raise OSError("the REPL cannot read the header") from error  # no text's fault
    except BaseException:
        repl.close()
        raise
    return repl, said.env


def _examine(inquiry: Inquiry, run: Callable[..., Reply]) -> Finding:
    theorem = inquiry.theorem
    if inquiry.proposal:
        # By itself: were it unfinished, the text of a proof could become a part of it.
        alone = run(theorem.command("sorry"))
        if alone.env is None or alone.texts("error") or not _sorry(alone):
            return Finding("no_statement", _first(alone.texts("error")))
    said = run(theorem.command())
    if _sorry(said):
        return Finding("sorry")
    if said.env is None or said.texts("error"):
        return Finding("error", _first(said.texts("error")))
    if inquiry.proposal and said.texts("warning"):
        return Finding("warning", _first(said.texts("warning")))
    added = _axioms(run(f"#print axioms {NAME}", said.env)) - AXIOMS
    if added:
        return Finding("axioms", ", ".join(sorted(added)))
    if inquiry.easy:
        easy = run(theorem.command(f"by intros; {inquiry.easy}"))
        if easy.env is not None and not easy.texts("error"):
            return Finding("trivial")
    return Finding(None)


def _sorry(said: Reply) -> bool:
    return said.sorries > 0 or any("sorry" in text for text in said.texts("warning"))


def _axioms(said: Reply) -> set[str]:
    """Return what `#print axioms` names.

    Raises:
        OSError: the reply is no such list.
    """
    match = _AXIOMS.fullmatch(said.messages[0][1].strip()) if len(said.messages) == 1 else None
    if match is None:
        raise OSError(f"the REPL lists no axioms: {str(said.messages)[:200]}")
    return {name.strip() for name in (match[1] or "").split(",")} - {""}


def _first(texts: Sequence[str]) -> str:
    return texts[0][:300] if texts else ""
