"""The base as a judge of tasks: is practice on them worth anything beside what it can check?

Self-guided self-play (arXiv 2604.20209, section 3 and appendix E.3): a frozen copy of the model
that is trained reads a task beside the one that it was made from. The sub-scores and how they are
put together are the paper's; the words are for tasks of any environment.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from redqueen.engines.base import Engine, Sampling
from redqueen.environments.base import Environment
from redqueen.learner.assign import solve_rates
from redqueen.rng import derive_seed
from redqueen.types import Judgement, Match, Messages, Proposal, Request, Rollout, Task, user

RELEVANCE, REDUNDANCY, COMPLEXITY = 5, 1, 4
"""The greatest sub-scores; the least are 0."""
TOO_COMPLEX = 3
BEST = RELEVANCE + 2 + 1

RUBRIC = f"""\
Judge the new problem. Think in two or three sentences, then write exactly three lines:

Relevance: how much practice on it helps with the reference problems. 0 means trivial, or the same \
problem in other words; 1 unrelated; 3 related; {RELEVANCE} means that who can solve it has learnt \
what the references need.
Redundancy: 0 if every part of it matters for the answer, {REDUNDANCY} if parts could be left out.
Complexity: 0 if it asks for one clear thing; 2 if it puts related things together; \
{TOO_COMPLEX} or {COMPLEXITY} if it piles up unrelated steps only to be long.

Each line is the word, a colon and one number."""

_SIGNS = r"[^\w\n]{0,9}"
_SCORE = re.compile(
    rf"^{_SIGNS}(relevance|redundancy|complexity){_SIGNS}:{_SIGNS}0{{0,9}}(\d+)\b", re.I | re.M
)


def ask_judge(problem: str, references: Sequence[str]) -> Messages:
    """Return the conversation that asks for a judgement of a problem, as a student sees it."""
    shown = "\n\n".join(
        f"Reference problem {number}:\n{text}" for number, text in enumerate(references, 1)
    )
    compared = shown or "There is no reference problem: any problem of reasoning counts as one."
    return user(f"{compared}\n\nNew problem:\n{problem}\n\n{RUBRIC}")


def read_quality(text: str) -> float | None:
    """Return max(0, relevance + (2 - complexity) + (1 - redundancy)) / 8, or 0 if the complexity
    is 3 or more (equation 3 of appendix E.3, scaled to [0, 1]).

    The last line of each sub-score counts. None: one is missing or out of its range.
    """
    said = {name.lower(): number for name, number in _SCORE.findall(text)}
    if any(len(number) > 1 for number in said.values()):
        return None  # out of every range, and perhaps too long for Python to read
    scores = {name: int(number) for name, number in said.items()}
    if scores.keys() != {"relevance", "redundancy", "complexity"}:
        return None
    relevance, redundancy, complexity = (
        scores[name] for name in ("relevance", "redundancy", "complexity")
    )
    if relevance > RELEVANCE or redundancy > REDUNDANCY or complexity > COMPLEXITY:
        return None
    if complexity >= TOO_COMPLEX:
        return 0.0
    return max(0, relevance + (2 - complexity) + (1 - redundancy)) / BEST


def judge_messages(environment: Environment, task: Task, references: Sequence[Task]) -> Messages:
    """Return what the base is asked of a task: it sees what students see."""
    problem, *others = (environment.prompt(item)[-1].content for item in (task, *references))
    return ask_judge(problem, others)


@dataclass(frozen=True, slots=True)
class PlannedJudgement:
    """One judgement before it is written."""

    proposal: Proposal
    task: Task
    references: tuple[str, ...]
    request: Request


def plan_judgements(
    matches: Sequence[Match],
    proposals: Sequence[Proposal],
    rollouts: Sequence[Rollout],
    environments: Mapping[str, Environment],
    tasks: Mapping[str, Task],
    seed: int,
    fits: Callable[[Messages], bool] = lambda messages: True,
) -> list[PlannedJudgement]:
    """Return what the base is asked of every task that somebody solved.

    `tasks` has the references of all proposals by id. As many of them are shown as fit; a task that
    does not fit alone is not judged.
    """
    rates = solve_rates(matches, rollouts)
    planned = []
    for proposal in proposals:
        task, references = proposal.outcome, proposal.references
        if not isinstance(task, Task) or not rates[proposal.match, task.id]:
            continue
        environment = environments[task.environment]
        messages = judge_messages(environment, task, [tasks[id_] for id_ in references])
        while references and not fits(messages):
            references = references[:-1]
            messages = judge_messages(environment, task, [tasks[id_] for id_ in references])
        if references or fits(messages):
            drawn = derive_seed(seed, proposal.step, "judge", proposal.match, task.id)
            request = Request(None, messages, drawn)
            planned.append(PlannedJudgement(proposal, task, references, request))
    return planned


def judge(
    engine: Engine, planned: Sequence[PlannedJudgement], tokens: int
) -> tuple[Judgement, ...]:
    """Return what the base, greedily, says of each task in at most `tokens` tokens."""
    completions = engine.generate([item.request for item in planned], Sampling(tokens, 0.0))
    return tuple(
        Judgement(
            step=item.proposal.step,
            match=item.proposal.match,
            task_id=item.task.id,
            references=item.references,
            request=item.request,
            completion=completion,
            quality=read_quality(completion.text),
        )
        for item, completion in zip(planned, completions, strict=True)
    )
