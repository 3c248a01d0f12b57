"""The environment `logic`: a teacher writes a puzzle, any assignment that satisfies it is right.

Z3 says whether a puzzle has a solution, and whether it is the only one. Answers need no solver:
they are put into the constraints.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from redqueen import registry
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
from redqueen.environments.json_texts import is_text, last_object
from redqueen.environments.logic.forms import normal_form
from redqueen.environments.logic.language import (
    OPERATORS,
    Puzzle,
    PuzzleError,
    parse_puzzle,
    render,
)
from redqueen.environments.logic.solver import Answer, PuzzleSolver
from redqueen.environments.logic.sources import ANY, UNIQUE, Generated
from redqueen.environments.thoughts import spoken
from redqueen.environments.workers import NoReply
from redqueen.types import Messages, Rejection, Task, Verdict, user

CONSTRAINTS = Measure("constraints", "Constraints", (4, 7, 10))
MEASURES = (
    CONSTRAINTS,
    Measure("variables", "Variables", (3, 5)),
    Measure("operations", "Operations in the constraints", (6, 12, 24)),
)
EXAMPLE = {
    "text": "Two friends share ten sweets, and the hungry one gets more.",
    "variables": {"mia": [0, 10], "leo": [0, 10], "hungry": ["m", "l"]},
    "constraints": [
        ["=", ["+", "mia", "leo"], 10],
        ["=>", ["=", "hungry", "l"], ["<", "mia", "leo"]],
        ["=", "mia", 4],
        ["=", "hungry", "l"],
    ],
}
RULES = (
    'A variable is a whole number from a range, [low, high], one of some words, or "bool".',
    "A constraint is a list of an operator and its arguments: variables, numbers, words, lists.",
    "Operators: " + " ".join(OPERATORS),
)
WANTED = {
    UNIQUE: "It must have exactly one solution, which is hard to find.",
    ANY: "It must have a solution, which is hard to find.",
}
MALFORMED_REASONS = {
    "unparsable": "There is no JSON object with variables and constraints of the language.",
    "ill_typed": "An argument is of another type than its operator takes.",
    "unknown_name": "A constraint names something that is no variable, word or operator.",
    "too_large": "The puzzle, a range or a number is larger than the limits.",
}
WELL_FORMED_REASONS = {
    "unused_variable": "No constraint says anything about one of the variables.",
    "no_solution": "Z3 proves that no assignment satisfies the constraints.",
    "several_solutions": "The puzzle was to have one solution, and has more.",
    "trivial": "Every assignment is a solution.",
    "idle_constraint": "One of the constraints says nothing: every assignment satisfies it.",
    "undecided": "Z3 could not decide the puzzle within its limits.",
    "other_payload": "The task of another node is not what its puzzle makes here.",
}
DESCRIPTION = Description(
    title="Puzzles",
    kinds={UNIQUE: "one solution", ANY: "any solution"},
    suites={"held-out": Suite("Held-out puzzles", "Random puzzles that no run trains on.")},
    reasons={**MALFORMED_REASONS, **WELL_FORMED_REASONS},
    difficulty=CONSTRAINTS,
)


class Logic(EnvironmentConfig):
    """Keys of the environment `logic`."""

    kinds: tuple[Literal["unique", "any"], ...] = Field(("unique", "any"), min_length=1)
    """`unique`: puzzles with exactly one solution; `any`: with at least one."""
    max_text: int = Field(600, ge=0)
    """Characters of a puzzle's text."""
    held_out_tasks: int = Field(200, ge=1)
    """Puzzles in the suite `held-out`."""

    def build(self, services: Services) -> "LogicEnvironment":
        """Return the environment.

        Raises:
            ConfigError: Z3 is not installed.
        """
        registry.require("z3", "the environment logic")
        return LogicEnvironment(self, services)


class LogicEnvironment:
    """Puzzles with variables of small ranges; an `Environment` and a `TaskSpace`."""

    version = 4
    measures = MEASURES
    description = DESCRIPTION
    proposal_format = ('{"text": "', '", "variables": {', '"constraints": [', "]}")

    def __init__(self, config: Logic, services: Services) -> None:
        self.config, self.name = config, services.name or "logic"
        self.kinds: tuple[str, ...] = config.kinds
        self._services = services
        sizes = {"seed": None, "stream": None, "held-out": config.held_out_tasks}
        self.sources: Mapping[str, TaskSource] = {
            label: Generated(label, self.kinds, self._task, most) for label, most in sizes.items()
        }

    # ── for students ────────────────────────────────────────────────────────────────────────────

    def prompt(self, task: Task) -> Messages:
        """Return the puzzle in the usual notation."""
        return self._put(task)

    def elicit(self, task: Task) -> Elicited:
        """Return the prompt with a worked example; the answer may not come at once."""
        example = self._task(ANY, *EXAMPLE.values())  # type: ignore[arg-type]
        reply = (
            "leo gets more than mia, who has 4, so leo has 10 - 4 = 6.\n"
            '{"mia": 4, "leo": 6, "hungry": "l"}'
        )
        worked = f"{self._put(example)[0].content}\n\n{reply}\n\n"
        return Elicited(user(worked + self._put(task)[0].content), ("{",))

    @staticmethod
    def _put(task: Task) -> Messages:
        payload = task.payload
        ranges = [f"{name}: {_range(said)}" for name, said in payload["variables"].items()]
        return user(
            "\n".join(
                (
                    *([payload["text"]] if payload["text"] else ()),
                    "Unknowns:",
                    *ranges,
                    "Constraints (they count, whatever the text says):",
                    *(render(said) for said in payload["constraints"]),
                    "Find values that satisfy all constraints. Think, then end with one JSON "
                    f"object with the keys {', '.join(payload['variables'])}.",
                )
            )
        )

    def verify(self, attempts: Sequence[Attempt]) -> list[Verification]:
        """Put each answer into the constraints; one without all variables is malformed."""
        return [self._verify(attempt.task.payload, attempt.text) for attempt in attempts]

    @staticmethod
    def _verify(payload: Mapping[str, Any], text: str) -> Verification:
        puzzle = parse_puzzle(payload["variables"], payload["constraints"])
        said = last_object(spoken(text), *puzzle.domains)
        if said is None or said.keys() != puzzle.domains.keys():
            return Verification(Verdict.MALFORMED)
        values = {name: domain.read(said[name]) for name, domain in puzzle.domains.items()}
        answer = json.dumps({name: said[name] for name in puzzle.domains})[:1000]
        numbers = {name: value for name, value in values.items() if value is not None}
        if numbers.keys() != values.keys():
            return Verification(Verdict.MALFORMED)
        inside = all(d.low <= numbers[name] <= d.high for name, d in puzzle.domains.items())
        right = inside and bool(puzzle.satisfied(numbers))
        return Verification(Verdict.CORRECT if right else Verdict.WRONG, answer)

    # ── for teachers ────────────────────────────────────────────────────────────────────────────

    def references_for(self, kind: str, count: int) -> int:
        """Return `count`."""
        return count

    def ask(self, kind: str, references: Sequence[Task]) -> Messages:
        """Return the language, and the references as JSON."""
        shown = [{key: task.payload[key] for key in EXAMPLE} for task in references] or [EXAMPLE]
        return user(
            "\n".join(
                (
                    "Puzzles in JSON, each with a text that tells its story:",
                    *map(json.dumps, shown),
                    *RULES,
                    f"Write one new puzzle, unlike these. {WANTED[kind]}",
                    "End with one JSON object with text, variables and constraints.",
                )
            )
        )

    def validate(self, drafts: Sequence[Draft]) -> list[Task | Rejection]:
        """Parse each puzzle, and let Z3 solve it."""
        read = [self._read(draft) for draft in drafts]
        puzzles = [item[0] for item in read if not isinstance(item, Rejection)]
        answers = iter(self._solver.solve(puzzles) if puzzles else ())
        return [
            item if isinstance(item, Rejection) else self._judge(draft, item[1], next(answers))
            for draft, item in zip(drafts, read, strict=True)
        ]

    @property
    def _solver(self) -> PuzzleSolver:
        return self._services.shared(PuzzleSolver)

    def _read(self, draft: Draft) -> tuple[Puzzle, dict[str, Any]] | Rejection:
        said = last_object(draft.text, "variables", "constraints")
        text = said.get("text", "") if said else None
        if said is None or not isinstance(text, str) or not is_text(text):
            return _reject("unparsable")
        if len(text) > self.config.max_text:
            return _reject("too_large", "the text is too long")
        try:
            puzzle = parse_puzzle(said["variables"], said["constraints"])
        except PuzzleError as error:
            return _reject(error.reason, str(error))
        # On one line: a story cannot end, and constraints of its own begin.
        return puzzle, {**said, "text": " ".join(text.split())}

    def _judge(
        self, draft: Draft, said: dict[str, Any], answer: Answer | NoReply
    ) -> Task | Rejection:
        if answer is NoReply.LOST:
            return Rejection("infra_error", malformed=False, infra=True)
        if isinstance(answer, NoReply):
            return _reject("undecided")
        if answer.solution is None:
            return _reject("no_solution")
        if answer.always:
            return _reject("trivial")
        if answer.idle:
            return _reject("idle_constraint")
        if draft.kind == UNIQUE and not answer.unique:
            return _reject("several_solutions")
        return self._task(
            draft.kind,
            said["text"], said["variables"], said["constraints"], draft.author, draft.step,
        )  # fmt: skip

    def revalidate(self, tasks: Sequence[Task]) -> list[Task | Rejection]:
        """Validate what another node's tasks say of their puzzles."""
        drafts = [
            Draft(task.kind, json.dumps(dict(task.payload)), (), task.author, task.step)
            for task in tasks
        ]
        return [
            _reject("other_payload")
            if task.kind not in self.kinds
            or (isinstance(made, Task) and dict(made.payload) != dict(task.payload))
            else made
            for task, made in zip(tasks, self.validate(drafts), strict=True)
        ]

    def fingerprint(self, task: Task) -> Fingerprint:
        """Return the puzzle up to names and spelling; those of one shape are a family."""
        form, shape = normal_form(task.payload["variables"], task.payload["constraints"])
        return Fingerprint(f"{task.kind} {form}", f"{task.kind} {shape}")

    def _task(
        self,
        kind: str,
        text: str,
        variables: dict[str, Any],
        constraints: list[Any],
        author: int | None = None,
        step: int = 0,
    ) -> Task:
        payload = {"text": text, "variables": variables, "constraints": constraints}
        name = hashlib.sha256(f"{kind} {json.dumps(payload, sort_keys=True)}".encode()).hexdigest()[
            :20
        ]
        features = {
            "variables": float(len(variables)),
            "constraints": float(len(constraints)),
            "operations": float(sum(map(_operations, constraints))),
        }
        return Task(name, self.name, kind, payload, features, author, step)


def _operations(said: Any) -> int:
    return 1 + sum(map(_operations, said[1:])) if isinstance(said, list) else 0


def _range(said: Any) -> str:
    if said == "bool":
        return "true or false"
    if isinstance(said[0], int):
        return f"a whole number from {said[0]} to {said[1]}"
    return "one of " + ", ".join(f'"{word}"' for word in said)


def _reject(reason: str, detail: str = "") -> Rejection:
    return Rejection(reason, malformed=reason in MALFORMED_REASONS, detail=detail[:300])
