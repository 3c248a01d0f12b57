"""How much work a configuration asks for: what "matched" means in a comparison."""

from dataclasses import dataclass

from redqueen.config import Config


@dataclass(frozen=True, slots=True)
class Work:
    """Planned text of a whole run, if every proposal is valid; None: nobody plays that role."""

    adapters: int
    steps: int
    attempts: int
    """Solving attempts of all members."""
    proposals: int | None
    """Proposals of all members."""
    attempts_per_student: float
    """For each member that solves."""
    proposals_per_teacher: float | None
    """For each member that proposes."""

    @property
    def rollouts(self) -> int:
        """Texts sampled in the run."""
        return self.attempts + (self.proposals or 0)


def _students_per_task(config: Config, students: int) -> int:
    wanted = config.rollout.students_per_task
    return students if wanted == "all" else min(wanted, students)


def planned_work(config: Config) -> Work:
    """Count from the configuration: steps x matches x tasks (x students per task x attempts)."""
    people, rollout = config.population, config.rollout
    teachers = people.teachers + people.self_play
    students = people.students + people.self_play
    tasks = config.steps * rollout.matches * rollout.tasks_per_match
    each = _students_per_task(config, people.students) if people.students else 1
    attempts = tasks * each * rollout.attempts
    return Work(
        adapters=people.teachers + people.students + people.self_play,
        steps=config.steps,
        attempts=attempts,
        proposals=tasks if teachers else None,
        attempts_per_student=attempts / students,
        proposals_per_teacher=tasks / teachers if teachers else None,
    )
