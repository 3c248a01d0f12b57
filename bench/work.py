"""Work of a known size for benchmarks: prompts and texts of given lengths, and what to learn."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from redqueen.config.learner import LearnerConfig
from redqueen.engines.base import Engine, Sampling
from redqueen.learner import Learner, StackedAdamW
from redqueen.models.population_model import PopulationModel
from redqueen.types import Completion, Request, Role, Sample, user


@dataclass(frozen=True, slots=True)
class Lab:
    """A model, the engine that writes for it, and what the learner scores with."""

    model: PopulationModel
    engine: Engine

    @classmethod
    def of(cls, model: PopulationModel, engine: Any) -> "Lab":
        """Build the engine that a config names."""
        return cls(model, engine.build(model))

    @property
    def scorer(self) -> Any:
        return getattr(self.engine, "scorer", self.model)

    def write(self, requests: Sequence[Request], tokens: int) -> list[Completion]:
        """Return texts of at most that many tokens, at temperature 1."""
        return self.engine.generate(requests, Sampling(tokens, 1.0))

    def learner(self, config: LearnerConfig, steps: int = 1) -> Learner:
        """Return a learner with a fresh optimizer."""
        optimizer = StackedAdamW(self.model.adapters.parameters())
        return Learner(self.scorer, optimizer, config, temperature=1.0, seed=0, steps=steps)

    def versions(self) -> dict[int, int]:
        """Return the versions of adapters that no `sync` has spoken of."""
        return dict.fromkeys(range(self.model.adapters.slots), 0)


def _forget_ends(model: PopulationModel, job: object) -> None:
    model.base = replace(model.base, eos_ids=frozenset())


def never_ending(lab: Lab) -> Lab:
    """Let no text end by itself, so that all are as long as they may be; in its workers too."""
    _forget_ends(lab.model, None)
    # Jobs are dealt in turn, so that every worker gets one.
    lab.scorer.map_gradients(_forget_ends, range(len(getattr(lab.engine, "workers", ()))))
    return lab


def plain_prompts(model: PopulationModel, count: int, tokens: int, first: int = 0) -> list[str]:
    """Different prompts of about `tokens` tokens, strung together from the vocabulary."""
    words = [model.base.decode([i]) for i in range(model.base.embeddings)]
    words = [word for word in words if word.strip()]
    return [
        "".join(words[(11 * first + 7 * number + 3 * i) % len(words)] for i in range(tokens))
        for number in range(count)
    ]


def requests_of(prompts: Sequence[str], members: int, attempts: int) -> list[Request]:
    """As in a run, a task's attempts are one member's; tasks are dealt evenly."""
    return [
        Request(place * members // len(prompts), user(prompt), place * attempts + attempt)
        for place, prompt in enumerate(prompts)
        for attempt in range(attempts)
    ]


def samples(texts: Sequence[Completion]) -> list[Sample]:
    """Every attempt takes part: rewards differ within each group."""
    return [
        Sample(
            ids=np.array([*text.prompt_ids, *text.token_ids], np.int32),
            mask=np.arange(len(text.prompt_ids) + len(text.token_ids)) >= len(text.prompt_ids),
            logprobs=np.array([0.0] * len(text.prompt_ids) + [*text.logprobs], np.float32),
            reward=float(number % 2),
            slot=text.slot or 0,
            member=text.slot or 0,
            role=Role.STUDENT,
            environment="code",
            kind="code_o",
            group=str(hash(text.prompt_ids)),
            version=text.version,
        )
        for number, text in enumerate(texts)
    ]
