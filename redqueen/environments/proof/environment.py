"""The environment `proof`: a teacher asserts a theorem with a proof, a student finds any proof.

Proofs are Metamath's (see `metamath`); a theorem that comes with one is valid by construction.
Conjecturing from axioms alone is the setting of Minimo (arXiv 2407.00695).
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

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
from redqueen.environments.proof.metamath import MetamathError
from redqueen.environments.proof.prompts import (
    known_theorems,
    propose_prompt,
    solve_prompt,
    written,
)
from redqueen.environments.proof.sources import KNOWN, Generated, Known, is_known
from redqueen.environments.proof.theory import load_theory
from redqueen.environments.thoughts import spoken
from redqueen.types import Messages, Rejection, Task, Verdict, user

STEPS = Measure("steps", "Axioms and rules in the proof", (4, 7, 10))
MEASURES = (STEPS, Measure("symbols", "Symbols of the theorem", (12, 20, 32)))
_PROPOSAL = re.compile(r"\$p\s+\|-\s([^$]*)\$=([^$]*)\$\.")
_TAIL = 20_000
"""Characters at the end of a text that are read."""
MALFORMED_REASONS = {
    "unparsable": "There is no `$p |- theorem $= proof $.`.",
    "unknown_symbol": "The theorem has a symbol that the theory lacks.",
    "unknown_label": "The proof names an axiom that the theory lacks.",
    "no_formula": "The theorem is no formula of the theory.",
}
WELL_FORMED_REASONS = {
    "too_long": "The theorem is longer than the limit, or the prompt leaves no room.",
    "no_proof": "The proof does not prove the theorem, or is too large to check.",
    "trivial": "The theorem is an instance of an axiom.",
    "known": "The theorem is one of the well-known ones that a run begins with.",
    "other_payload": "The task of another node is not what its text makes here.",
}
DESCRIPTION = Description(
    title="Proofs",
    kinds={"propositional": "propositional calculus", "peano": "Peano arithmetic"},
    suites={
        "held-out": Suite("Held-out theorems", "Random theorems that no run trains on."),
    },
    reasons={**MALFORMED_REASONS, **WELL_FORMED_REASONS},
    difficulty=STEPS,
    payload={
        kind: {"statement": "theorem", "proof": "the teacher's proof (not shown to the student)"}
        for kind in KNOWN
    },
)
START: Mapping[str, Any] = {
    "steps": 40,
    "environments": {"proof": {"theories": ["propositional", "peano"]}},
    "rollout": {
        "tasks_per_match": 16, "propose_temperature": 0.8, "propose_tokens": 96, "solve_tokens": 48,
    },
    "learner": {"max_grad_norm": 0.3, "teacher": {"advantage": "reinforce++"}},
    "eval": {"tasks": 200, "samples": 4},
}  # fmt: skip
"""What the proof seedling is trained with (configs/proof.toml)."""


class Proof(EnvironmentConfig):
    """Keys of the environment `proof`."""

    starts: ClassVar = {"proof-seedling": START}

    theories: tuple[Literal["propositional", "peano"], ...] = Field(
        ("propositional", "peano"), min_length=1
    )
    """Theories that tasks are of; each is a kind."""
    max_symbols: int = Field(60, ge=8, le=200)
    """Of a theorem."""
    held_out_tasks: int = Field(200, ge=1)
    """Theorems in the suite `held-out`."""

    def build(self, services: Services) -> "ProofEnvironment":
        """Return the environment."""
        return ProofEnvironment(self, services.name or "proof")


class ProofEnvironment:
    """Theorems of a few theories; an `Environment` and a `TaskSpace`."""

    version = 3
    measures = MEASURES
    description = DESCRIPTION

    def __init__(self, config: Proof, name: str) -> None:
        self.config, self.name = config, name
        self.kinds: tuple[str, ...] = config.theories
        alphabet = {
            word
            for kind in self.kinds
            for word in (*load_theory(kind).symbols, *load_theory(kind).axioms)
        }
        self.proposal_format = ("$p |- ", " $= ", " $.", *(f" {w}" for w in sorted(alphabet)))
        self.sources: Mapping[str, TaskSource] = {
            "seed": Known(config.theories, self._task, self._generated("seed")),
            "stream": self._generated("stream"),
            "held-out": self._generated("held-out", config.held_out_tasks),
        }

    def _generated(self, label: str, most: int | None = None) -> Generated:
        return Generated(label, self.kinds, self._task, self.config.max_symbols, most)

    # ── for students ────────────────────────────────────────────────────────────────────────────

    def prompt(self, task: Task) -> Messages:
        """Return the theory, a worked example and the theorem."""
        return self._put(task, 1)

    def elicit(self, task: Task) -> Elicited:
        """Return the prompt with four worked examples."""
        return Elicited(self._put(task, 4))

    @staticmethod
    def _put(task: Task, examples: int) -> Messages:
        known = known_theorems(task.kind)[:examples]
        return user(solve_prompt(task.kind, task.payload["statement"], known))

    def verify(self, attempts: Sequence[Attempt]) -> list[Verification]:
        """Check each proof; an answer that names anything but labels is malformed."""
        return [self._verify(attempt.task, attempt.text) for attempt in attempts]

    @staticmethod
    def _verify(task: Task, text: str) -> Verification:
        theory = load_theory(task.kind)
        proof = (
            spoken(text[-_TAIL:]).rpartition("$=")[2].partition("$.")[0].replace("`", " ").split()
        )
        if not proof or not theory.labels.issuperset(proof):
            return Verification(Verdict.MALFORMED)
        try:
            theory.check(task.payload["statement"].split(), proof)
        except MetamathError:
            return Verification(Verdict.WRONG, " ".join(proof))
        return Verification(Verdict.CORRECT, " ".join(proof))

    # ── for teachers ────────────────────────────────────────────────────────────────────────────

    def references_for(self, kind: str, count: int) -> int:
        """Return `count`."""
        return count

    def ask(self, kind: str, references: Sequence[Task]) -> Messages:
        """Return the theory, and the references that are of it, with their proofs."""
        shown = [
            written(
                task.payload["statement"].split(),
                load_theory(kind).condensed(task.payload["proof"].split()),
            )
            for task in references
            if task.kind == kind
        ]
        return user(propose_prompt(kind, shown))

    def validate(self, drafts: Sequence[Draft]) -> list[Task | Rejection]:
        """Check that each text has a theorem with a proof, and one that is worth asking."""
        return [self._validate(draft) for draft in drafts]

    def _validate(self, draft: Draft) -> Task | Rejection:
        said = _PROPOSAL.findall(draft.text[-_TAIL:])
        if not said:
            return _reject("unparsable")
        statement, proof = (part.split() for part in said[-1])
        theory = load_theory(draft.kind)
        if not theory.symbols.issuperset(statement):
            return _reject("unknown_symbol")
        if not theory.labels.issuperset(proof):
            return _reject("unknown_label")
        if len(statement) > self.config.max_symbols:
            return _reject("too_long")
        try:
            formula = theory.parse(statement)
        except MetamathError as error:
            return _reject("no_formula", str(error))
        try:
            full = theory.check(statement, proof)
        except MetamathError as error:
            return _reject("no_proof", str(error))
        if theory.is_axiom(formula):
            return _reject("trivial")
        if is_known(theory.normal_form(statement), self.kinds):
            return _reject("known")
        return self._task(draft.kind, statement, full, draft.author, draft.step)

    def revalidate(self, tasks: Sequence[Task]) -> list[Task | Rejection]:
        """Validate what another node's tasks say of their theorems."""
        return [self._revalidate(task) for task in tasks]

    def _revalidate(self, task: Task) -> Task | Rejection:
        statement, proof = task.payload.get("statement"), task.payload.get("proof")
        if task.kind not in self.kinds or not isinstance(statement, str) or "$" in statement:
            return _reject("other_payload")
        [made] = self.validate(
            [Draft(task.kind, f"$p |- {statement} $= {proof} $.", (), task.author, task.step)]
        )
        if isinstance(made, Task) and dict(made.payload) != dict(task.payload):
            return _reject("other_payload")
        return made

    def fingerprint(self, task: Task) -> Fingerprint:
        """Return the theorem up to names, and to `A. x` before it, which one more step adds and
        which no proof needs; of one family are those that one proof proves."""
        theory = load_theory(task.kind)
        symbols = task.payload["statement"].split()
        while symbols[0] == "A.":
            symbols = symbols[2:]
        family = " ".join(theory.condensed(task.payload["proof"].split()))
        while family.endswith(" gen"):
            family = family.removesuffix(" gen")
        return Fingerprint(f"{task.kind} {theory.normal_form(symbols)}", f"{task.kind} {family}")

    def _task(
        self,
        kind: str,
        statement: Sequence[str],
        proof: Sequence[str],
        author: int | None = None,
        step: int = 0,
    ) -> Task:
        text = " ".join(statement)
        name = hashlib.sha256(f"{kind} {text}".encode()).hexdigest()[:20]
        steps = len(load_theory(kind).condensed(proof))
        features = {"steps": float(steps), "symbols": float(len(statement))}
        payload = {"statement": text, "proof": " ".join(proof)}
        return Task(name, self.name, kind, payload, features, author, step)


def _reject(reason: str, detail: str = "") -> Rejection:
    return Rejection(reason, malformed=reason in MALFORMED_REASONS, detail=detail)
