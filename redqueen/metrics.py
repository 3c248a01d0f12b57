"""The names of all metrics, with their units: what `run.db`, trackers and files call them."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """A name, in which `<...>` stands for any one part, its unit and what it says."""

    name: str
    unit: str
    text: str

    def fits(self, name: str) -> bool:
        """Return whether this is the metric of that name."""
        parts, others = self.name.split("/"), name.split("/")
        return len(parts) == len(others) and all(
            part == other or part.startswith("<") for part, other in zip(parts, others, strict=True)
        )


METRICS = (
    Metric("solve_rate", "share", "right last answers of attempts, infrastructure errors left out"),
    Metric("solve_rate/turn/<k>", "share", "the same of all answers in a turn of the interaction"),
    Metric("valid_rate", "share", "proposals that became tasks, infrastructure errors left out"),
    Metric("unsafe_rate", "share", "proposals that a screen held back, infrastructure errors "
           "left out"),
    Metric("disputed", "share", "attempts at tasks whose key students contradict with one voice"),
    Metric("truncated", "share", "texts that the limit of tokens cut off"),
    Metric("infra_rate", "share", "proposals and attempts lost to infrastructure errors"),
    Metric("mixed_groups", "groups", "groups with right answers and others"),
    Metric("rounds", "rounds", "of the step's matches; see rollout.mixed_groups"),
    Metric("sampled_tokens", "tokens", "written in the step"),
    Metric("tokens_per_s", "tokens/s", "written in the phases propose and solve"),
    Metric("loss", "", "what was differentiated, mean over members and updates"),
    Metric("entropy", "nats/token", "of the sampling policy, by its own tokens"),
    Metric("approx_kl", "nats/token", "from the sampling policy to the one that is differentiated, "
           "k3 estimate, measured before each update: about 0 with one update a step, the default"),
    Metric("base_kl", "nats/token", "from policy to base, k3 estimate; 0 without a penalty"),
    Metric("importance_weight", "", "mean of the truncated importance weights; "
           "learner.importance_cap"),
    Metric("importance_truncated", "share", "tokens whose importance weight the cap holds back"),
    Metric("clip_fraction", "share", "tokens whose ratio the clip holds back, measured before each "
           "update: about 0 with one update a step"),
    Metric("logprob_mismatch", "nats/token", "mean difference of log-probabilities at sampling and "
           "at learning, before the update"),
    Metric("trained_sequences", "sequences", "with an advantage; with a KL penalty, all"),
    Metric("trained_tokens", "tokens", "sampled ones of all sequences of the update, each once, "
           "those without an advantage too"),
    Metric("zero_advantages", "share", "sequences without an advantage"),
    Metric("coverage", "share", "archive cells that ever held a task"),
    Metric("coverage/<kind>", "share", "the same of one kind's cells"),
    Metric("coverage/<kind>/<environment>", "share", "the same, with several environments"),
    Metric("archive_size", "tasks", "in all archives"),
    Metric("outside_seeds", "share", "valid tasks with a construct or pair that no seed task has"),
    Metric("diversity/<group>/<measure>", "", "differences between members; docs/method.md, "
           "docs/interactions.md"),
    Metric("fitness_reliability/<group>", "", "split-half reliability of the probe's fitness"),
    Metric("member/<id>/fitness", "", "in the probe: mean score, or mean reward of proposals, "
           "kinds taken off"),
    Metric("member/<id>/reward", "", "mean over the member's sequences"),
    Metric("member/<id>/advantage", "", "mean absolute advantage; 0: nothing to learn"),
    Metric("member/<id>/grad_norm", "", "before clipping"),
    Metric("member/<id>/logprob_mismatch", "nats/token", "as above, of one member"),
    Metric("member/<id>/tokens", "tokens", "the member's part of trained_tokens"),
    Metric("member/<id>/mu", "", "TrueSkill rating"),
    Metric("member/<id>/sigma", "", "its uncertainty"),
    Metric("seconds/<phase>", "s", "of a phase; the phases of a step follow each other"),
    Metric("seconds/beside/<work>", "s", "what went on at the same time as phases"),
    Metric("swarm/taken", "groups", "of other nodes that were learnt from"),
    Metric("swarm/published", "groups", "sent to other nodes"),
    Metric("swarm/arrived", "messages", "from other nodes"),
    Metric("swarm/refused", "messages", "that broke a rule"),
    Metric("alarm/<cause>", "1", "an alarm that rings in this step; missing while it is silent"),
    Metric("eval/<suite>/<mode>/<who>", "share", "right answers of a suite; trackers only"),
)  # fmt: skip
"""All of them. A metric without anything to measure in a step is missing there."""


def metrics_page(metrics: Iterable[Metric] = METRICS) -> str:
    """Return docs/metrics.md."""
    lines = [
        "# Metrics",
        "",
        "One value a step. `run.db`, trackers (`tracking`) and `redqueen metrics RUN` use the same",
        "names. A metric that has nothing to measure in a step is missing there. This page is made",
        "from `redqueen/metrics.py`: `redqueen metrics > docs/metrics.md`.",
        "",
        "| name | unit | what it says |",
        "|---|---|---|",
    ]
    rows = [f"| `{metric.name}` | {metric.unit} | {metric.text} |" for metric in metrics]
    return "\n".join([*lines, *rows]) + "\n"
