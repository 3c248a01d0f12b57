"""The environment `gym`: a teacher chooses a generator of reasoning-gym and its parameters.

Seeds are ours, so a teacher cannot pick the task itself. Questions, reference answers and scores
are the package's.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from pydantic import Field

from redqueen import registry
from redqueen.environments.base import (
    Attempt,
    Description,
    Draft,
    EnvironmentConfig,
    Fingerprint,
    Measure,
    Services,
    Suite,
    TaskSource,
    Verification,
)
from redqueen.environments.gym.package import Failed, Generator, GymPackage, Made, Recipe
from redqueen.environments.json_texts import TAIL, last_object
from redqueen.environments.thoughts import spoken, tagged
from redqueen.environments.workers import NoReply
from redqueen.errors import ConfigError
from redqueen.rng import derive_seed
from redqueen.types import Messages, Rejection, Task, Verdict, user

QUESTION = Measure("question", "Characters of the question", (200, 500, 1200))
MEASURES = (QUESTION, Measure("answer", "Characters of the answer", (3, 10, 40)))
LEFT_OUT: Mapping[str, str] = {
    **dict.fromkeys(
        ("boxnet", "graph_color", "propositional_logic", "rubiks_cube", "rush_hour"),
        "gives no reference answer",
    ),
    "coin_flip": "accepts the first digits of the answer",
    "game_of_life_halting": "accepts any answer",
    "list_functions": "makes another task in another process",
}
"""Generators that are not used -> why. The worker leaves out `composite`, which has no tasks of its
own."""
MALFORMED_REASONS = {
    "unparsable": "There is no JSON object with generator and parameters.",
    "unknown_generator": "The generator is none of those that were asked for.",
    "bad_parameters": "The generator does not take these parameters.",
}
WELL_FORMED_REASONS = {
    "generator_failed": "The generator raised, or ran into its limits.",
    "unverifiable": "The scorer does not accept the reference answer, or accepts any.",
    "too_large": "The question is longer than the limit.",
    "other_payload": "The task of another node is not what its recipe makes here.",
}


class Gym(EnvironmentConfig):
    """Keys of the environment `gym`."""

    generators: tuple[str, ...] = ()
    """Names of generators; empty: all but those of `LEFT_OUT`."""
    leave_out: tuple[str, ...] = ()
    """Names of generators that are not used."""
    max_question: int = Field(2000, ge=100)
    """Characters of a question."""
    held_out_tasks: int = Field(200, ge=1)
    """Tasks in the suite `held-out`."""

    def build(self, services: Services) -> "GymEnvironment":
        """Return the environment.

        Raises:
            ConfigError: reasoning-gym is not installed, or has no such generator.
        """
        registry.require("reasoning_gym", "the environment gym")
        return GymEnvironment(self, services.name or "gym", services.shared(GymPackage))


class GymEnvironment:
    """Tasks of reasoning-gym; an `Environment` and a `TaskSpace`."""

    version = 3
    measures = MEASURES
    proposal_format = ('{"generator": "', '", "parameters": {', "}}")

    def __init__(self, config: Gym, name: str, package: GymPackage) -> None:
        """Raises ConfigError if the package has no such generator."""
        self.config, self.name, self._package = config, name, package
        offered = package.generators()
        chosen = config.generators or sorted(offered.keys() - LEFT_OUT.keys())
        for generator in (*chosen, *config.leave_out):
            if generator not in offered:
                raise ConfigError(
                    f"environments.{name}: reasoning-gym has no generator {generator!r}; "
                    f"there are: {', '.join(offered)}"
                )
        self.generators = {n: offered[n] for n in chosen if n not in config.leave_out}
        self.kinds = tuple(sorted({item.category for item in self.generators.values()}))
        self.description = Description(
            title="reasoning-gym",
            suites={"held-out": Suite("Held-out", "Other seeds of all generators.")},
            reasons={**MALFORMED_REASONS, **WELL_FORMED_REASONS},
            difficulty=QUESTION,
        )
        self.sources: Mapping[str, TaskSource] = {
            "seed": Defaults("seed", self.generators, self._made),
            "stream": Defaults("stream", self.generators, self._made),
            "held-out": Defaults("held-out", self.generators, self._made, config.held_out_tasks),
        }

    # ── for students ────────────────────────────────────────────────────────────────────────────

    def prompt(self, task: Task) -> Messages:
        """Return the question, and where the answer belongs."""
        return user(
            f"{task.payload['question']}\n\nThink, then end with the answer alone in tags, in the "
            "form that the question asks for: <answer>...</answer>"
        )

    def verify(self, attempts: Sequence[Attempt]) -> list[Verification]:
        """Let the package score what is in the last answer tags; only a full score is correct."""
        said = [tagged(spoken(attempt.text[-TAIL:])) for attempt in attempts]
        answers = [items[-1] if items else None for items in said]
        scored = iter(
            self._package.score(
                [
                    (_recipe(attempt.task.payload), answer)
                    for attempt, answer in zip(attempts, answers, strict=True)
                    if answer is not None
                ]
            )
        )
        return [
            Verification(Verdict.MALFORMED)
            if answer is None
            else Verification(_verdict(next(scored)), answer)
            for answer in answers
        ]

    # ── for teachers ────────────────────────────────────────────────────────────────────────────

    def references_for(self, kind: str, count: int) -> int:
        """Return `count`."""
        return count

    def ask(self, kind: str, references: Sequence[Task]) -> Messages:
        """Return the generators of the kind with their defaults, and references as examples."""
        generators = [
            f"{name} {json.dumps(item.parameters)}"
            for name, item in self.generators.items()
            if item.category == kind
        ]
        shown = [
            f"{json.dumps(_written(task.payload))} gives: {task.payload['question'][:300]}"
            for task in references
            if task.kind == kind
        ]
        example = json.dumps({"generator": generators[0].split()[0], "parameters": {}})
        return user(
            "\n".join(
                (
                    "Generators of puzzles, each with its parameters and their defaults:",
                    *generators,
                    *(("Examples:", *shown) if shown else ()),
                    "Choose one of these generators, and parameters that make its puzzles hard but "
                    "solvable. Name only the parameters that you change.",
                    f"End with one JSON object like {example}",
                )
            )
        )

    def validate(self, drafts: Sequence[Draft]) -> list[Task | Rejection]:
        """Let the package make a task of each choice, with a seed that this environment draws."""
        read = [self._read(draft) for draft in drafts]
        recipes = [item for item in read if isinstance(item, Recipe)]
        made = iter(self._made(recipes))
        outcomes: list[Task | Rejection] = []
        for draft, item in zip(drafts, read, strict=True):
            if isinstance(item, Rejection):
                outcomes.append(item)
                continue
            outcomes.append(_authored(next(made), draft.author, draft.step))
        return outcomes

    def _read(self, draft: Draft) -> Recipe | Rejection:
        said = last_object(draft.text, "generator")
        parameters = said.get("parameters", {}) if said else None
        if said is None or not isinstance(parameters, dict):
            return _reject("unparsable")
        name = said["generator"]
        generator = self.generators.get(name) if isinstance(name, str) else None
        if generator is None or generator.category != draft.kind:
            return _reject("unknown_generator", str(name)[:60])
        # What is the default is not said, so that equal choices are equal recipes.
        changed = {
            key: value
            for key, value in sorted(parameters.items())
            if key not in generator.parameters or value != generator.parameters[key]
        }
        seed = derive_seed("gym", str(draft.author), draft.step, name, json.dumps(changed))
        return Recipe(name, changed, seed % 2**31)

    def revalidate(self, tasks: Sequence[Task]) -> list[Task | Rejection]:
        """Make the tasks of another node again from their recipes."""
        recipes = [_claimed_recipe(task.payload, self.generators) for task in tasks]
        made = iter(self._made([item for item in recipes if item is not None]))
        again = [_reject("other_payload") if item is None else next(made) for item in recipes]
        return [
            _reject("other_payload")
            if isinstance(made_task, Task)
            and (made_task.kind != task.kind or dict(made_task.payload) != dict(task.payload))
            else _authored(made_task, task.author, task.step)
            for task, made_task in zip(tasks, again, strict=True)
        ]

    def fingerprint(self, task: Task) -> Fingerprint:
        """Return the question; tasks of one generator with the same parameters are a family."""
        return Fingerprint(task.payload["question"], json.dumps(_written(task.payload)))

    def _made(self, recipes: Sequence[Recipe]) -> list[Task | Rejection]:
        """Return the task of each recipe, or why there is none."""
        made = self._package.make(recipes)
        return [self._task(recipe, item) for recipe, item in zip(recipes, made, strict=True)]

    def _task(self, recipe: Recipe, made: Made | Failed | NoReply) -> Task | Rejection:
        if made is NoReply.LOST:
            return Rejection("infra_error", malformed=False, infra=True)
        if isinstance(made, NoReply):
            return _reject("generator_failed", "it took too long")
        if isinstance(made, Failed):
            return _reject("bad_parameters" if made.parameters else "generator_failed", made.error)
        if not made.verifies:
            return _reject("unverifiable")
        if len(made.question) > self.config.max_question:
            return _reject("too_large")
        payload = {
            "generator": recipe.name,
            "parameters": dict(recipe.parameters),
            "seed": recipe.seed,
            "question": made.question,
            "answer": made.answer,
        }
        features = {"question": float(len(made.question)), "answer": float(len(made.answer))}
        written = json.dumps([payload[key] for key in ("generator", "parameters", "seed")])
        name = hashlib.sha256(written.encode()).hexdigest()[:20]
        return Task(name, self.name, self.generators[recipe.name].category, payload, features)


class Defaults:
    """Tasks of all generators in turn, with their default parameters."""

    def __init__(
        self,
        label: str,
        generators: Mapping[str, Generator],
        make: Callable[[Sequence[Recipe]], list[Task | Rejection]],
        most: int | None = None,
    ) -> None:
        """`label` seeds its draws, beside `seed`; there are `most` tasks (None: no limit)."""
        self._label, self._generators, self._make, self._most = label, generators, make, most

    def tasks(self, count: int, seed: int) -> list[Task]:
        """Return up to `count` distinct tasks; see `TaskSource`."""
        count = count if self._most is None else min(count, self._most)
        names = sorted(
            self._generators, key=lambda name: derive_seed(self._label, seed, "order", name)
        )
        tasks: dict[str, Task] = {}
        for round_ in range(2 + 2 * count // len(names)):  # some generators make none that fits
            for start in range(0, len(names), max(1, count)):
                recipes = [
                    Recipe(name, {}, derive_seed(self._label, seed, round_, name) % 2**31)
                    for name in names[start : start + max(1, count)]
                ]
                for made in self._make(recipes):
                    if isinstance(made, Task):
                        tasks.setdefault(made.payload["question"], made)
                if len(tasks) >= count:
                    return list(islice(tasks.values(), count))
        return list(tasks.values())


def _authored(made: Task | Rejection, author: int | None, step: int) -> Task | Rejection:
    return made if isinstance(made, Rejection) else replace(made, author=author, step=step)


def _recipe(payload: Mapping[str, Any]) -> Recipe:
    return Recipe(payload["generator"], payload["parameters"], payload["seed"])


def _written(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {"generator": payload["generator"], "parameters": dict(payload["parameters"])}


def _claimed_recipe(
    payload: Mapping[str, Any], generators: Mapping[str, Generator]
) -> Recipe | None:
    """Return the recipe that another node's payload names; None if it is none."""
    name, parameters, seed = (payload.get(key) for key in ("generator", "parameters", "seed"))
    known = isinstance(name, str) and name in generators
    if not known or not isinstance(parameters, dict) or type(seed) is not int:
        return None
    return Recipe(str(name), parameters, seed) if 0 <= seed < 2**31 else None


def _verdict(score: float | Failed | NoReply) -> Verdict:
    if score is NoReply.LOST:
        return Verdict.INFRA_ERROR
    right = isinstance(score, float) and score == 1.0
    return Verdict.CORRECT if right else Verdict.WRONG


def _reject(reason: str, detail: str = "") -> Rejection:
    return Rejection(reason, malformed=reason in MALFORMED_REASONS, detail=detail[:300])
