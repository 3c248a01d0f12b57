"""The code domain: predict the output (`code_o`), find an input (`code_i`), write the function
from examples (`code_f`). The task set-up is that of AZR (arXiv 2505.03335), section 3.

Model output is data. A program runs only in the sandbox; inputs and answers enter it only as the
parsed arguments of one call; verdicts are computed here, from literals.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from redqueen.config import DomainConfig
from redqueen.environments.base import Attempt, Draft, Form, Judgement
from redqueen.environments.code.analysis import Parsed, features, parse_program
from redqueen.environments.code.answers import Plan, plan_verdict
from redqueen.environments.code.gate import fault_after, fault_before
from redqueen.environments.code.generator import BANDS, generate_program, more_inputs
from redqueen.environments.code.neighbours import Probe, find_constant
from redqueen.environments.code.normal_form import normal_form
from redqueen.environments.code.program import GenerationError, Program, execute
from redqueen.environments.code.reasons import (
    EXCEPTION_REASONS,
    MALFORMED_REASONS,
    OUTCOME_REASONS,
    WELL_FORMED_REASONS,
    our_failure,
    reject,
)
from redqueen.environments.code.styles import Style
from redqueen.environments.code.texts import arguments_text, same_value, task_id, value_text
from redqueen.errors import ConfigError
from redqueen.rng import derive_seed
from redqueen.sandbox import (
    Call,
    Outcome,
    OutcomeKind,
    Sandbox,
    State,
    parse_arguments,
    parse_literal,
    parse_module,
)
from redqueen.types import Rejection, Task

__all__ = [
    "MALFORMED_REASONS",
    "WELL_FORMED_REASONS",
    "CodeDomain",
    "arguments_text",
    "same_value",
    "task_id",
    "value_text",
]

_GENERATOR_TRIES = 1000
_BINS = {
    "lines": (4, 6, 8, 11), "cyclomatic": (2, 3, 4), "ast_depth": (6, 7, 8), "types": (2, 3),
}  # fmt: skip
"""Features with the lower edges of their bins but the first; every cell can be reached."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A proposal that parsed: calls to run, and what becomes of it if they succeed."""

    parsed: Parsed
    inputs: tuple[str, ...]
    args: tuple[tuple[Any, ...], ...]
    message: str


class CodeDomain:
    """Tasks over Python functions; see `redqueen.environments.base.Domain`."""

    name = "code"

    def __init__(
        self,
        config: DomainConfig,
        sandbox: Sandbox,
        style: Style,
        wrap: Callable[[str], str] = lambda prompt: prompt,
    ):
        """`wrap` puts a prompt through a chat template; only styles that chat use it."""
        self.config = config
        self.kinds: tuple[str, ...] = config.kinds
        self.cells = len(self.kinds) * math.prod(len(edges) + 1 for edges in _BINS.values())
        self._sandbox = sandbox
        self._style = style
        self._wrap = wrap if style.chat else lambda prompt: prompt

    # ── asking ──────────────────────────────────────────────────────────────────────────────

    def references_for(self, kind: str, wanted: int) -> int:
        """A code_f proposal works on one archived program; the others show `wanted` tasks."""
        return 1 if kind == "code_f" else wanted

    def ask(self, kind: str, references: Sequence[Task]) -> str:
        """The proposal prompt. `code_f` takes the program of the first reference: it needs one."""
        if kind == "code_f":
            program = references[0].payload["program"]
            return self._wrap(self._style.propose_f(program, self.config.code_f_inputs))
        shown = [(ref.payload["program"], self._first_input(ref)) for ref in references]
        return self._wrap(self._style.propose(kind, shown))

    def pose(self, task: Task) -> str:
        """The prompt that gives a student a task."""
        payload, style = task.payload, self._style
        if task.kind == "code_o":
            return self._wrap(style.solve_o(payload["program"], payload["input"]))
        if task.kind == "code_i":
            return self._wrap(style.solve_i(payload["program"], payload["output"]))
        shown = [(args, output) for args, output in payload["examples"]]
        return self._wrap(style.solve_f(payload["message"], shown))

    @staticmethod
    def _first_input(task: Task) -> str:
        payload = task.payload
        return str(payload["examples"][0][0] if task.kind == "code_f" else payload["input"])

    # ── validation ──────────────────────────────────────────────────────────────────────────

    def validate(self, drafts: Sequence[Draft]) -> list[Task | Rejection]:
        """Parse, apply the policy, run every input twice; a task or a named reason for each."""
        candidates = [self._parse(draft) for draft in drafts]
        calls: list[Call] = []
        for item in candidates:
            if isinstance(item, _Candidate):
                # Executed anew for each call: what differs from call to call should be seen to.
                source = item.parsed.source
                calls += [Call(source, "f", args, State.NAMESPACE) for args in item.args] * 2
        outcomes = iter(self._sandbox.run(calls))
        results: list[Task | Rejection] = []
        for draft, item in zip(drafts, candidates, strict=True):
            if isinstance(item, Rejection):
                results.append(item)
                continue
            first = [next(outcomes) for _ in item.args]
            second = [next(outcomes) for _ in item.args]
            results.append(self._settle(draft, item, first, second))
        return self._without_constant(candidates, results)

    def _parse(self, draft: Draft) -> _Candidate | Rejection:
        if draft.kind == "code_f":
            found = self._style.read_inputs_and_message(draft.text)
            if found is None:
                return reject("unparsable")
            inputs, message = found
            program = str(draft.references[0].payload["program"])
        else:
            pair = self._style.read_program_and_input(draft.text)
            if pair is None:
                return reject("unparsable")
            program, inputs, message = pair[0], [pair[1]], ""
        parsed = parse_program(program, self.config.max_program_chars)
        if isinstance(parsed, str):
            return reject(parsed)
        return self._read_inputs(draft.kind, parsed, inputs, message)

    def _read_inputs(
        self, kind: str, parsed: Parsed, inputs: Sequence[str], message: str
    ) -> _Candidate | Rejection:
        limit = self.config.max_value_chars
        if any(len(text) > limit for text in (*inputs, message)):
            return reject("too_long")
        args = [parse_arguments(text, parsed.arity) for text in inputs]
        known = [item for item in args if item is not None]
        if len(known) < len(args):
            return reject("bad_input")
        unique = {arguments_text(item): item for item in known}
        if any(len(text) > limit for text in unique):
            return reject("too_long")
        if kind == "code_f":
            if len(unique) < self.config.code_f_inputs:
                return reject("too_few_inputs")
            unique = dict(list(unique.items())[: self.config.code_f_inputs])
        item = _Candidate(parsed, tuple(unique), tuple(unique.values()), message)
        reason = fault_before(self.config, kind, parsed, item.args, message)
        return item if reason is None else reject(reason)

    def _settle(
        self, draft: Draft, item: _Candidate, first: Sequence[Outcome], second: Sequence[Outcome]
    ) -> Task | Rejection:
        for outcome in (*first, *second):
            if outcome.kind is OutcomeKind.INFRA_ERROR:
                return our_failure(outcome)
        for outcome in (*first, *second):
            if outcome.kind is not OutcomeKind.VALUE:
                detail = f"{outcome.exception}: {outcome.message}".strip(": ")
                named = EXCEPTION_REASONS.get(outcome.exception)
                return reject(named or OUTCOME_REASONS[outcome.kind], detail[:200])
        if [outcome.text for outcome in first] != [outcome.text for outcome in second]:
            return reject("nondeterministic")
        outputs = [outcome.text for outcome in first]
        if any(len(text) > self.config.max_value_chars for text in outputs):
            return reject("output_too_long")
        pairs = list(zip(item.inputs, outputs, strict=True))
        fixed = draft.kind == "code_f" and all(same_value(outputs[0], text) for text in outputs)
        if fixed and "constant" in self.config.guards:
            return reject("constant")
        fault = fault_after(self.config, draft.kind, item.parsed, item.args[0], outputs[0])
        if fault is not None:
            return reject(fault)
        return self._task(draft.kind, item.parsed, pairs, item.message, draft.author, draft.step)

    def _without_constant(
        self, candidates: Sequence[_Candidate | Rejection], results: list[Task | Rejection]
    ) -> list[Task | Rejection]:
        """`results` with the guard `constant` applied to code_o and code_i: it runs neighbours of
        what has become a task."""
        if "constant" not in self.config.guards:
            return results
        places, probes = [], []
        for place, (item, made) in enumerate(zip(candidates, results, strict=True)):
            if isinstance(item, _Candidate) and isinstance(made, Task) and made.kind != "code_f":
                places.append(place)
                probes.append(Probe(item.parsed.source, item.args[0], made.payload["output"]))
        for place, found in zip(places, find_constant(self._sandbox, probes), strict=True):
            if isinstance(found, Outcome):
                results[place] = our_failure(found)
            elif found:
                results[place] = reject("constant")
        return results

    def _task(
        self,
        kind: str,
        parsed: Parsed,
        pairs: Sequence[tuple[str, str]],
        message: str,
        author: int | None,
        step: int,
    ) -> Task:
        payload: dict[str, Any] = {"program": parsed.source, "arity": parsed.arity}
        if kind == "code_f":
            half = len(pairs) // 2
            payload["message"] = message
            payload["examples"] = [list(pair) for pair in pairs[:half]]
            payload["hidden"] = [list(pair) for pair in pairs[half:]]
        else:
            payload["input"], payload["output"] = pairs[0]
        return Task(
            id=task_id(kind, payload),
            domain=self.name,
            kind=kind,
            payload=payload,
            features=features(parsed, _values(pairs, parsed.arity)),
            author=author,
            step=step,
        )

    # ── verification ────────────────────────────────────────────────────────────────────────

    def verify(self, attempts: Sequence[Attempt]) -> list[Judgement]:
        """Verdicts in the order of the attempts; the sandbox runs once, on the whole batch.

        Equal answers to one task are judged once: what is judged depends on nothing else.
        """
        keys = [(attempt.task.id, self._style.read_answer(attempt.text)) for attempt in attempts]
        tasks = {key: attempt.task for key, attempt in zip(keys, attempts, strict=True)}
        limit = self.config.max_program_chars
        plans = {key: plan_verdict(task, key[1], limit) for key, task in tasks.items()}
        calls = [call for plan in plans.values() if isinstance(plan, Plan) for call in plan.calls]
        outcomes = iter(self._sandbox.run(calls))
        judged = {
            key: plan.judge([next(outcomes) for _ in plan.calls])
            if isinstance(plan, Plan)
            else plan
            for key, plan in plans.items()
        }
        return [judged[key] for key in keys]

    # ── tasks of our own ────────────────────────────────────────────────────────────────────

    def seed_tasks(self, count: int, seed: int) -> list[Task]:
        """`count` generated tasks, kinds and bands in turn; see `generated_task`."""
        rng = Random(derive_seed(seed, "seed tasks"))
        pairs = [(kind, band) for band in BANDS for kind in self.kinds]
        return [self.generated_task(*pairs[index % len(pairs)], rng) for index in range(count)]

    def bands(self, kind: str) -> tuple[int, ...]:
        """All bands of the generator; `code_f`, which asks for the whole program, has 1 to 3."""
        return BANDS[:3] if kind == "code_f" else BANDS

    def generated_task(self, kind: str, band: int, rng: Random) -> Task:
        """A task of a difficulty band from the program generator.

        Of the bands 1 to 5, `code_f` keeps to 1 to 3: there 4 and 5 become 1 and 2.

        Nothing of it comes from a model, so its outputs are those of the generator's own run.

        Raises:
            ConfigError: the configured lengths leave no room for generated tasks.
        """
        if kind == "code_f" and band in BANDS:
            band = 1 + (band - 1) % 3
        for _ in range(_GENERATOR_TRIES):
            program, args = generate_program(band, rng)
            parsed = parse_program(program.source, self.config.max_program_chars)
            if isinstance(parsed, str):
                continue
            try:
                pairs = self._run_program(kind, program, args, rng)
            except GenerationError:
                continue
            if any(len(text) > self.config.max_value_chars for pair in pairs for text in pair):
                continue
            task = self._task(kind, parsed, pairs, program.message, author=None, step=0)
            return replace(task, features={**task.features, "band": float(program.band)})
        raise ConfigError(
            f"no {kind} task of band {band} fits the limits domain.max_program_chars = "
            f"{self.config.max_program_chars}, domain.max_value_chars = "
            f"{self.config.max_value_chars}, domain.code_f_inputs = {self.config.code_f_inputs}; "
            "raise the first two or lower the last"
        )

    def written_task(
        self, kind: str, program: str, cases: Sequence[tuple[str, str]], message: str
    ) -> Task:
        """A task from a program and texts of inputs with their outputs, both known to be right.

        `code_o` and `code_i` take the first case; `code_f` shows half of them and hides the rest.

        Raises:
            ValueError: the program breaks the language's policy, or `code_f` has under two cases.
        """
        parsed = parse_program(program, len(program))
        if isinstance(parsed, str):
            raise ValueError(f"no program of the language ({parsed}): {program}")
        if kind == "code_f" and len(cases) < 2:
            raise ValueError(f"code_f needs two cases to show one and hide one: {program}")
        return self._task(kind, parsed, cases, message, author=None, step=0)

    def _run_program(
        self, kind: str, program: Program, args: tuple[Any, ...], rng: Random
    ) -> list[tuple[str, str]]:
        """Texts of input and output; several for code_f."""
        if kind == "code_f":
            runs = more_inputs(program, self.config.code_f_inputs, rng)
        else:
            runs = [(args, execute(program, args)[0])]
        return [(arguments_text(given), value_text(value)) for given, value in runs]

    def form(self, task: Task) -> Form:
        """The program up to names, and up to constants if so configured, with its inputs; the
        order of a code_f task's inputs and its message do not matter."""
        payload = task.payload
        tree = parse_module(payload["program"])
        program = f"{task.kind}:{normal_form(tree, self.config.near_copy_constants)}"
        if task.kind != "code_f":
            return Form(task_id(program, {"input": payload["input"]}), program)
        inputs = sorted(args for args, _ in (*payload["examples"], *payload["hidden"]))
        return Form(task_id(program, {"inputs": inputs}))

    def cell(self, task: Task) -> str:
        """Kind with the bins of lines, cyclomatic number, tree depth and number of types."""
        bins = [sum(task.features[name] >= edge for edge in edges) for name, edges in _BINS.items()]
        return ":".join([task.kind, *map(str, bins)])


def _values(pairs: Sequence[tuple[str, str]], arity: int) -> list[Any]:
    """The arguments and results in canonical texts."""
    args = [parse_arguments(given, arity) or () for given, _ in pairs]
    return [*(value for item in args for value in item), *(parse_literal(o)[1] for _, o in pairs)]
