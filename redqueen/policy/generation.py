"""KV-cached sampling for many members at once.

A completion depends on its request alone: each row draws from uniforms of its own seed, by
inverting the cumulative distribution, so its neighbours change it by rounding at most.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from redqueen.policy.cache import new_cache
from redqueen.policy.loading import Base
from redqueen.policy.routing import Router
from redqueen.types import Completion, ConfigError, Request

COMPACT_BELOW = 0.875
"""Finished rows leave the batch when at most this share of it is still writing."""


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


@dataclass(frozen=True, slots=True)
class _Written:
    """What a chunk wrote, row by row: tokens and log-probabilities up to each length."""

    tokens_RT: Tensor
    logprobs_RT: Tensor
    length_R: Tensor


class _Batch:
    """Rows that are still being written, with their cache. Rows are sorted by slot."""

    def __init__(
        self,
        base: Base,
        slots: Sequence[int | None],
        prompts: Sequence[tuple[int, ...]],
        room: int,
    ) -> None:
        """Share the prefill of rows with the same slot and prompt; `room` more tokens follow."""
        self.base = base
        self.slots = list(slots)
        unique: dict[tuple[int | None, tuple[int, ...]], int] = {}
        expand = [unique.setdefault(key, len(unique)) for key in zip(slots, prompts, strict=True)]
        self.prefill_slots = [slot for slot, _ in unique]
        self._expand = torch.tensor(expand, device=base.device)
        heads = [prompt for _, prompt in unique]
        self.width = max(len(prompt) for prompt in heads)
        ids_UL = torch.zeros(len(heads), self.width, dtype=torch.long)
        mask_UL = torch.ones(len(heads), self.width + room, dtype=torch.long)
        for row, prompt in enumerate(heads):
            ids_UL[row, self.width - len(prompt) :] = torch.tensor(prompt)
            mask_UL[row, : self.width - len(prompt)] = 0
        self._ids_UL = ids_UL.to(base.device)
        self.mask_RL = mask_UL.to(base.device)
        self.position_R = torch.tensor([len(prompt) for prompt in heads], device=base.device)
        self.cache = new_cache(base.model.config)

    def prefill(self) -> Tensor:
        """Read the prompts; return the logits [R, V] of every row's first token."""
        mask_UL = self.mask_RL[:, : self.width]
        last_UL = torch.zeros_like(mask_UL, dtype=torch.bool)
        last_UL[:, -1] = True
        logits_UV = self.base.head.logits(
            self.base.model,
            last_UL,
            input_ids=self._ids_UL,
            attention_mask=mask_UL,
            position_ids=(mask_UL.cumsum(-1) - 1).clamp(min=0),
            past_key_values=self.cache,
            use_cache=True,
        )
        self._select(self._expand)
        return logits_UV.index_select(0, self._expand)

    def decode(self, token_R: Tensor) -> Tensor:
        """Append one token a row; return the logits [R, V] of the next."""
        self.width += 1
        logits: Tensor = self.base.model(
            input_ids=token_R[:, None],
            attention_mask=self.mask_RL[:, : self.width],
            position_ids=self.position_R[:, None],
            past_key_values=self.cache,
            use_cache=True,
        ).logits
        # A row that has ended may stay for a while: its position must not run out of the context.
        last = (self.base.context or self.mask_RL.shape[1] + 1) - 1
        self.position_R = (self.position_R + 1).clamp(max=last)
        return logits[:, -1]

    def _select(self, keep: Tensor) -> None:
        self.cache.batch_select_indices(keep)
        self.mask_RL = self.mask_RL.index_select(0, keep)
        self.position_R = self.position_R.index_select(0, keep)

    def keep(self, keep: Tensor) -> None:
        """Let all rows but `keep` leave."""
        self._select(keep)
        self.slots = [self.slots[row] for row in keep.tolist()]


def _write(
    base: Base,
    router: Router,
    batch: _Batch,
    uniform_RT: Tensor,
    limit_R: Tensor,
    temperature_R: Tensor | None,
    sampling: Sampling,
    on_finished: Callable[[int], None],
) -> _Written:
    rows = len(batch.slots)
    device = base.device
    written = _Written(
        torch.zeros(rows, sampling.max_new_tokens, dtype=torch.long, device=device),
        torch.zeros(rows, sampling.max_new_tokens, device=device),
        torch.zeros(rows, dtype=torch.long, device=device),
    )
    eos = torch.tensor(sorted(base.eos_ids), dtype=torch.long, device=device)
    here_R = torch.arange(rows, device=device)
    alive_R = torch.ones(rows, dtype=torch.bool, device=device)
    with router.route(batch.prefill_slots):
        logits_RV = batch.prefill()
    step, alive = 0, rows
    next_R: Tensor | None = None
    while True:
        with router.route(batch.slots):
            if next_R is not None:
                logits_RV = batch.decode(next_R)
            while True:
                own_R = None if temperature_R is None else temperature_R[here_R]
                token_R, logprob_R = draw(logits_RV, uniform_RT[here_R, step], sampling, own_R)
                written.tokens_RT[here_R, step] = token_R
                written.logprobs_RT[here_R, step] = logprob_R
                ends_R = alive_R & (torch.isin(token_R, eos) | (limit_R[here_R] <= step + 1))
                written.length_R[here_R[ends_R]] = step + 1
                alive_R = alive_R & ~ends_R
                before, alive = alive, int(alive_R.sum())
                if alive < before:
                    on_finished(before - alive)
                if alive == 0:
                    return written
                step += 1
                if alive <= COMPACT_BELOW * len(here_R):
                    break
                logits_RV = batch.decode(token_R)
        keep = alive_R.nonzero()[:, 0]
        batch.keep(keep)
        next_R, here_R, alive_R = token_R[keep], here_R[keep], alive_R[keep]


def _chunks(
    requests: Sequence[Request], prompts: Sequence[tuple[int, ...]], rows: int
) -> list[list[int]]:
    """Request numbers in batches of at most `rows`, by length between and by slot within."""
    slots = [request.slot for request in requests]

    def place(i: int) -> tuple[bool, int, tuple[int, ...], int]:
        return slots[i] is None, slots[i] or 0, prompts[i], i

    order = sorted(range(len(requests)), key=lambda i: (len(prompts[i]), place(i)))
    count = -(-len(order) // rows)
    size = -(-len(order) // count)
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    return [sorted(batch, key=place) for batch in batches]


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


@torch.inference_mode()
def generate(
    base: Base,
    router: Router,
    requests: Sequence[Request],
    sampling: Sampling,
    rows: int,
    on_progress: Callable[[int], None] | None = None,
) -> list[Completion]:
    """Complete every request, at most `rows` side by side; answers in the order of requests.

    `on_progress` receives the number of completions finished so far. A completion ends at an
    end-of-sequence token, after `sampling.max_new_tokens`, or where the base's context ends.

    Raises:
        ConfigError: a prompt leaves no room in the base's context.
        ValueError: a prompt has no tokens, or a request's own temperature is not positive or comes
            in a greedy call.
    """
    if not requests:
        return []
    _check_temperatures(requests, sampling)
    encoded = {prompt: base.encode(prompt) for prompt in {r.prompt for r in requests}}
    prompts = [encoded[request.prompt] for request in requests]
    if not all(prompts):
        raise ValueError("a prompt has no tokens and the tokenizer adds none")
    limits = _limits(base, prompts, sampling.max_new_tokens)
    done = 0

    def count(finished: int) -> None:
        nonlocal done
        done += finished
        if on_progress is not None:
            on_progress(done)

    completions: list[Completion | None] = [None] * len(requests)
    for chunk in _chunks(requests, prompts, rows):
        uniform = [
            np.random.default_rng(requests[i].seed).random(sampling.max_new_tokens) for i in chunk
        ]
        batch = _Batch(
            base,
            [requests[i].slot for i in chunk],
            [prompts[i] for i in chunk],
            sampling.max_new_tokens,
        )
        written = _write(
            base,
            router,
            batch,
            torch.from_numpy(np.stack(uniform)).to(base.device),
            torch.tensor([limits[i] for i in chunk], device=base.device),
            _temperatures([requests[i] for i in chunk], sampling, base.device),
            sampling,
            count,
        )
        tokens, logprobs = written.tokens_RT.tolist(), written.logprobs_RT.tolist()
        lengths = written.length_R.tolist()
        for row, i in enumerate(chunk):
            ids = tuple(tokens[row][: lengths[row]])
            completions[i] = Completion(
                slot=requests[i].slot,
                prompt_ids=prompts[i],
                token_ids=ids,
                logprobs=tuple(logprobs[row][: lengths[row]]),
                text=base.decode(ids),
                finished=ids[-1] in base.eos_ids,
            )
    return [completion for completion in completions if completion is not None]
