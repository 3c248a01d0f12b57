"""From a teacher's text to a task or a rejection: parse, apply guards, run every input twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redqueen.environments.base import Draft
from redqueen.environments.code.analysis import Parsed, parse_program, state_of
from redqueen.environments.code.echo import find_echoes
from redqueen.environments.code.gate import fault_after, fault_before
from redqueen.environments.code.neighbours import Probe, find_constant
from redqueen.environments.code.policy import Profile
from redqueen.environments.code.reading import parameters_of, read_arguments
from redqueen.environments.code.reasons import (
    EXCEPTION_REASONS,
    OUTCOME_REASONS,
    our_failure,
    reject,
)
from redqueen.environments.code.styles import Style
from redqueen.environments.code.tasks import make_task
from redqueen.environments.code.texts import arguments_text, fit_results, same_value
from redqueen.sandbox import Call, Outcome, OutcomeKind, Sandbox, State, parse_arguments
from redqueen.types import Rejection, Task

if TYPE_CHECKING:
    from redqueen.environments.code.config import Code


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposal that parsed: its program, and the inputs to run it on, as texts and values."""

    parsed: Parsed
    inputs: tuple[str, ...]
    args: tuple[tuple[Any, ...], ...]
    message: str


def validate(
    drafts: Sequence[Draft],
    environment: str,
    config: "Code",
    profile: Profile,
    style: Style,
    sandbox: Sandbox,
) -> list[Task | Rejection]:
    """Return a task or a named rejection for each draft. The sandbox runs them all together."""
    candidates = [read_draft(draft, config, profile, style) for draft in drafts]
    return make_tasks(drafts, candidates, environment, config, sandbox)


def revalidate(
    tasks: Sequence[Task], environment: str, config: "Code", profile: Profile, sandbox: Sandbox
) -> list[Task | Rejection]:
    """Return each task made anew from its program and inputs, if that gives the same payload."""
    drafts = [Draft(task.kind, "", (), task.author, task.step) for task in tasks]
    candidates = [read_payload(task, config, profile) for task in tasks]
    made = make_tasks(drafts, candidates, environment, config, sandbox)
    return [
        reject("other_payload")
        if isinstance(again, Task) and again.payload != task.payload
        else again
        for task, again in zip(tasks, made, strict=True)
    ]


def read_payload(task: Task, config: "Code", profile: Profile) -> Candidate | Rejection:
    """Return what a payload asks for, which may be any JSON, or why it may not run."""
    payload = task.payload
    try:
        pairs = [*payload["examples"], *payload["hidden"]] if task.kind == "code_f" else []
        inputs = [given for given, _ in pairs] if pairs else [payload["input"]]
        program, message = payload["program"], payload.get("message", "")
    except (KeyError, TypeError, ValueError):
        return reject("unparsable")
    if task.kind not in config.kinds or not all(
        isinstance(item, str) for item in (program, message, *inputs)
    ):
        return reject("unparsable")
    return read_program(task.kind, program, inputs, message, config, profile)


def make_tasks(
    drafts: Sequence[Draft],
    candidates: Sequence[Candidate | Rejection],
    environment: str,
    config: "Code",
    sandbox: Sandbox,
) -> list[Task | Rejection]:
    """Return what becomes of the candidates, whose kind, author and step are their drafts'."""
    calls: list[Call] = []
    for item in candidates:
        if isinstance(item, Candidate):
            # A fresh namespace for each call, so that state kept between calls shows.
            source = item.parsed.source
            pure = state_of(source) is not State.INTERPRETER
            state = State.NAMESPACE if pure else State.INTERPRETER
            calls += [Call(source, "f", args, state) for args in item.args] * 2
    outcomes = iter(sandbox.run(calls))
    results: list[Task | Rejection] = []
    for draft, item in zip(drafts, candidates, strict=True):
        if isinstance(item, Rejection):
            results.append(item)
            continue
        first = [next(outcomes) for _ in item.args]
        second = [next(outcomes) for _ in item.args]
        outputs = _outputs(draft.kind, item, first, second, config)
        if isinstance(outputs, Rejection):
            results.append(outputs)
            continue
        pairs = list(zip(item.inputs, outputs, strict=True))
        results.append(
            make_task(
                environment, draft.kind, item.parsed, pairs, item.message,
                author=draft.author, step=draft.step,
            )
        )  # fmt: skip
    if "constant" in config.guards:
        _reject_constant(candidates, results, sandbox)
    if "echo" in config.guards:
        _reject_echoes(results, sandbox)
    return results


def read_draft(
    draft: Draft, config: "Code", profile: Profile, style: Style
) -> Candidate | Rejection:
    """Return what a draft's text asks for, or why it cannot be read or may not run."""
    if draft.kind == "code_f":
        parts = style.read_inputs_and_message(draft.text)
        if parts is None:
            return reject("unparsable")
        inputs, message = parts
        program = str(draft.references[0].payload["program"])
    else:
        pair = style.read_program_and_input(draft.text)
        if pair is None:
            return reject("unparsable")
        program, inputs, message = pair[0], [pair[1]], ""
    return read_program(draft.kind, program, inputs, message, config, profile)


def read_program(
    kind: str,
    program: str,
    inputs: Sequence[str],
    message: str,
    config: "Code",
    profile: Profile,
) -> Candidate | Rejection:
    """Return a program with its inputs as a candidate, or why it may not run."""
    parsed = parse_program(program, config.max_program_chars, profile)
    if isinstance(parsed, str):
        return reject(parsed)
    return _read_inputs(kind, parsed, inputs, message, config)


def _read_inputs(
    kind: str, parsed: Parsed, inputs: Sequence[str], message: str, config: "Code"
) -> Candidate | Rejection:
    limit = config.max_value_chars
    if any(len(text) > limit for text in (*inputs, message)):
        return reject("too_long")
    args = []
    for text in inputs:
        values = parse_arguments(text, parsed.arity)
        if values is None and (given := read_arguments(text)) is not None:
            values = given.bind(parameters_of(parsed.source))
        if values is None:
            return reject("bad_input")
        args.append(values)
    unique = {arguments_text(item): item for item in args}
    if any(len(text) > limit for text in unique):
        return reject("too_long")
    if kind == "code_f":
        if len(unique) < config.code_f_inputs:
            return reject("too_few_inputs")
        unique = dict(list(unique.items())[: config.code_f_inputs])
    item = Candidate(parsed, tuple(unique), tuple(unique.values()), message)
    reason = fault_before(config, kind, parsed, item.args, message)
    return item if reason is None else reject(reason)


def _outputs(
    kind: str, item: Candidate, first: Sequence[Outcome], second: Sequence[Outcome], config: "Code"
) -> list[str] | Rejection:
    """Return the outputs of a candidate that ran twice, or why it is no task."""
    for outcome in (*first, *second):
        if outcome.kind is OutcomeKind.INFRA_ERROR:
            return our_failure(outcome)
    for outcome in (*first, *second):
        if outcome.kind is not OutcomeKind.VALUE:
            detail = f"{outcome.exception}: {outcome.message}".strip(": ")
            reason = EXCEPTION_REASONS.get(outcome.exception, OUTCOME_REASONS[outcome.kind])
            return reject(reason, detail[:200])
    outputs = [outcome.text for outcome in first]
    if outputs != [outcome.text for outcome in second]:
        return reject("nondeterministic")
    if any(len(text) > config.max_value_chars for text in outputs):
        return reject("output_too_long")
    if not fit_results(outputs, config.results):
        return reject("other_result")
    alike = kind == "code_f" and all(same_value(outputs[0], text) for text in outputs)
    if alike and "constant" in config.guards:
        return reject("constant")
    fault = fault_after(config, kind, item.parsed, item.args[0], outputs[0])
    return outputs if fault is None else reject(fault)


def _reject_constant(
    candidates: Sequence[Candidate | Rejection], results: list[Task | Rejection], sandbox: Sandbox
) -> None:
    """Replace the code_o and code_i tasks in `results` whose output does not depend on the input.

    Only what has become a task is run on neighbours of its input.
    """
    places, probes = [], []
    for place, (item, made) in enumerate(zip(candidates, results, strict=True)):
        if isinstance(item, Candidate) and isinstance(made, Task) and made.kind != "code_f":
            places.append(place)
            probes.append(Probe(item.parsed.source, item.args[0], made.payload["output"]))
    for place, constant in zip(places, find_constant(sandbox, probes), strict=True):
        if isinstance(constant, Outcome):
            results[place] = our_failure(constant)
        elif constant:
            results[place] = reject("constant")


def _reject_echoes(results: list[Task | Rejection], sandbox: Sandbox) -> None:
    """Replace the code_i tasks in `results` that are solved by repeating the output."""
    tasks = {
        place: made.payload
        for place, made in enumerate(results)
        if isinstance(made, Task) and made.kind == "code_i"
    }
    programs = [(item["program"], item["output"], item["arity"]) for item in tasks.values()]
    for place, echo in zip(tasks, find_echoes(sandbox, programs), strict=True):
        if isinstance(echo, Outcome):
            results[place] = our_failure(echo)
        elif echo:
            results[place] = reject("echo")
