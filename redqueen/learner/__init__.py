"""Rewards, advantages, the loss, and one fused update of every member."""

from redqueen.learner.advantages import SCHEMES
from redqueen.learner.optimizer import StackedAdamW
from redqueen.learner.report import MemberUpdate, UpdateReport
from redqueen.learner.rewards import (
    TEACHER_REWARDS,
    solve_rate,
    student_reward,
    teacher_reward,
)
from redqueen.learner.settling import settle, step_metrics
from redqueen.learner.trajectories import make_trajectories
from redqueen.learner.update import Learner, Scorer

__all__ = [
    "SCHEMES",
    "TEACHER_REWARDS",
    "Learner",
    "MemberUpdate",
    "Scorer",
    "StackedAdamW",
    "UpdateReport",
    "make_trajectories",
    "settle",
    "solve_rate",
    "step_metrics",
    "student_reward",
    "teacher_reward",
]
