"""KV-cached sampling for many members at once.

A completion depends on its request alone: each row draws from uniforms of its own seed, by
inverting the cumulative distribution, so its neighbours change it by rounding at most.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from redqueen.engines.base import OnFinished, Sampling
from redqueen.engines.decoding import MakeRows, Rows
from redqueen.errors import ConfigError, InfrastructureError
from redqueen.models.batching import generation_batches
from redqueen.models.loading import Base
from redqueen.models.population_model import PopulationModel
from redqueen.models.routing import Router
from redqueen.models.suppression import Suppressor
from redqueen.types import Completion, Request


def draw(
    logits_RV: Tensor,
    uniform_R: Tensor,
    sampling: Sampling,
    temperature_R: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return a token a row from uniforms in [0, 1), and its float32 log-probability before top-p.

    `temperature_R` stands for the temperature of `sampling` where rows have their own.

    The token is the first whose cumulative probability exceeds the uniform; with top-p, over the
    smallest set of likeliest tokens that holds at least that much probability.
    """
    greedy = sampling.temperature == 0
    scale = sampling.temperature if temperature_R is None else temperature_R[:, None]
    scaled_RV = logits_RV.float() / (1.0 if greedy else scale)
    logprobs_RV = scaled_RV.log_softmax(-1)
    if greedy:
        token_R = logprobs_RV.argmax(-1)
    else:
        probs_RV = logprobs_RV.double().exp()
        order_RV = None
        if sampling.top_p < 1:
            probs_RV, order_RV = probs_RV.sort(dim=-1, descending=True, stable=True)
            before_RV = probs_RV.cumsum(-1) - probs_RV
            probs_RV = probs_RV.masked_fill(before_RV >= sampling.top_p, 0.0)
        cumulative_RV = probs_RV.cumsum(-1)
        total_R = cumulative_RV[:, -1]
        # Strictly below the total, so that a token of no probability is never reached.
        target_R = torch.minimum(uniform_R * total_R, total_R.nextafter(torch.zeros_like(total_R)))
        token_R = torch.searchsorted(cumulative_RV, target_R[:, None], right=True)[:, 0]
        # Where logits are not numbers it is past the last; `WriteBatch.completion` says so.
        token_R = token_R.clamp(max=logits_RV.shape[-1] - 1)
        if order_RV is not None:
            token_R = order_RV.gather(1, token_R[:, None])[:, 0]
    return token_R, logprobs_RV.gather(1, token_R[:, None])[:, 0]


class Draws:
    """The draws of R texts: each has uniforms, a temperature and forbidden tokens of its own."""

    def __init__(
        self, base: Base, requests: Sequence[Request], sampling: Sampling, device: torch.device
    ) -> None:
        """`device` is where the logits will lie."""
        self.device = device
        self._base = replace(base, device=device)
        self._sampling = sampling
        count = sampling.max_new_tokens
        uniform_RT = np.stack([np.random.default_rng(r.seed).random(count) for r in requests])
        self._uniform_RT = torch.from_numpy(uniform_RT).to(device)
        self._temperature_R = _temperatures(requests, sampling, device)
        self._suppressions = [request.suppression for request in requests]
        self._suppressor: Suppressor | None = None

    def __call__(
        self, logits_HV: Tensor, row_H: Tensor, step: int | Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return `draw` for these of the rows; `step` counts the tokens that they have."""
        if any(self._suppressions):
            if self._suppressor is None:
                vocabulary = logits_HV.shape[-1]
                self._suppressor = Suppressor(self._base, self._suppressions, vocabulary)
            first_H = (torch.as_tensor(step, device=self.device) == 0).expand_as(row_H)
            logits_HV = self._suppressor(logits_HV, row_H, first_H)
        temperature_H = None if self._temperature_R is None else self._temperature_R[row_H]
        return draw(logits_HV, self._uniform_RT[row_H, step], self._sampling, temperature_H)


_OnEnded = Callable[[Sequence[int], Sequence[Sequence[int]], Sequence[Sequence[float]]], None]
"""Receives rows that have just ended, their tokens and log-probabilities."""


def _write(
    base: Base,
    router: Router,
    written: Rows,
    draws: Draws,
    limit_R: Tensor,
    max_new_tokens: int,
    on_ended: _OnEnded,
) -> None:
    """Sample until every row has ended. H rows are still there, E have just ended, K stay."""
    rows, device = len(written.slots), base.device
    tokens_RT = torch.zeros(rows, max_new_tokens, dtype=torch.long, device=device)
    logprobs_RT = torch.zeros(rows, max_new_tokens, device=device)
    eos = torch.tensor(sorted(base.eos_ids), dtype=torch.long, device=device)
    here_R = torch.arange(rows, device=device)
    logits_RV, token_R = written.prefill(router), here_R
    step = 0
    while True:
        limit_H, alive_R = limit_R[here_R], torch.ones_like(here_R, dtype=torch.bool)
        alive = len(here_R)
        with written.route(router) as route:
            if step:
                logits_RV = written.decode(token_R, route)
            while True:
                token_R, logprob_R = draws(logits_RV, here_R, step)
                tokens_RT[here_R, step] = token_R
                logprobs_RT[here_R, step] = logprob_R
                step += 1
                ends_R = alive_R & (torch.isin(token_R, eos) | (limit_H <= step))
                alive_R = alive_R & ~ends_R
                before, alive = alive, int(alive_R.sum())
                if alive < before:
                    ended_E = here_R[ends_R]
                    on_ended(
                        ended_E.tolist(),
                        tokens_RT[ended_E, :step].tolist(),
                        logprobs_RT[ended_E, :step].tolist(),
                    )
                if alive == 0:
                    return
                if alive < before and alive <= written.compact_below * len(here_R):
                    break
                logits_RV = written.decode(token_R, route)
        keep_K = alive_R.nonzero()[:, 0]
        written.keep(keep_K)
        here_R, token_R = here_R[keep_K], token_R[keep_K]


def _limits(base: Base, prompts: Sequence[tuple[int, ...]], max_new_tokens: int) -> list[int]:
    if base.context is None:
        return [max_new_tokens] * len(prompts)
    longest = max(len(prompt) for prompt in prompts)
    if longest >= base.context:
        raise ConfigError(
            f"a prompt has {longest} tokens, but the base's context is {base.context}; show fewer "
            "references (rollout.references) or allow shorter programs"
        )
    return [min(max_new_tokens, base.context - len(prompt)) for prompt in prompts]


def _temperatures(
    requests: Sequence[Request], sampling: Sampling, device: torch.device
) -> Tensor | None:
    """Return each row's temperature; None where all have that of the call."""
    if all(request.temperature is None for request in requests):
        return None
    return torch.tensor(
        [sampling.temperature if r.temperature is None else r.temperature for r in requests],
        device=device,
    )


def _check_temperatures(requests: Sequence[Request], sampling: Sampling) -> None:
    temperatures = {r.temperature for r in requests if r.temperature is not None}
    if temperatures and not min(temperatures) > 0:
        raise ValueError(f"a request's temperature must be positive, not {min(temperatures)}")
    if temperatures and sampling.temperature == 0:
        raise ValueError("a greedy call cannot hold requests with temperatures of their own")


@dataclass(frozen=True, slots=True)
class WriteBatch:
    """Requests to be written side by side, sorted by slot and prompt."""

    numbers: tuple[int, ...]
    """Of the requests among all of a call."""
    requests: tuple[Request, ...]
    prompts: tuple[tuple[int, ...], ...]
    limits: tuple[int, ...]
    """Most tokens for each."""
    versions: tuple[int, ...]
    """Of the adapters that write each."""
    sampling: Sampling

    def completion(
        self, base: Base, row: int, ids: Sequence[int], logprobs: Sequence[float]
    ) -> Completion:
        """Return what a row has become.

        Raises:
            InfrastructureError: the adapter that wrote it gives no log-probabilities.
        """
        if not all(map(math.isfinite, logprobs)):
            raise InfrastructureError(
                f"the adapter in slot {self.requests[row].slot} writes nothing: its "
                "log-probabilities are not finite numbers"
            )
        return Completion(
            slot=self.requests[row].slot,
            prompt_ids=self.prompts[row],
            token_ids=tuple(ids),
            logprobs=tuple(logprobs),
            text=base.decode(ids),
            finished=ids[-1] in base.eos_ids,
            version=self.versions[row],
        )


class Versions:
    """The version that each slot's adapter has, as the engine was last told."""

    def __init__(self) -> None:
        self._of: dict[int | None, int] = {}

    def sync(self, slots: Sequence[int], version: int) -> None:
        """Note the version of some slots."""
        self._of |= dict.fromkeys(slots, version)

    def __getitem__(self, slot: int | None) -> int:
        """Return a slot's version; 0 for the base alone, and before the first `sync`."""
        return self._of.get(slot, 0)


def split_requests(
    model: PopulationModel,
    requests: Sequence[Request],
    sampling: Sampling,
    versions: Versions,
    rows: int,
    workers: int = 1,
) -> list[WriteBatch]:
    """Return batches of at most about `rows` requests for each of that many workers.

    Raises: see `Engine.generate`.
    """
    _check_temperatures(requests, sampling)
    prompts = [model.encode(request.messages) for request in requests]
    if not all(prompts):
        raise ValueError("a prompt has no tokens and the tokenizer adds none")
    limits = _limits(model.base, prompts, sampling.max_new_tokens) if prompts else []
    slots = [request.slot for request in requests]
    return [
        WriteBatch(
            numbers=tuple(numbers),
            requests=tuple(requests[i] for i in numbers),
            prompts=tuple(prompts[i] for i in numbers),
            limits=tuple(limits[i] for i in numbers),
            versions=tuple(versions[slots[i]] for i in numbers),
            sampling=sampling,
        )
        for numbers in generation_batches(slots, prompts, rows, workers)
    ]


@torch.inference_mode()
def write(
    base: Base, router: Router, batch: WriteBatch, make_rows: MakeRows, on_finished: OnFinished
) -> None:
    """Complete all requests of a batch; `on_finished` receives them by their numbers."""
    sampling, requests = batch.sampling, batch.requests
    slots = [request.slot for request in requests]

    def on_ended(
        rows: Sequence[int], tokens: Sequence[Sequence[int]], logprobs: Sequence[Sequence[float]]
    ) -> None:
        on_finished(
            {
                batch.numbers[row]: batch.completion(base, row, ids, values)
                for row, ids, values in zip(rows, tokens, logprobs, strict=True)
            }
        )

    _write(
        base,
        router,
        make_rows(base, slots, batch.prompts, sampling.max_new_tokens),
        Draws(base, requests, sampling, base.device),
        torch.tensor(batch.limits, device=base.device),
        sampling.max_new_tokens,
        on_ended,
    )
