"""Texts that share prompts, laid out as one row of tokens without padding.

The row is prompt | text 1 | ... | text G, group after group: a prompt is computed once for all its
texts (cascade attention; RadixAttention, arXiv 2312.07104, shares prefixes likewise). Positions
restart where a text continues its prompt, and attention runs tile by tile: prompts of like length
see themselves causally, texts of like length see their prompt and, causally, themselves. That is
exactly the attention of every sequence computed on its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TILE_GROWTH, TILE_SLACK = 1.25, 8
"""A tile takes rows of up to 1.25 times its shortest length plus 8, so padding stays small."""

Attend = Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]
"""(query [B, Hq, Q, D], key and value [B, Hkv, K, D], bias [B or 1, Q, K], scale) to [B, Q, Hq, D].
The bias is added to the scores: 0 where a query may look, -inf where not."""


@dataclass(frozen=True, slots=True)
class Tile:
    """Queries that attend in one product: token numbers of queries and keys, and who sees whom."""

    query_BQ: Tensor
    real_BQ: Tensor
    """False where a query only fills up its row."""
    key_BK: Tensor
    bias_BQK: Tensor


@dataclass(frozen=True, slots=True)
class Text:
    """A prompt and what follows it, for one adapter; equal (slot, prompt) are computed once."""

    slot: int | None
    prompt: Sequence[int]
    tokens: Sequence[int] = ()


class Packing:
    """The layout of `texts`, which must be sorted by slot (base last) for fast routing.

    `ids_N` and `position_N` are the model's inputs; `slots` has one entry a token; `prompts`
    gives the token numbers (first, last + 1) of each group's prompt and `group_of` the group of
    each text; `starts` the number of each text's first token.
    """

    def __init__(self, texts: Sequence[Text], device: torch.device) -> None:
        self.device = device
        groups: dict[tuple[int | None, tuple[int, ...]], list[int]] = {}
        for number, text in enumerate(texts):
            groups.setdefault((text.slot, tuple(text.prompt)), []).append(number)
        ids: list[int] = []
        position: list[int] = []
        self.slots: list[int | None] = []
        self.prompts: list[tuple[int, int]] = []
        self.group_of = [0] * len(texts)
        self.starts = [0] * len(texts)
        self.lengths = [len(text.tokens) for text in texts]
        for group, ((slot, prompt), numbers) in enumerate(groups.items()):
            self.prompts.append((len(ids), len(ids) + len(prompt)))
            ids += prompt
            position += range(len(prompt))
            for number in numbers:
                tokens = texts[number].tokens
                self.group_of[number], self.starts[number] = group, len(ids)
                ids += tokens
                position += range(len(prompt), len(prompt) + len(tokens))
            self.slots += [slot] * (len(ids) - len(self.slots))
        self.ids_N = torch.tensor(ids, device=device)
        self.position_N = torch.tensor(position, device=device)

    @cached_property
    def stretches(self) -> NDArray[np.int64]:
        """Tokens that follow each other and the prompt that they see, in token numbers, [M, 4].

        First, last + 1, and the same of the prompt (empty for a prompt itself).
        """
        prompts = [(start, stop, start, start) for start, stop in self.prompts]
        texts = [
            (start, start + length, *self.prompts[group])
            for start, length, group in zip(self.starts, self.lengths, self.group_of, strict=True)
            if length
        ]
        return np.array(prompts + texts)

    @cached_property
    def tiles(self) -> list[Tile]:
        """Stretches of like length, for attention by batched products."""
        return self._prompt_tiles() + self._text_tiles()

    def _prompt_tiles(self) -> list[Tile]:
        tiles = []
        for chosen in _tiles([stop - start for start, stop in self.prompts]):
            start_B, length_B = self.spans([self.prompts[group] for group in chosen])
            index_BL, real_BL = spread(start_B, length_B)
            mask_1LL = _causal(index_BL.shape[1], self.device)
            tiles.append(Tile(index_BL, real_BL, index_BL, bias_of(mask_1LL)))
        return tiles

    def _text_tiles(self) -> list[Tile]:
        tiles = []
        texts = [number for number, length in enumerate(self.lengths) if length]
        for places in _tiles([self.lengths[number] for number in texts]):
            chosen = [texts[place] for place in places]
            spans = [(self.starts[i], self.starts[i] + self.lengths[i]) for i in chosen]
            index_BS, real_BS = spread(*self.spans(spans))
            prompts = [self.prompts[self.group_of[i]] for i in chosen]
            prompt_BP, real_BP = spread(*self.spans(prompts))
            size = index_BS.shape[1]
            mask_BSP = real_BP[:, None, :].expand(-1, size, -1)
            mask_BSS = _causal(size, self.device).expand(len(chosen), -1, -1)
            key_BK = torch.cat((prompt_BP, index_BS), 1)
            mask_BSK = torch.cat((mask_BSP, mask_BSS), 2)
            tiles.append(Tile(index_BS, real_BS, key_BK, bias_of(mask_BSK)))
        return tiles

    def spans(self, spans: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        """Starts and lengths [B] of spans of token numbers, as `spread` takes them."""
        start_B = torch.tensor([start for start, _ in spans], device=self.device)
        return start_B, torch.tensor([stop - start for start, stop in spans], device=self.device)

    @cached_property
    def _place_N(self) -> Tensor:
        """Where each token's output lies among the tiles' outputs, one after the other."""
        query_M = torch.cat([tile.query_BQ.flatten() for tile in self.tiles])
        real_M = torch.cat([tile.real_BQ.flatten() for tile in self.tiles])
        place_N = torch.empty(len(self.ids_N), dtype=torch.long, device=self.device)
        place_N[query_M[real_M]] = real_M.nonzero()[:, 0]
        return place_N

    def attend(self, attend: Attend, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        """Attention of all tokens: q [N, Hq, D], k and v [N, Hkv, D] to [N, Hq, D]."""
        q_NX, k_NX, v_NX = (x.flatten(1) for x in (q, k, v))
        size = q.shape[-1]

        def take(x_NX: Tensor, index_BL: Tensor) -> Tensor:
            taken = x_NX.index_select(0, index_BL.flatten())
            return taken.view(*index_BL.shape, -1, size).transpose(1, 2)

        parts = [
            attend(
                take(q_NX, tile.query_BQ),
                take(k_NX, tile.key_BK),
                take(v_NX, tile.key_BK),
                tile.bias_BQK,
                scale,
            ).flatten(0, 1)
            for tile in self.tiles
        ]
        return torch.cat(parts).index_select(0, self._place_N)


def _tiles(lengths: Sequence[int]) -> list[list[int]]:
    """Numbers of the rows, shortest first, cut where a row would pad its tile too much."""
    tiles: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda i: (lengths[i], i)):
        if tiles and lengths[row] <= TILE_GROWTH * lengths[tiles[-1][0]] + TILE_SLACK:
            tiles[-1].append(row)
        else:
            tiles.append([row])
    return tiles


def spread(start_B: Tensor, length_B: Tensor) -> tuple[Tensor, Tensor]:
    """Token numbers [B, longest] of spans, the last repeated as padding, and which are real."""
    offset_L = torch.arange(int(length_B.max()), device=start_B.device)
    real_BL = offset_L < length_B[:, None]
    return start_B[:, None] + torch.minimum(offset_L, length_B[:, None] - 1), real_BL


def bias_of(mask: Tensor) -> Tensor:
    """A float32 bias on attention scores: 0 where `mask` is True, else -inf."""
    return torch.zeros(mask.shape, device=mask.device).masked_fill_(~mask, float("-inf"))


def _causal(length: int, device: torch.device) -> Tensor:
    return torch.ones(1, length, length, dtype=torch.bool, device=device).tril()
