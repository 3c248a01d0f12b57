"""Why a message of another node was not learnt from."""

from collections.abc import Mapping

REASONS: Mapping[str, str] = {
    "oversize": "Longer than swarm.max_bytes.",
    "not_a_message": "Does not begin like a message of the swarm.",
    "newer_version": "Written in a newer version of the format; left alone.",
    "too_nested": "Nested too deep, or too many values, before it was parsed.",
    "malformed": "Does not fit the schema.",
    "not_canonical": "Says what it says in other bytes than the format's.",
    "not_listed": "The author is not in swarm.peers.",
    "too_many_peers": "More authors than swarm.max_peers.",
    "forged": "The signature is not the author's.",
    "other_base": "The adapter is of another base than this node's.",
    "other_shape": "The adapter has other layers, another rank or another precision.",
    "not_finite": "The adapter holds values that are not finite, or larger than any trained one.",
    "expired": "Its time is too far from this node's clock.",
    "replayed": "From before the author's present run, or before the window of its messages.",
    "repeated": "Has come before.",
    "quota": "More messages in a step than the author's share of swarm.quota.",
    "too_many_answers": "More answers than swarm.max_answers.",
    "copied": "Repeats what another node, or this one, wrote.",
    "crowded_out": "Pushed out by newer messages of its author before it was drawn.",
    "aged": "Waited more than swarm.max_age steps.",
    "unknown_environment": "This node has no such environment.",
    "other_environment": "The environment has another version here.",
    "truncated": "An answer that is said to be cut is shorter than the stated limit.",
    "unsafe": "A screen of safety.screens objects to the words of the task.",
    "invalid_task": "The task does not pass the validation that a teacher's task passes.",
    "held_out": "The task belongs to a suite that is kept from training.",
    "other_prompt": "The prompt is not the one that this node gives the task.",
    "unwritable": "An answer is too long for this node's members, or holds special tokens.",
    "check_failed": "Checking it failed on this node's side.",
    "no_advantage": "All answers earn the same reward: there is nothing to learn.",
    "nobody_right": "No answer earns more than a wrong one (swarm.need_right).",
}
"""Name of a refusal -> a sentence, in the order of the checks."""

BLAMELESS = frozenset(
    {"newer_version", "too_many_peers", "expired", "replayed", "repeated", "quota",
     "too_many_answers", "crowded_out", "aged", "other_base", "other_shape", "unknown_environment",
     "other_environment", "other_prompt", "unwritable", "check_failed", "no_advantage",
     "nobody_right"}
)  # fmt: skip
"""Refusals that an honest node meets too, or that others bring on it by sending again what it once
signed; they do not lower its share."""

ARRIVED, TAKEN, IMPLAUSIBLE = "arrived", "taken", "implausible"
"""What else is counted: messages that proved their author, groups learnt from, and groups learnt
from that this node's policy finds less likely than nearly all of its own."""


class RefusedError(Exception):
    """A message that is refused; `reason` is one of `REASONS`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
