"""A made-up but plausible run, written through the store: test data, not a result.

`python tests/made_up_run.py DIRECTORY [STEPS]` writes one to look at.
"""

import math
import sys
from pathlib import Path

import numpy as np

from redqueen.config import Config, build_config
from redqueen.store import EvaluationAttempt, RunStore
from redqueen.types import (
    Completion,
    EvolutionEvent,
    Match,
    MatchResult,
    Member,
    Proposal,
    Rejection,
    Request,
    Role,
    Rollout,
    StepRecord,
    Task,
    Verdict,
    user,
)

KINDS = ("code_o", "code_i", "code_f")
REASONS = ("syntax", "format", "unsupported", "nondeterministic", "duplicate", "timeout", "trivial")
OPERATORS = ("svd", "layer_gaussian", "average", "layerwise")
DESCRIPTIONS = {
    "code": {
        "kinds": [{"name": kind, "title": kind} for kind in KINDS],
        "measures": [
            {"name": "ast_depth", "title": "Depth of the syntax tree", "edges": [4]},
            {"name": "lines", "title": "Lines of code", "edges": []},
        ],
        "difficulty": {"name": "band", "title": "Difficulty band", "edges": []},
        "suites": [{"name": "held-out", "title": "Held-out", "text": "Tasks kept from training."}],
        "reasons": {"syntax": "The program is not Python."},
        "payload": {
            "code_o": {"program": "program", "input": "input", "output": "expected output"},
        },
    }
}
REQUEST = Request(0, user("prompt"), 1)
PHASES = {"match": 0.01, "propose": 2.1, "validate": 0.3, "solve": 3.4, "learn": 2.6, "store": 0.05}


def completion(text: str) -> Completion:
    ids = tuple(range(len(text) // 3 + 1))
    return Completion(0, (1,), ids, (-1.0,) * len(ids), text, True)


def program(rng: np.random.Generator, size: int) -> str:
    lines = ["def f(a, b):"]
    for index in range(size):
        lines.append(
            [
                f"    a = a + [b * {index + 2}]",
                "    if len(a) > 3:\n        a = a[1:]",
                f"    for x in range({index + 1}):\n        b = b + x",
                "    a = [x for x in a if x < b]",
            ][int(rng.integers(4))]
        )
    return "\n".join([*lines, "    return a, b"])


def make_task(
    rng: np.random.Generator, step: int, steps: int, kind: str, author: int, n: int
) -> Task:
    hard = step / max(steps, 1)
    size = 1 + int(rng.poisson(1.5 + 3 * hard))
    code = program(rng, size)
    value = [int(x) for x in rng.integers(0, 9, 3)]
    features = {
        "ast_depth": 5 + size * 0.6 + float(rng.normal(0, 0.4)),
        "cyclomatic": float(1 + rng.binomial(size, 0.5)),
        "lines": float(code.count("\n") + 1),
    }
    payload: dict[str, object] = {"program": code, "arity": 2}
    if kind == "code_f":
        payload |= {
            "message": "Shift the list, then add.",
            "examples": [[f"({value}, {i})", f"({value}, {i + 1})"] for i in range(3)],
            "hidden": [[f"({value}, 9)", f"({value}, 10)"]],
        }
    else:
        payload |= {"input": f"{value}, {int(rng.integers(9))}", "output": f"({value}, 12)"}
    return Task(f"s{step}-{n}", "code", kind, payload, features, author, step)


def attempt_text(rng: np.random.Generator, verdict: Verdict) -> str:
    trace = "\n".join(f"a = {[int(x) for x in rng.integers(0, 9, 3)]}" for _ in range(3))
    ending = "answer: ([1, 2], 12)" if verdict is not Verdict.MALFORMED else "answer: ([1, 2"
    return f"{trace}\n{ending}"


class Fabricator:
    """Holds the population while steps are made up."""

    def __init__(self, config: Config, seed: int) -> None:
        self.config = config
        self.rng = np.random.default_rng(seed)
        roles = [Role.TEACHER] * config.population.teachers
        roles += [Role.STUDENT] * config.population.students
        self.living = [Member(i, i, (role,), 25.0, 25 / 3) for i, role in enumerate(roles)]
        self.skill = {m.id: float(self.rng.normal(0, 0.4)) for m in self.living}
        self.next_id = len(roles)

    def of(self, role: Role) -> list[Member]:
        return [m for m in self.living if role in m.roles]

    def rejected(self, step: int, match: int, teacher: int, kind: str) -> Proposal:
        weights = np.array([3, 2, 2, 1, 0.2 + 2 * step / self.config.steps, 0.4, 0.8])
        reason = REASONS[int(self.rng.choice(len(REASONS), p=weights / weights.sum()))]
        malformed = reason in ("syntax", "format")
        rejection = Rejection(reason, malformed)
        return Proposal(step, match, teacher, kind, (), REQUEST, completion("def f("), rejection)

    def step(self, step: int, valid_share: float = 1.0) -> StepRecord:
        rng, config = self.rng, self.config
        proposals: list[Proposal] = []
        rollouts: list[Rollout] = []
        matches: list[MatchResult] = []
        students = rng.permutation([m.id for m in self.of(Role.STUDENT)])
        for index, teacher in enumerate(self.of(Role.TEACHER)[: config.rollout.matches]):
            student = int(students[index % len(students)])
            valid = correct = attempts = 0
            for number in range(config.rollout.tasks_per_match):
                kind = KINDS[number % 3]
                if rng.random() > valid_share * (0.78 + 0.15 * step / config.steps):
                    proposals.append(self.rejected(step, index, teacher.id, kind))
                    continue
                valid += 1
                number_in_step = len(proposals)
                task = make_task(rng, step, config.steps, kind, teacher.id, number_in_step)
                text = completion(str(task.payload["program"]))
                proposals.append(Proposal(step, index, teacher.id, kind, (), REQUEST, text, task))
                wave = 0.5 * math.sin(step / 6 + KINDS.index(kind))
                logit = self.skill[student] + 0.02 * step - 0.9 + wave - 0.4 * KINDS.index(kind)
                chance = 1 / (1 + math.exp(-logit + float(rng.normal(0, 0.7))))
                for attempt in range(config.rollout.attempts):
                    draw = rng.random()
                    verdict = (
                        Verdict.CORRECT
                        if draw < chance
                        else Verdict.MALFORMED
                        if draw > 0.95
                        else Verdict.WRONG
                    )
                    attempts += 1
                    correct += verdict is Verdict.CORRECT
                    rollouts.append(
                        Rollout(
                            step,
                            index,
                            student,
                            task.id,
                            kind,
                            attempt,
                            "group",
                            REQUEST,
                            completion(attempt_text(rng, verdict)),
                            verdict,
                            None if verdict is Verdict.MALFORMED else "([1, 2], 12)",
                        )
                    )
            rate = correct / attempts if attempts else None
            match = Match(step, index, teacher.id, student)
            won = rate is None or rate > 0.45
            matches.append(
                MatchResult(match, config.rollout.tasks_per_match, valid, rate, 0.45, won)
            )
        self.drift()
        members, events = self.evolve(step)
        total = sum(1 for p in proposals if isinstance(p.outcome, Task))
        return StepRecord(
            step=step,
            matches=tuple(matches),
            proposals=tuple(proposals),
            proposal_rewards=(0.5,) * len(proposals),
            rollouts=tuple(rollouts),
            rollout_rewards=(1.0,) * len(rollouts),
            members=members,
            events=events,
            metrics={
                "coverage": 0.5 * (1 - math.exp(-step / 25)),
                "coverage/code_i": 0.4 * (1 - math.exp(-step / 25)),
                "valid_rate": total / max(len(proposals), 1),
                "logprob_mismatch": float(rng.uniform(1e-7, 4e-6)),
                "tokens_per_s": float(rng.normal(5200, 200)),
            }
            | self.diversity(step),
            seconds={phase: float(s * rng.uniform(0.85, 1.15)) for phase, s in PHASES.items()}
            | ({"evolve": 0.4} if events else {})
            | {"beside/verify": 1.5},
        )

    def diversity(self, step: int) -> dict[str, float]:
        """No draws: the rest of the run stays as it was."""
        metrics: dict[str, float] = {}
        for role in Role:
            count = len(self.of(role))
            if count > 1:
                share = math.exp(-step / 80) * (0.9 if role is Role.TEACHER else 0.7)
                values = (("weights_mean", share), ("behaviour_mean", share / 2),
                          ("weights_effective", 1 + (count - 1) * share))  # fmt: skip
                metrics |= {f"diversity/{role.value}/{name}": value for name, value in values}
        if step in (7, 8, 9, 20):
            metrics["alarm/too_hard"] = 1.0
        return metrics

    def drift(self) -> None:
        moved = []
        for m in self.living:
            mu = m.mu + float(self.rng.normal(0.25 * self.skill[m.id], 0.35))
            moved.append(
                Member(
                    m.id,
                    m.slot,
                    m.roles,
                    mu,
                    max(1.2, m.sigma * 0.93),
                    m.born,
                    m.parents,
                    m.operator,
                )
            )
        self.living = moved

    def evolve(self, step: int) -> tuple[tuple[Member, ...], tuple[EvolutionEvent, ...]]:
        if not self.config.evolution.enabled or step % self.config.evolution.interval:
            return tuple(self.living), ()
        dead, events = [], []
        for role in (Role.TEACHER, Role.STUDENT):
            group = sorted(self.of(role), key=lambda m: m.conservative_rating)
            if len(group) < 2:
                continue
            lost, rest = group[0], group[1:]
            operator = OPERATORS[int(self.rng.integers(4))]
            number = 2 if operator in ("average", "layerwise") and len(rest) > 1 else 1
            picked = self.rng.choice(len(rest), number, replace=False)
            parents = tuple(rest[int(i)].id for i in picked)
            child = Member(self.next_id, lost.slot, (role,), 25.0, 25 / 3, step, parents, operator)
            self.next_id += 1
            self.skill[child.id] = self.skill[parents[0]] + float(self.rng.normal(0.1, 0.2))
            dead.append(
                Member(
                    lost.id,
                    lost.slot,
                    lost.roles,
                    lost.mu,
                    lost.sigma,
                    lost.born,
                    lost.parents,
                    lost.operator,
                    step,
                )
            )
            self.living = [m for m in self.living if m.id != lost.id] + [child]
            events.append(EvolutionEvent(step, role, lost.id, child.id, parents, operator))
        return tuple(self.living + dead), tuple(events)


def suite_task(number: int) -> Task:
    features = {"band": float(1 + (number // 3) % 5)}
    return Task(f"h{number}", "code", KINDS[number % 3], {}, features)


def evaluation(
    maker: Fabricator, tasks: int, samples: int, suite: str = "held-out", gain: float = 0.5
) -> list[EvaluationAttempt]:
    """Attempts of the base and of all living students; their texts say nothing."""
    attempts = []
    subjects = {"base": 0.0}
    subjects |= {f"member:{m.id}": gain + maker.skill[m.id] / 3 for m in maker.of(Role.STUDENT)}
    for number in range(tasks):
        task = suite_task(number)
        hard = 0.55 * task.features["band"] + 0.35 * KINDS.index(task.kind)
        ease = float(maker.rng.normal(0.9 - hard, 0.8))
        for subject, skill in subjects.items():
            for mode, count, bonus in (("sampled", samples, 0.0), ("greedy", 1, 0.35)):
                chance = 1 / (1 + math.exp(-(ease + skill + bonus) * 1.4))
                correct = int(maker.rng.binomial(count, chance))
                attempts += [
                    EvaluationAttempt(
                        suite, subject, mode, task.id, i, float(mode == "sampled"),
                        REQUEST, completion("42"),
                        Verdict.CORRECT if i < correct else Verdict.WRONG,
                    )
                    for i in range(count)
                ]  # fmt: skip
    return attempts


def fabricate(
    directory: Path,
    steps: int = 60,
    *,
    seed: int = 0,
    evaluated: bool = True,
    valid_share: float = 1.0,
    tasks: int = 60,
    steps_planned: int | None = None,
    **overrides: object,
) -> RunStore:
    """Write a run of `steps` steps and leave the store open for writing."""
    config = build_config(
        {"name": "populora", "steps": steps_planned or max(steps, 1), "seed": seed, **overrides}
    )
    store = RunStore.create(directory, config, DESCRIPTIONS)
    store.rows("PRAGMA synchronous=OFF")  # test data need not survive a power cut
    maker = Fabricator(config, seed)
    for step in range(1, steps + 1):
        store.write_step(maker.step(step, valid_share))
    if evaluated:
        suite = [suite_task(number) for number in range(tasks)]
        store.write_evaluation(evaluation(maker, tasks, 4), suite, step=steps)
    return store


if __name__ == "__main__":
    fabricate(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 60).close()
