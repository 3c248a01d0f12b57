"""Work of a known size for benchmarks: prompts and texts of given lengths, and what to learn."""

from collections.abc import Sequence
from dataclasses import replace

from redqueen.engines.policy import Policy
from redqueen.types import Completion, Role, Trajectory


def _forget_ends(policy: Policy, job: object) -> None:
    policy.base = replace(policy.base, eos_ids=frozenset())


def never_ending(policy: Policy) -> Policy:
    """Let no text end by itself, so that all are as long as they may be; in its workers too."""
    _forget_ends(policy, None)
    if policy.crew is not None:
        # Which deals its jobs in turn, so that every worker gets one.
        policy.crew.map_gradients(_forget_ends, range(len(policy.crew)))
    return policy


def plain_prompts(policy: Policy, count: int, tokens: int, first: int = 0) -> list[str]:
    """Different prompts of about `tokens` tokens, strung together from the vocabulary."""
    words = [policy.base.decode([i]) for i in range(policy.base.embeddings)]
    words = [word for word in words if word.strip()]
    return [
        "".join(words[(11 * first + 7 * number + 3 * i) % len(words)] for i in range(tokens))
        for number in range(count)
    ]


def trajectories(texts: Sequence[Completion]) -> list[Trajectory]:
    """Every attempt takes part: rewards differ within each group."""
    return [
        Trajectory(
            slot=text.slot or 0,
            member=text.slot or 0,
            role=Role.STUDENT,
            kind="code_o",
            group=str(hash(text.prompt_ids)),
            prompt_ids=text.prompt_ids,
            token_ids=text.token_ids,
            logprobs=text.logprobs,
            reward=float(number % 2),
        )
        for number, text in enumerate(texts)
    ]
