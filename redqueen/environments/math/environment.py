"""The environment `math`: a teacher writes a problem in words, and what computes its answer.

That is a program, which the sandbox runs twice, or an expression, which SymPy evaluates in a
worker; it and the text must have the same numbers, and the answer must not stand in the text. It
may still compute something else than the text asks for: a key that students contradict with one
voice is disputed (`learner.disputes`). Students answer in a box, which is graded as in the
mathematics benchmarks.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Literal

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
from redqueen.environments.math.answers import number, tidy
from redqueen.environments.math.expressions import (
    BINDERS,
    CONSTANTS,
    FUNCTIONS,
    ExpressionSolver,
    Unusable,
    Value,
)
from redqueen.environments.math.grader import MathGrader, Question, verifications
from redqueen.environments.math.problems import (
    EXPRESSION,
    FUNCTION,
    PROGRAM,
    Problem,
    ProblemError,
    key_of,
    key_text,
    outline,
    read_problem,
    stands_in,
)
from redqueen.environments.math.reading import read_answer
from redqueen.environments.math.sources import Templates
from redqueen.environments.workers import NoReply
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
EXAMPLES = {
    PROGRAM: (
        "A tank holds 240 litres. A pump fills it at 15 litres a minute, but 3 litres a minute "
        "leak out. How many minutes does it take to fill the empty tank?",
        "def answer():\n    net = 15 - 3\n    return 240 // net",
    ),
    EXPRESSION: (
        "A ladder of 10 metres leans against a wall, its foot 5 metres from it. How many metres "
        "above the ground does it end?",
        "sqrt(10**2 - 5**2)",
    ),
}
"""Form of the key -> a problem with one."""
FORMS = {
    PROGRAM: "Python program",
    EXPRESSION: "expression for SymPy",
}
RULES = {
    PROGRAM: f"{FUNCTION}() returns a whole number, a decimal, or a fraction as text, such as "
    "'3/4'.",
    EXPRESSION: "An expression has one value, a real number in closed form. It may use + - * / // "
    f"% **, {', '.join((*CONSTANTS, *FUNCTIONS))}, and {', '.join(BINDERS)} of (k, from, to).",
}
MALFORMED_REASONS = {
    "unparsable": "There is no problem with a program that defines answer(), or an expression.",
}
WELL_FORMED_REASONS = {
    "too_large": "The problem, the program or a number is larger than the limits.",
    "forbidden": "The program uses what programs of tasks may not use.",
    "numbers_differ": "Problem and program do not speak of the same numbers.",
    "leak": "The answer stands in the problem.",
    "error": "The program or SymPy raised an exception.",
    "timeout": "The program or SymPy ran out of time, memory or output.",
    "nondeterministic": "Two runs of the program gave different answers.",
    "no_number": "The answer is no number and no fraction.",
    "no_closed_form": "SymPy gives the expression no value, or one that is too long.",
    "other_form": "The key has a form that the config does not have.",
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
        KIND: {
            "problem": "problem",
            PROGRAM: "the teacher's program",
            EXPRESSION: "the teacher's expression",
            "answer": "its answer",
        }
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

    keys: tuple[Literal["program", "expression"], ...] = Field(
        ("program", "expression"), min_length=1
    )
    """What teachers may write for the answer: a Python program, an expression for SymPy."""
    max_chars: int = Field(1200, ge=100)
    """Characters of a problem, and of a program."""
    held_out_tasks: int = Field(200, ge=1)
    """Problems in the suite `held-out`."""

    def build(self, services: Services) -> "MathEnvironment":
        """Return the environment."""
        return MathEnvironment(self, services)


class MathEnvironment:
    """Word problems with computed keys; an `Environment` and a `TaskSpace`."""

    version = 5
    kinds = (KIND,)
    measures = MEASURES
    description = DESCRIPTION
    fallible_keys = True
    proposal_format = (
        "<problem>", "</problem>\n<program>\ndef answer():\n", "\n</program>",
        "</problem>\n<expression>", "</expression>",
    )  # fmt: skip

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
        """Return the rules, and the references with their keys."""
        forms = self.config.keys
        shown = [_written(task.payload) for task in references] or [
            _written({"problem": EXAMPLES[form][0], form: EXAMPLES[form][1]}) for form in forms
        ]
        said = " or an ".join(FORMS[form] for form in forms)
        return user(
            "\n\n".join(
                (
                    f"Problems in words, each with a {said} for its answer:",
                    *shown,
                    "Write one new problem, unlike these, that takes several steps and has one "
                    f"answer, a number. Every number of the problem, written in digits, must be in "
                    f"the {' or '.join(forms)}, which has no others. The answer must not be in the "
                    f"problem. {' '.join(RULES[form] for form in forms)} Answer in the same form:\n"
                    + "\nor\n".join(f"<problem>...</problem>\n<{f}>...</{f}>" for f in forms),
                )
            )
        )

    def validate(self, drafts: Sequence[Draft]) -> list[Task | Rejection]:
        """Read each problem, and compute its answer."""
        read = [self._read(draft.text) for draft in drafts]
        problems = [item for item in read if isinstance(item, Problem)]
        keys = iter(self._keys(problems))
        return [
            item if isinstance(item, Rejection) else self._judge(item, next(keys), draft)
            for draft, item in zip(drafts, read, strict=True)
        ]

    def _keys(self, problems: Sequence[Problem]) -> list[str | Rejection]:
        """Return the answer of each problem, or why it has none."""
        programs = [item for item in problems if item.tree is None]
        trees = [item.tree for item in problems if item.tree is not None]
        calls = [Call(item.program, FUNCTION) for item in programs for _ in range(2)]
        outcomes = self._services.sandbox().run(calls) if calls else []
        values = self._services.shared(ExpressionSolver).evaluate(trees) if trees else []
        runs, worth = iter(zip(outcomes[::2], outcomes[1::2], strict=True)), iter(values)
        return [
            _key_of_runs(*next(runs)) if item.tree is None else _key_of_value(next(worth))
            for item in problems
        ]

    def _read(self, text: str) -> Problem | Rejection:
        try:
            problem = read_problem(text[-TAIL:], self._profile, self.config.max_chars)
        except ProblemError as error:
            return _reject(error.reason, str(error))
        return problem if _form(problem) in self.config.keys else _reject("other_form")

    def _judge(self, problem: Problem, key: str | Rejection, draft: Draft) -> Task | Rejection:
        if isinstance(key, Rejection):
            return key
        if stands_in(key, problem.text):
            return _reject("leak", key)
        return self._task(problem, key, draft.author, draft.step)

    def revalidate(self, tasks: Sequence[Task]) -> list[Task | Rejection]:
        """Validate what another node's tasks say of their problems."""
        drafts = [Draft(KIND, _written(task.payload), (), task.author, task.step) for task in tasks]
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
        written = _written({"problem": text, PROGRAM: program})
        return self._task(read_problem(written, self._profile, 10**4), key, None, 0)

    def _task(self, problem: Problem, key: str, author: int | None, step: int) -> Task:
        payload = {"problem": problem.text, _form(problem): problem.program, "answer": key}
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


def _form(problem: Problem) -> str:
    return PROGRAM if problem.tree is None else EXPRESSION


def _written(payload: Mapping[str, object]) -> str:
    form = EXPRESSION if EXPRESSION in payload else PROGRAM
    return f"<problem>{payload.get('problem')}</problem>\n<{form}>\n{payload.get(form)}\n</{form}>"


def _key_of_runs(first: Outcome, second: Outcome) -> str | Rejection:
    for outcome in (first, second):
        if outcome.kind is OutcomeKind.INFRA_ERROR:
            return Rejection("infra_error", malformed=False, infra=True, detail=outcome.message)
        if outcome.kind is not OutcomeKind.VALUE:
            return _reject(_REASONS[outcome.kind], outcome.message)
    if first.text != second.text:
        return _reject("nondeterministic")
    try:
        return key_of(evaluate_literal(first.text)[1])
    except ProblemError as error:
        return _reject(error.reason, str(error))


def _key_of_value(value: Value | Unusable | NoReply) -> str | Rejection:
    match value:
        case NoReply.LOST:
            return Rejection("infra_error", malformed=False, infra=True)
        case NoReply():
            return _reject("timeout")
        case Unusable():
            return _reject(value.reason, value.detail)
    return value.latex if value.fraction is None else key_text(Fraction(value.fraction))


def _reject(reason: str, detail: str = "") -> Rejection:
    return Rejection(reason, malformed=reason in MALFORMED_REASONS, detail=detail[:300])
