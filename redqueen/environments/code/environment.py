"""The code environment: predict the output (`code_o`), find an input (`code_i`), write the function
from examples (`code_f`). The task set-up is that of AZR (arXiv 2505.03335), section 3.

Model output is data. A program runs only in the sandbox; inputs and answers enter it only as the
parsed arguments of one call; verdicts are computed here, from literals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from redqueen.environments.base import (
    Attempt,
    Description,
    Draft,
    Elicited,
    Fingerprint,
    Services,
    Suite,
    TaskSource,
    Verification,
)
from redqueen.environments.code.answers import Check, check_answer
from redqueen.environments.code.dialects import STYLES, dialect_for
from redqueen.environments.code.handwritten import Handwritten, seed_functions
from redqueen.environments.code.normal_form import normal_form
from redqueen.environments.code.policy import PROFILES
from redqueen.environments.code.reasons import MALFORMED_REASONS, WELL_FORMED_REASONS
from redqueen.environments.code.sources import SeedTasks, Stream
from redqueen.environments.code.tasks import DIFFICULTY, MEASURES, TaskMaker
from redqueen.environments.code.texts import task_id
from redqueen.environments.code.traced.constructs import constructs
from redqueen.environments.code.validation import make_tasks, read_program, revalidate, validate
from redqueen.environments.code.variation import vary_program
from redqueen.sandbox import Call, Outcome, OutcomeKind, parse_module
from redqueen.types import Message, Messages, Rejection, Task, user

if TYPE_CHECKING:
    from redqueen.environments.code.config import Code

VARIANTS = 4
"""Variants of a program that are tried for one varied reference."""

DESCRIPTION = Description(
    title="Python functions",
    kinds={
        "code_o": "predict the output",
        "code_i": "find an input",
        "code_f": "write the function",
    },
    suites={
        "held-out": Suite(
            "Held-out",
            "Tasks of the generator that no run trains on: a proposal that equals one is rejected.",
        ),
        "beyond": Suite(
            "Beyond",
            "Longer and deeper programs of the generator (bands 6 and 7) than any that the base or "
            "a run has learnt from.",
        ),
        "handwritten": Suite(
            "Handwritten",
            "Small functions that people wrote, with nothing of the generator; a proposal with the "
            "same program is rejected.",
        ),
        "middle": Suite(
            "Middle",
            "Programs with pairs of constructs that the base has never seen together, and programs "
            "longer than any that it has seen (bands 6 and 7), in turn.",
        ),
        "far": Suite(
            "Far",
            "Functions that people wrote within the language, with the names that they gave.",
        ),
    },
    reasons={**MALFORMED_REASONS, **WELL_FORMED_REASONS},
    difficulty=DIFFICULTY,
    payload={
        "code_o": {"program": "program", "input": "input", "output": "expected output"},
        "code_i": {
            "program": "program",
            "input": "the teacher's input",
            "output": "output to reach",
        },
        "code_f": {
            "program": "the teacher's program (not shown to the student)",
            "message": "message",
            "examples": "examples shown",
            "hidden": "hidden tests",
        },
    },
)


class CodeEnvironment:
    """Tasks over Python functions; an `Environment` and a `TaskSpace`."""

    version = 3
    measures = MEASURES
    description = DESCRIPTION

    def __init__(self, config: "Code", services: Services) -> None:
        """Raises ConfigError if the keys do not work together; see `Code.build`."""
        self.name = services.name or "code"
        self.config = config
        self.kinds: tuple[str, ...] = config.kinds
        self.style, language = dialect_for(services.dialect, config.style)
        self.proposal_format = self.style.proposal_format
        python = services.python if config.profile == "auto" else config.profile
        self.profile = PROFILES[python]
        self._sandbox = services.sandbox
        self.maker = maker = TaskMaker(self.name, config, language)
        self.sources: Mapping[str, TaskSource] = {
            "seed": Handwritten(self.name, config, seed_functions)
            if self.style is STYLES["instruct"]
            else SeedTasks(maker),
            "stream": Stream(maker),
            **language.suites(maker),
        }

    # ── for students ────────────────────────────────────────────────────────────────────────

    def prompt(self, task: Task) -> Messages:
        """Return the conversation that gives a student a task."""
        payload, style = task.payload, self.style
        if task.kind == "code_o":
            text = style.solve_o(payload["program"], payload["input"])
        elif task.kind == "code_i":
            text = style.solve_i(payload["program"], payload["output"])
        else:
            shown = [(args, output) for args, output in payload["examples"]]
            text = style.solve_f(payload["message"], shown)
        return self._conversation(f"solve_{task.kind[-1]}", text)

    def _conversation(self, task: str, text: str) -> Messages:
        return (*self.style.earlier_turns(task, self.config.code_f_inputs), *user(text))

    def elicit(self, task: Task) -> Elicited:
        """Return the task after worked examples of its kind; the answer may not come at once."""
        style = self.style
        turns = [
            turn
            for prompt, answer in style.worked.get(task.kind, ())
            for turn in (Message("user", prompt), Message("assistant", answer))
        ]
        return Elicited((*turns, *self.prompt(task)), style.openings.get(task.kind, ()))

    def verify(self, attempts: Sequence[Attempt]) -> list[Verification]:
        """Return verifications in the order of the attempts.

        Equal answers to one task are verified once: nothing else enters a verdict. A program that
        runs out of time on its first input is not run on the others, where it counts as wrong too.
        """
        read = self.style.read_answer
        keys = [(attempt.task.id, read(attempt.task.kind, attempt.text)) for attempt in attempts]
        tasks = {key: attempt.task for key, attempt in zip(keys, attempts, strict=True)}
        limit = self.config.max_program_chars
        checks = {key: check_answer(task, key[1], limit) for key, task in tasks.items()}
        outcomes = iter(self._outcomes([c for c in checks.values() if isinstance(c, Check)]))
        verified = {
            key: item.verdict(next(outcomes)) if isinstance(item, Check) else item
            for key, item in checks.items()
        }
        if not self.config.code_f_partial_credit:
            verified = {key: replace(item, partial_score=None) for key, item in verified.items()}
        return [verified[key] for key in keys]

    def _outcomes(self, checks: Sequence[Check]) -> list[list[Outcome]]:
        """Return the outcomes of all calls of each check; see `verify`."""
        first = self._run([check.calls[0] for check in checks])
        late = [outcome.kind is OutcomeKind.TIMEOUT for outcome in first]
        others = [() if slow else check.calls[1:] for check, slow in zip(checks, late, strict=True)]
        rest = iter(self._run([call for calls in others for call in calls]))
        return [
            [one] * len(check.calls) if slow else [one, *islice(rest, len(check.calls) - 1)]
            for check, one, slow in zip(checks, first, late, strict=True)
        ]

    def _run(self, calls: Sequence[Call]) -> list[Outcome]:
        return self._sandbox().run(calls) if calls else []

    # ── for teachers ────────────────────────────────────────────────────────────────────────

    def references_for(self, kind: str, count: int) -> int:
        """Return 1 for code_f, which works on one archived program; else `count`."""
        return 1 if kind == "code_f" else count

    def ask(self, kind: str, references: Sequence[Task]) -> Messages:
        """Return the conversation that asks for a task.

        Raises:
            ValueError: `kind` is code_f, which takes the program of the first reference, and there
                is none.
        """
        if kind == "code_f":
            if not references:
                raise ValueError("code_f needs a reference, whose program it takes")
            program = references[0].payload["program"]
            text = self.style.propose_f(program, self.config.code_f_inputs)
            return self._conversation("propose_f", text)
        shown = [
            (reference.payload["program"], _first_input(reference)) for reference in references
        ]
        return self._conversation(f"propose_{kind[-1]}", self.style.propose(kind, shown))

    def validate(self, drafts: Sequence[Draft]) -> list[Task | Rejection]:
        """Return a task or a named rejection for each draft; every input runs twice."""
        sandbox = self._sandbox()
        return validate(drafts, self.name, self.config, self.profile, self.style, sandbox)

    def proposal(self, task: Task) -> str | None:
        """Return the task's program and input as a teacher writes them; None for code_f, whose
        program is not the teacher's."""
        if task.kind == "code_f":
            return None
        return self.style.write_program_and_input(task.payload["program"], task.payload["input"])

    def vary(self, task: Task, donors: Sequence[Task], rng: np.random.Generator) -> Task | None:
        """Return a code_o task whose program has a statement added, removed or swapped.

        It is validated like a teacher's, on the input that the task shows. The first of a few
        variants that is valid is taken.
        """
        others = [str(donor.payload["program"]) for donor in donors]
        drawn = (vary_program(task.payload["program"], others, rng) for _ in range(VARIANTS))
        inputs = [_first_input(task)]
        candidates = [
            read_program("code_o", program, inputs, "", self.config, self.profile)
            for program in drawn
            if program
        ]
        drafts = [Draft("code_o", "", (), None, 0)] * len(candidates)
        made = make_tasks(drafts, candidates, self.name, self.config, self._sandbox())
        return next((item for item in made if isinstance(item, Task)), None)

    def constructs(self, task: Task) -> frozenset[str]:
        """Return the constructs of the task's program; that of code_f was not the teacher's."""
        return frozenset() if task.kind == "code_f" else constructs(task.payload["program"])

    def revalidate(self, tasks: Sequence[Task]) -> list[Task | Rejection]:
        """Return each task of another node made anew, or a named rejection."""
        return revalidate(tasks, self.name, self.config, self.profile, self._sandbox())

    def fingerprint(self, task: Task) -> Fingerprint:
        """Return the program up to names, and up to constants if so configured, with its inputs.

        The order of a code_f task's inputs and its message do not matter. Tasks of one kind and
        program are a family; code_f, whose program is not the teacher's, has none.
        """
        payload = task.payload
        tree = parse_module(payload["program"])
        program = f"{task.kind}:{normal_form(tree, self.config.near_copy_constants)}"
        if task.kind != "code_f":
            return Fingerprint(task_id(program, {"input": payload["input"]}), program)
        inputs = sorted(args for args, _ in (*payload["examples"], *payload["hidden"]))
        return Fingerprint(task_id(program, {"inputs": inputs}))


def _first_input(task: Task) -> str:
    payload = task.payload
    return str(payload["examples"][0][0] if task.kind == "code_f" else payload["input"])
