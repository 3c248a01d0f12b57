"""The engine of a cluster: requests and micro-batches go to replicas, gradients come back.

Writing and learning depend on how many replicas there are as they do on any change of batches: by
rounding. They do not depend on which replica does what, nor on replicas that are lost meanwhile:
their work is done again by others, and gradients are summed by share, in one order.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from redqueen.cluster.replica import Floats, Handed, Job, Learn, Learnt, Write, micro_jobs
from redqueen.engines.base import OnFinished, Sampling, ignore
from redqueen.models.adapters import AdapterStack
from redqueen.models.batching import generation_batches
from redqueen.models.population_model import PopulationModel
from redqueen.types import Completion, Request


class Pool(Protocol):
    """Replicas that do jobs, wherever they are."""

    @property
    def workers(self) -> int:
        """Processes that a replica learns with."""

    def __len__(self) -> int:
        """Return how many replicas are ready."""

    def put(self, weights: Floats) -> Any:
        """Return what replicas fetch these weights by, for as long as somebody holds it."""

    def map(
        self,
        jobs: Sequence[Callable[[], Job]],
        handed: Handed,
        on_part: Callable[[int, Any], None],
    ) -> None:
        """Do all jobs with the adapters of `handed`; each goes to who is free.

        A job is made when it is sent, and again if its replica is lost. `on_part` receives the
        job's number and what it sends, as it comes; of a job that is done again, both times.

        Raises:
            InfrastructureError: no replica is left, or they are lost one after another.
            Exception: the first that a job or `on_part` raised.
        """

    def close(self) -> None:
        """Let the replicas end."""


class ClusterEngine:
    """Writes and scores with the replicas of a pool, and is closed with it."""

    def __init__(self, model: PopulationModel, pool: Pool, rows: int) -> None:
        """Each replica writes about `rows` texts side by side."""
        self.model = model
        self.pool = pool
        self.rows = rows
        self._versions: dict[int, int] = {}
        self._weights: Tensor | None = None
        self._handed = Handed(-1, None, {})
        self.score, self.base_score = model.score, model.base_score  # in this process

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, on_finished: OnFinished = ignore
    ) -> list[Completion]:
        """See `Engine`."""
        prompts = [self.model.encode(request.messages) for request in requests]
        slots = [request.slot for request in requests]
        batches = generation_batches(slots, prompts, self.rows, len(self.pool))
        completions: dict[int, Completion] = {}

        def job(batch: Sequence[int]) -> Write:
            rest = tuple(number for number in batch if number not in completions)
            return Write(rest, tuple(requests[number] for number in rest), sampling)

        def take(_: int, finished: Mapping[int, Completion]) -> None:
            completions.update(finished)
            on_finished(finished)

        self.pool.map([partial(job, batch) for batch in batches], self._hand_over(), take)
        return [completions[number] for number in range(len(requests))]

    def sync(self, slots: Sequence[int], adapters: AdapterStack, version: int) -> None:
        """See `Engine`. The model's own stack is read as it is; another one is copied from."""
        self.model.adapters.take(slots, adapters)
        self._versions |= dict.fromkeys(slots, version)

    def _hand_over(self) -> Handed:
        """Return the adapters as they are now; weights that have not changed are not sent again."""
        now, before = self.model.adapters.buffer, self._handed
        weights = before.weights
        if self._weights is None or not torch.equal(self._weights, now):
            self._weights = now.detach().clone()
            weights = self.pool.put(self._weights.cpu().numpy())
        elif before.versions == self._versions:
            return before
        self._handed = Handed(before.number + 1, weights, dict(self._versions))
        return self._handed

    @property
    def scorer(self) -> "ClusterEngine":
        """What the learner scores with: this engine, in place of its model."""
        return self

    def micro_batches(
        self,
        slots: Sequence[int],
        prompt_ids: Sequence[Sequence[int]],
        token_ids: Sequence[Sequence[int]],
        parts: int = 1,
    ) -> list[list[int]]:
        """See `PopulationModel.micro_batches`; each replica has memory for `learn_tokens`."""
        return self.model.micro_batches(
            slots, prompt_ids, token_ids, parts,
            workers=self.pool.workers, replicas=len(self.pool),
        )  # fmt: skip

    def map_gradients(self, function: Callable[..., Any], jobs: Sequence[Any]) -> list[Any]:
        """Return `function(scorer, job)` for all jobs; the gradients that they leave add up.

        There is a share of the jobs for each replica. Gradients are summed within a share, then by
        share, so that it is all the same who does which.
        """
        shares = micro_jobs(jobs, max(1, len(self.pool)))
        learnt: dict[int, Learnt] = {}
        todo = [partial(Learn, function, share) for share in shares]
        self.pool.map(todo, self._hand_over(), learnt.__setitem__)
        results: list[Any] = [None] * len(jobs)
        for number in range(len(shares)):
            results[number :: len(shares)] = learnt[number].results
            self._add(learnt[number])
        return results

    def _add(self, learnt: Learnt) -> None:
        """Add a share's gradients to those of the model's adapters."""
        for name, parameter in self.model.adapters.parameters().items():
            if name not in learnt.gradients:
                continue
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            rows = torch.tensor(learnt.gradients[name], device=parameter.device)
            parameter.grad[learnt.slots] += rows

    def peak_memory(self) -> dict[str, float]:
        """See `redqueen.models.memory.peak_memory`; of this process, without the replicas."""
        return self.model.peak_memory()

    def close(self) -> None:
        """See `Engine`."""
        self.pool.close()
