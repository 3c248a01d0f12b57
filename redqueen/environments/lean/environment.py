"""The environment `lean`: a teacher states a theorem in Lean 4 with a proof, a student proves it.

Lean's kernel checks every proof, through a REPL in a jail, and says which axioms it depends on: a
theorem that comes with a proof is valid by construction.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from pydantic import Field

from redqueen.config.sandbox import SandboxConfig
from redqueen.environments.base import (
    Attempt,
    Description,
    Draft,
    Elicited,
    EnvironmentConfig,
    Fingerprint,
    Measure,
    Services,
    Suite,
    TaskSource,
    Verification,
)
from redqueen.environments.json_texts import TAIL
from redqueen.environments.lean.checker import Finding, Inquiry, LeanChecker
from redqueen.environments.lean.installation import Installation, find_installation, jailed
from redqueen.environments.lean.language import (
    NAME,
    LeanTextError,
    Theorem,
    normal_form,
    read_proof,
    read_theorem,
    tokens,
)
from redqueen.environments.lean.sources import KNOWN, Theorems
from redqueen.environments.workers import NoReply
from redqueen.errors import ConfigError
from redqueen.types import Messages, Rejection, Task, Verdict, user

KIND = "theorem"
PROOF = Measure("proof", "Words and signs of the proof", (8, 20, 50))
MEASURES = (PROOF, Measure("statement", "Words and signs of the theorem", (20, 40, 80)))
RULES = (
    "The proof may not use sorry, nor any axiom but propext, Classical.choice and Quot.sound, nor "
    "native_decide. It may not declare, open, print or set anything, and has no strings."
)
PROBE = Inquiry(Theorem("(p : Prop) (h : p) : p", "h"))
MALFORMED_REASONS = {
    "unparsable": "There is no block of Lean code with a theorem, `:=` and a proof.",
    "unreadable": "The code has a string, a quoted name, a control character or an open comment.",
}
WELL_FORMED_REASONS = {
    "too_large": "The theorem or its proof is longer than the limit.",
    "sorry": "The proof leaves something out.",
    "compiled": "The text lets compiled code vouch for a proof: native_decide, unsafe, …",
    "command": "The text has another command beside the theorem, a macro, an option or attribute.",
    "no_statement": "Lean does not accept the theorem by itself, without its proof.",
    "error": "Lean does not accept the proof.",
    "warning": "Lean warns of the theorem or its proof.",
    "axioms": "The proof depends on an axiom beyond the three of Lean's library.",
    "timeout": "Lean ran out of time, memory or output.",
    "trivial": "A tactic proves the theorem that looks at it no further.",
    "other_payload": "The task of another node is not what its text makes here.",
}
DESCRIPTION = Description(
    title="Lean",
    kinds={KIND: "theorems"},
    suites={"held-out": Suite("Held-out theorems", "Random theorems that no run trains on.")},
    reasons={**MALFORMED_REASONS, **WELL_FORMED_REASONS},
    difficulty=PROOF,
    payload={
        KIND: {"statement": "theorem", "proof": "the teacher's proof (not shown to the student)"}
    },
)


class Checker(Protocol):
    """What examines theorems."""

    def examine(self, inquiries: Sequence[Inquiry]) -> list[Finding | NoReply]:
        """Return what is wrong with each, or why nothing can be said."""
        ...


class Lean(EnvironmentConfig):
    """Keys of the environment `lean`."""

    repl: str = ""
    """Directory with a built REPL; empty: the newest that lean-interact has built."""
    project: str = ""
    """Directory of a built Lake project whose modules the header may import."""
    header: str = Field("import Init", min_length=1)
    """Lean code before every theorem: imports, opened namespaces."""
    easy: str = "first | trivial | rfl | decide"
    """A tactic that must not prove a teacher's theorem; empty: it may be as easy as it likes."""
    max_chars: int = Field(1500, ge=50)
    """Characters of a theorem, and of a proof."""
    seconds: float = Field(20.0, gt=0)
    """Processor time for a proof; Lean's own limit (maxHeartbeats) should end it before."""
    memory_mb: float = Field(4096.0, ge=256)
    """Memory of a REPL, without the files of the modules."""
    held_out_tasks: int = Field(200, ge=1)
    """Theorems in the suite `held-out`."""

    def build(self, services: Services) -> "LeanEnvironment":
        """Return the environment.

        Raises:
            ConfigError: Lean or its REPL is missing, or does not work.
        """
        name = services.name or "lean"
        checker = services.shared(self.start(find_installation(self.repl, self.project)))
        must_work(checker)
        return LeanEnvironment(self, name, checker)

    def start(self, installation: Installation) -> Callable[[SandboxConfig], LeanChecker]:
        """Return what starts the REPLs."""
        limits = self.seconds, self.memory_mb
        return partial(LeanChecker, jailed(installation), self.header, *limits)


def must_work(checker: Checker) -> None:
    """Check a proof that every Lean accepts.

    Raises:
        ConfigError: there is another verdict, or none.
    """
    [said] = checker.examine([PROBE])
    if said != Finding(None):
        raise ConfigError(f"Lean's REPL accepts no proof: {said}")


def probe(config: Lean | None = None) -> str:
    """Return what `redqueen doctor` says of a Lean that works.

    Raises:
        ConfigError, InfrastructureError: it does not; the message says what helps.
    """
    config = config or Lean()
    installation = find_installation(config.repl, config.project)
    with config.start(installation)(SandboxConfig(workers=1)) as checker:
        must_work(checker)
    return f"{installation.sysroot.name} checks a proof in bubblewrap, by {installation.repl}"


class LeanEnvironment:
    """Theorems in Lean 4; an `Environment` and a `TaskSpace`."""

    version = 2
    kinds = (KIND,)
    measures = MEASURES
    description = DESCRIPTION
    proposal_format = ("```lean\ntheorem ", " : ", " := ", "by\n  ", "\n```")

    def __init__(self, config: Lean, name: str, checker: Checker) -> None:
        self.config, self.name, self._checker = config, name, checker
        self.sources: Mapping[str, TaskSource] = {
            "seed": Theorems("seed", self._task, known=KNOWN),
            "stream": Theorems("stream", self._task),
            "held-out": Theorems("held-out", self._task, config.held_out_tasks),
        }

    # ── for students ────────────────────────────────────────────────────────────────────────────

    def prompt(self, task: Task) -> Messages:
        """Return the theorem, and how to prove it."""
        return self._put(task, 0)

    def elicit(self, task: Task) -> Elicited:
        """Return the prompt after three worked examples."""
        return Elicited(self._put(task, 3))

    def _put(self, task: Task, examples: int) -> Messages:
        shown = [_written(*item) for item in KNOWN[:examples]]
        header = self.config.header
        return user(
            "\n\n".join(
                (
                    *(("Theorems with proofs in Lean 4:", *shown) if shown else ()),
                    f"Prove this theorem in Lean 4, after\n```lean\n{header}\n```\n{RULES} End "
                    "with one block of code with the theorem and its proof.",
                    _written(task.payload["statement"], "..."),
                )
            )
        )

    def verify(self, attempts: Sequence[Attempt]) -> list[Verification]:
        """Let Lean check each proof; a text without one is malformed."""
        read = [self._read_proof(attempt) for attempt in attempts]
        theorems = [item for item in read if isinstance(item, Theorem)]
        findings = iter(self._checker.examine([Inquiry(item) for item in theorems]))
        return [
            Verification(_verdict(next(findings)), item.proof)
            if isinstance(item, Theorem)
            else item
            for item in read
        ]

    def _read_proof(self, attempt: Attempt) -> Theorem | Verification:
        statement = attempt.task.payload["statement"]
        try:
            proof = read_proof(attempt.text[-TAIL:], statement, self.config.max_chars)
        except LeanTextError as error:
            malformed = error.reason in MALFORMED_REASONS
            return Verification(Verdict.MALFORMED if malformed else Verdict.WRONG)
        return Theorem(statement, proof)

    # ── for teachers ────────────────────────────────────────────────────────────────────────────

    def references_for(self, kind: str, count: int) -> int:
        """Return `count`."""
        return count

    def ask(self, kind: str, references: Sequence[Task]) -> Messages:
        """Return the rules, and the references with their proofs."""
        shown = [(task.payload["statement"], task.payload["proof"]) for task in references]
        return user(
            "\n\n".join(
                (
                    "Theorems with proofs in Lean 4:",
                    *(_written(*item) for item in shown or KNOWN[:1]),
                    f"Write one new theorem, unlike these, that is hard to prove, with its proof, "
                    f"after\n```lean\n{self.config.header}\n```\n{RULES} Lean may not warn of "
                    "anything. End with one block of code with the theorem and its proof.",
                )
            )
        )

    def validate(self, drafts: Sequence[Draft]) -> list[Task | Rejection]:
        """Read each theorem, and let Lean check it with its proof."""
        read = [self._read(draft) for draft in drafts]
        theorems = [item for item in read if isinstance(item, Theorem)]
        inquiries = [Inquiry(item, proposal=True, easy=self.config.easy) for item in theorems]
        findings = iter(self._checker.examine(inquiries))
        return [
            item
            if isinstance(item, Rejection)
            else _rejection(next(findings)) or self._task(item, draft.author, draft.step)
            for draft, item in zip(drafts, read, strict=True)
        ]

    def _read(self, draft: Draft) -> Theorem | Rejection:
        try:
            return read_theorem(draft.text[-TAIL:], self.config.max_chars)
        except LeanTextError as error:
            return _reject(error.reason, str(error))

    def revalidate(self, tasks: Sequence[Task]) -> list[Task | Rejection]:
        """Validate what another node's tasks say of their theorems."""
        drafts = [
            Draft(
                KIND, _written(task.payload.get("statement"), task.payload.get("proof")), (),
                task.author, task.step,
            )
            for task in tasks
        ]  # fmt: skip
        return [
            _reject("other_payload")
            if task.kind != KIND
            or (isinstance(made, Task) and dict(made.payload) != dict(task.payload))
            else made
            for task, made in zip(tasks, self.validate(drafts), strict=True)
        ]

    def fingerprint(self, task: Task) -> Fingerprint:
        """Return the theorem up to bound names; those that differ in numbers are a family."""
        return Fingerprint(*normal_form(task.payload["statement"]))

    def _task(self, theorem: Theorem, author: int | None = None, step: int = 0) -> Task:
        name = hashlib.sha256(" ".join(theorem.statement.split()).encode()).hexdigest()[:20]
        payload = {"statement": theorem.statement, "proof": theorem.proof}
        features = {key: float(len(tokens(text))) for key, text in payload.items()}
        return Task(name, self.name, KIND, payload, features, author, step)


def _written(statement: object, proof: object) -> str:
    return f"```lean\ntheorem {NAME} {statement} :=\n{proof}\n```"


def _verdict(finding: Finding | NoReply) -> Verdict:
    if finding is NoReply.LOST:
        return Verdict.INFRA_ERROR
    return Verdict.CORRECT if finding == Finding(None) else Verdict.WRONG


def _rejection(finding: Finding | NoReply) -> Rejection | None:
    if finding is NoReply.LOST:
        return Rejection("infra_error", malformed=False, infra=True)
    if finding is NoReply.RAN_AWAY:
        return _reject("timeout")
    assert isinstance(finding, Finding)
    return _reject(finding.reason, finding.detail) if finding.reason else None


def _reject(reason: str, detail: str = "") -> Rejection:
    return Rejection(reason, malformed=reason in MALFORMED_REASONS, detail=detail)
