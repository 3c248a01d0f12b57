"""Rewards, samples, advantages, the loss, and one fused update of every member."""

from redqueen.learner.assign import Rewards, assign_rewards
from redqueen.learner.disputes import disputed_tasks
from redqueen.learner.imitation import apprenticeship, imitate
from redqueen.learner.likelihood import cross_likelihood
from redqueen.learner.metrics import UpdateReport, step_metrics
from redqueen.learner.optimizer import StackedAdamW
from redqueen.learner.passes import Scorer
from redqueen.learner.samples import make_samples
from redqueen.learner.update import Learner

__all__ = [
    "Learner",
    "Rewards",
    "Scorer",
    "StackedAdamW",
    "UpdateReport",
    "apprenticeship",
    "assign_rewards",
    "cross_likelihood",
    "disputed_tasks",
    "imitate",
    "make_samples",
    "step_metrics",
]
