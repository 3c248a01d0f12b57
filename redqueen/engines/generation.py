"""KV-cached sampling for many members at once.

A completion depends on its request alone: each row draws from uniforms of its own seed, by
inverting the cumulative distribution, so its neighbours change it by rounding at most.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from redqueen.engines.decoding import Batch, PaddedBatch, SharedBatch
from redqueen.errors import ConfigError
from redqueen.models.batching import generation_chunks
from redqueen.models.loading import Base
from redqueen.models.routing import Router
from redqueen.types import Completion, Request


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw: temperature 0 takes the likeliest token; top_p 1 keeps all of them."""

    max_new_tokens: int
    temperature: float
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, not {self.max_new_tokens}")
        if self.temperature < 0:
            raise ValueError(f"temperature must not be negative, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], not {self.top_p}")


def draw(
    logits_RV: Tensor,
    uniform_R: Tensor,
    sampling: Sampling,
    temperature_R: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """One token a row from uniforms in [0, 1), and its log-probability before top-p (float32).

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
        if order_RV is not None:
            token_R = order_RV.gather(1, token_R[:, None])[:, 0]
    return token_R, logprobs_RV.gather(1, token_R[:, None])[:, 0]


OnWritten = Callable[[Mapping[int, Completion]], None]
"""Receives completions by number as soon as they are finished."""

_OnEnded = Callable[[Sequence[int], Sequence[Sequence[int]], Sequence[Sequence[float]]], None]
"""Receives rows that have just ended, their tokens and log-probabilities."""


def _write(
    base: Base,
    router: Router,
    batch: Batch,
    uniform_RT: Tensor,
    limit_R: Tensor,
    temperature_R: Tensor | None,
    sampling: Sampling,
    on_ended: _OnEnded,
) -> None:
    """Sample until every row has ended."""
    rows, device = len(batch.slots), base.device
    tokens_RT = torch.zeros(rows, sampling.max_new_tokens, dtype=torch.long, device=device)
    logprobs_RT = torch.zeros(rows, sampling.max_new_tokens, device=device)
    eos = torch.tensor(sorted(base.eos_ids), dtype=torch.long, device=device)
    here_R = torch.arange(rows, device=device)
    logits_RV, token_R = batch.prefill(router), here_R
    step = 0
    while True:
        own_R = None if temperature_R is None else temperature_R[here_R]
        limit_H, alive_R = limit_R[here_R], torch.ones_like(here_R, dtype=torch.bool)
        alive = len(here_R)
        with batch.route(router) as route:
            if step:
                logits_RV = batch.decode(token_R, route)
            while True:
                token_R, logprob_R = draw(logits_RV, uniform_RT[here_R, step], sampling, own_R)
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
                if alive < before and alive <= batch.compact_below * len(here_R):
                    break
                logits_RV = batch.decode(token_R, route)
        keep_K = alive_R.nonzero()[:, 0]
        batch.keep(keep_K)
        here_R, token_R = here_R[keep_K], token_R[keep_K]


def _batch(
    base: Base, slots: Sequence[int | None], prompts: Sequence[tuple[int, ...]], room: int
) -> Batch:
    if base.packed is None:
        return PaddedBatch(base, slots, prompts, room)
    return SharedBatch(base, base.packed, slots, prompts, room)


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
    """Each row's temperature; None where all have that of the call."""
    if all(request.temperature is None for request in requests):
        return None
    return torch.tensor(
        [sampling.temperature if r.temperature is None else r.temperature for r in requests],
        device=device,
    )


def _check_temperatures(requests: Sequence[Request], sampling: Sampling) -> None:
    own = {r.temperature for r in requests if r.temperature is not None}
    if own and not min(own) > 0:
        raise ValueError(f"a request's temperature must be positive, not {min(own)}")
    if own and sampling.temperature == 0:
        raise ValueError("a greedy call cannot hold requests with temperatures of their own")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Requests to be written side by side, sorted by slot and prompt."""

    requests: tuple[Request, ...]
    prompts: tuple[tuple[int, ...], ...]
    limits: tuple[int, ...]
    """Most tokens for each."""
    sampling: Sampling


def chunks_of(
    base: Base, requests: Sequence[Request], sampling: Sampling, rows: int, workers: int
) -> list[tuple[Chunk, list[int]]]:
    """Batches of at most about `rows` for that many workers, with the numbers of their requests.

    Raises: see `Policy.generate`.
    """
    _check_temperatures(requests, sampling)
    encoded = {prompt: base.encode(prompt) for prompt in {r.prompt for r in requests}}
    prompts = [encoded[request.prompt] for request in requests]
    if not all(prompts):
        raise ValueError("a prompt has no tokens and the tokenizer adds none")
    limits = _limits(base, prompts, sampling.max_new_tokens)

    def chunk(numbers: Sequence[int]) -> Chunk:
        return Chunk(
            tuple(requests[i] for i in numbers),
            tuple(prompts[i] for i in numbers),
            tuple(limits[i] for i in numbers),
            sampling,
        )

    slots = [request.slot for request in requests]
    dealt = generation_chunks(slots, prompts, rows, workers)
    return [(chunk(numbers), numbers) for numbers in dealt]


@torch.inference_mode()
def write_chunk(base: Base, router: Router, chunk: Chunk, on_written: OnWritten) -> None:
    """Complete all requests of a chunk; `on_written` receives them by their places in it."""
    sampling, requests = chunk.sampling, chunk.requests
    uniform = [np.random.default_rng(r.seed).random(sampling.max_new_tokens) for r in requests]
    slots = [request.slot for request in requests]
    batch = _batch(base, slots, chunk.prompts, sampling.max_new_tokens)

    def on_ended(
        rows: Sequence[int], tokens: Sequence[Sequence[int]], logprobs: Sequence[Sequence[float]]
    ) -> None:
        on_written(
            {
                row: Completion(
                    slot=slots[row],
                    prompt_ids=chunk.prompts[row],
                    token_ids=tuple(ids),
                    logprobs=tuple(known),
                    text=base.decode(ids),
                    finished=ids[-1] in base.eos_ids,
                )
                for row, ids, known in zip(rows, tokens, logprobs, strict=True)
            }
        )

    _write(
        base,
        router,
        batch,
        torch.from_numpy(np.stack(uniform)).to(base.device),
        torch.tensor(chunk.limits, device=base.device),
        _temperatures(requests, sampling, base.device),
        sampling,
        on_ended,
    )
