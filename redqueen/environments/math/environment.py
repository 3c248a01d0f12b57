"""The environment `math`: a teacher writes a problem in words, and a program for its answer.

The sandbox runs the program twice; text and program must speak of the same numbers, and the answer
must not stand in the text. A program may still compute something else than the text asks for: a key
that students contradict with one voice is disputed (`learner.disputes`). Students answer in a box,
which is graded as in the mathematics benchmarks.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

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
from redqueen.environments.code.policy import PROFILES
from redqueen.environments.json_texts import TAIL
from redqueen.environments.math.answers import number, read_answer, tidy
from redqueen.environments.math.grader import MathGrader, Question, verifications
from redqueen.environments.math.problems import (
    FUNCTION,
    Problem,
    ProblemError,
    key_of,
    outline,
    read_problem,
    stands_in,
)
from redqueen.environments.math.sources import Templates
from redqueen.sandbox import Call, Outcome, OutcomeKind, evaluate_literal
from redqueen.types import Messages, Rejection, Task, user

KIND = "math"
INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."
"""Of Qwen2.5-Math's evaluation (`qwen-boxed`), without its system message."""
OPERATIONS = Measure("operations", "Operations of the program", (3, 5, 8))
MEASURES = (
    OPERATIONS,
    Measure("numbers", "Numbers in the problem", (3, 5)),
    Measure("words", "Words of the problem", (20, 40, 80)),
)
EXAMPLE = (
    "A tank holds 240 litres. A pump fills it at 15 litres a minute, but 3 litres a minute leak "
    "out. How many minutes does it take to fill the empty tank?",
    "def answer():\n    net = 15 - 3\n    return 240 // net",
)
MALFORMED_REASONS = {
    "unparsable": "There is no problem with a program that defines answer().",
}
WELL_FORMED_REASONS = {
    "too_large": "The problem, the program or a number is larger than the limits.",
    "forbidden": "The program uses what programs of tasks may not use.",
    "numbers_differ": "Problem and program do not speak of the same numbers.",
    "leak": "The answer stands in the problem.",
    "error": "The program raised an exception.",
    "timeout": "The program ran out of time, memory or output.",
    "nondeterministic": "Two runs of the program gave different answers.",
    "no_number": "The answer is no number and no fraction.",
    "inexact": "The answer has more decimals than can be asked for; say it as a fraction.",
    "unsupported": "The sandbox lacks something that the program uses.",
    "disputed": "Students contradicted the key of the task with one voice.",
    "other_payload": "The task of another node is not what its program makes here.",
}
DESCRIPTION = Description(
    title="Word problems",
    kinds={KIND: "word problems"},
    suites={"held-out": Suite("Held-out problems", "Problems that no run trains on.")},
    reasons={**MALFORMED_REASONS, **WELL_FORMED_REASONS},
    difficulty=OPERATIONS,
    payload={
        KIND: {"problem": "problem", "program": "the teacher's program", "answer": "its answer"}
    },
)
_REASONS = {
    OutcomeKind.EXCEPTION: "error",
    OutcomeKind.TIMEOUT: "timeout",
    OutcomeKind.MEMORY: "timeout",
    OutcomeKind.OUTPUT: "timeout",
    OutcomeKind.UNSUPPORTED: "unsupported",
}


class Math(EnvironmentConfig):
    """Keys of the environment `math`."""

    max_chars: int = Field(1200, ge=100)
    """Characters of a problem, and of a program."""
    held_out_tasks: int = Field(200, ge=1)
    """Problems in the suite `held-out`."""

    def build(self, services: Services) -> "MathEnvironment":
        """Return the environment."""
        return MathEnvironment(self, services)


class MathEnvironment:
    """Word problems with programs as keys; an `Environment` and a `TaskSpace`."""

    version = 1
    kinds = (KIND,)
    measures = MEASURES
    description = DESCRIPTION
    fallible_keys = True
    proposal_format = ("<problem>", "</problem>\n<program>\ndef answer():\n", "\n</program>")

    def __init__(self, config: Math, services: Services) -> None:
        self.config, self.name, self._services = config, services.name or "math", services
        self._profile = PROFILES[services.python]
        sizes = {"seed": None, "stream": None, "held-out": config.held_out_tasks}
        self.sources: Mapping[str, TaskSource] = {
            label: Templates(label, self._source_task, most) for label, most in sizes.items()
        }

    # ── for students ────────────────────────────────────────────────────────────────────────────

    def prompt(self, task: Task) -> Messages:
        """Return the problem, then the instruction."""
        return user(f"{task.payload['problem']}\n{INSTRUCTION}")

    def elicit(self, task: Task) -> Elicited:
        """Return the prompt; the answer may not come at once."""
        return Elicited(self.prompt(task), ("\\boxed", "$\\boxed"))

    def verify(self, attempts: Sequence[Attempt]) -> list[Verification]:
        """Return whether the last box, or what stands for it, has the key's value."""
        said = [read_answer(attempt.text) for attempt in attempts]
        verified = verifications(
            self._services.shared(MathGrader),
            [
                None if answer is None else Question(attempt.task.payload["answer"], answer)
                for attempt, answer in zip(attempts, said, strict=True)
            ],
        )
        return [
            item if item.answer is None else replace(item, answer=plain(item.answer))
            for item in verified
        ]

    # ── for teachers ────────────────────────────────────────────────────────────────────────────

    def references_for(self, kind: str, count: int) -> int:
        """Return `count`."""
        return count

    def ask(self, kind: str, references: Sequence[Task]) -> Messages:
        """Return the rules, and the references with their programs."""
        shown = [(task.payload["problem"], task.payload["program"]) for task in references]
        return user(
            "\n\n".join(
                (
                    "Problems in words, each with a Python program for its answer:",
                    *(_written(*item) for item in shown or [EXAMPLE]),
                    "Write one new problem, unlike these, that takes several steps and has one "
                    "answer, a number. Every number of the problem, written in digits, must be in "
                    "the program, which has no others. The answer must not be in the problem. "
                    f"{FUNCTION}() returns a whole number, a decimal, or a fraction as text, "
                    "such as '3/4'. Answer in the same form:\n"
                    "<problem>...</problem>\n<program>...</program>",
                )
            )
        )

    def validate(self, drafts: Sequence[Draft]) -> list[Task | Rejection]:
        """Read each problem, and run its program twice."""
        read = [self._read(draft.text) for draft in drafts]
        calls = [
            Call(item.program, FUNCTION)
            for item in read
            if isinstance(item, Problem)
            for _ in range(2)
        ]
        outcomes = iter(self._services.sandbox().run(calls) if calls else ())
        return [
            item
            if isinstance(item, Rejection)
            else self._judge(item, next(outcomes), next(outcomes), draft.author, draft.step)
            for draft, item in zip(drafts, read, strict=True)
        ]

    def _read(self, text: str) -> Problem | Rejection:
        try:
            return read_problem(text[-TAIL:], self._profile, self.config.max_chars)
        except ProblemError as error:
            return _reject(error.reason, str(error))

    def _judge(
        self, problem: Problem, first: Outcome, second: Outcome, author: int | None, step: int
    ) -> Task | Rejection:
        for outcome in (first, second):
            if outcome.kind is OutcomeKind.INFRA_ERROR:
                return Rejection("infra_error", malformed=False, infra=True, detail=outcome.message)
            if outcome.kind is not OutcomeKind.VALUE:
                return _reject(_REASONS[outcome.kind], outcome.message)
        if first.text != second.text:
            return _reject("nondeterministic")
        try:
            key = key_of(evaluate_literal(first.text)[1])
        except ProblemError as error:
            return _reject(error.reason, str(error))
        if stands_in(key, problem.text):
            return _reject("leak", key)
        return self._task(problem, key, author, step)

    def revalidate(self, tasks: Sequence[Task]) -> list[Task | Rejection]:
        """Validate what another node's tasks say of their problems."""
        drafts = [
            Draft(
                KIND, _written(task.payload.get("problem"), task.payload.get("program")), (),
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
        """Return the words and numbers of the problem; those with other numbers are a family."""
        words = outline(task.payload["problem"])
        return Fingerprint(" ".join(words), " ".join(w for w in words if not w[0].isdigit()))

    def _source_task(self, text: str, program: str, key: str) -> Task:
        return self._task(read_problem(_written(text, program), self._profile, 10**4), key, None, 0)

    def _task(self, problem: Problem, key: str, author: int | None, step: int) -> Task:
        payload = {"problem": problem.text, "program": problem.program, "answer": key}
        written = f"{problem.text}\n{problem.program}"
        name = hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()[:20]
        words = outline(problem.text)
        features = {
            "operations": float(problem.operations),
            "numbers": float(sum(word[0].isdigit() for word in words)),
            "words": float(len(words)),
        }
        return Task(name, self.name, KIND, payload, features, author, step)


def plain(answer: str) -> str:
    """Return an answer in one form for each number, so that equal ones are the same text."""
    text = tidy(answer)
    value = number(text)
    return text if value is None else str(value)


def _written(problem: object, program: object) -> str:
    return f"<problem>{problem}</problem>\n<program>\n{program}\n</program>"


def _reject(reason: str, detail: str = "") -> Rejection:
    return Rejection(reason, malformed=reason in MALFORMED_REASONS, detail=detail[:300])
