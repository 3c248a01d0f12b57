"""How sequences are split: batches written side by side, micro-batches learnt from.

All splits depend on lengths and slots alone, so the same work is always split alike.
"""

from collections.abc import Sequence

MIN_ROWS, MIN_TOKENS = 8, 512
"""Less than this for each worker, to write or to learn from, is not spread further."""

MOST_TOKENS = 12288
"""Passes of more tokens are no faster."""


def slot_key(slot: int | None) -> tuple[bool, int]:
    """Return what sorts slots, the base alone last: the order in which routing is fast."""
    return slot is None, slot or 0


def slot_order(slots: Sequence[int | None]) -> list[int]:
    """Return row numbers sorted by slot, otherwise in order, base rows last."""
    return sorted(range(len(slots)), key=lambda row: slot_key(slots[row]))


def even_parts(costs: Sequence[int], parts: int) -> list[int]:
    """Return which of `parts` each piece belongs to, laid end to end and cut into equal lengths.

    A piece goes where its middle falls, so a part is off by half a piece at either end. The answer
    never falls.
    """
    total, spent, answer = sum(costs), 0, []
    for cost in costs:
        answer.append(min(parts - 1, (2 * spent + cost) * parts // (2 * total)))
        spent += cost
    return answer


def generation_batches(
    slots: Sequence[int | None], prompts: Sequence[tuple[int, ...]], rows: int, workers: int
) -> list[list[int]]:
    """Return row numbers in batches of at most about `rows`, sorted by slot and prompt within.

    Prompts of like length meet. Their batches, one for each worker, are about equal and hold few
    slots. Rows that share slot and prompt stay together unless there are more than `rows` of them.
    """

    def place(row: int) -> tuple[tuple[bool, int], tuple[int, ...], int]:
        return slot_key(slots[row]), prompts[row], row

    workers = max(1, min(workers, len(slots) // MIN_ROWS))
    groups: dict[tuple[int | None, tuple[int, ...]], list[int]] = {}
    for row, key in enumerate(zip(slots, prompts, strict=True)):
        groups.setdefault(key, []).append(row)
    whole = sorted(groups.values(), key=lambda group: (len(prompts[group[0]]), group[0]))
    pieces = [group[at : at + rows] for group in whole for at in range(0, len(group), rows)]
    blocks = -(-len(slots) // (rows * workers))
    batches: list[list[int]] = []
    by_length = even_parts([len(piece) for piece in pieces], blocks)
    for block in range(blocks):
        near = [piece for piece, part in zip(pieces, by_length, strict=True) if part == block]
        near.sort(key=lambda piece: place(piece[0]))
        parts = even_parts([len(piece) for piece in near], workers)
        for worker in range(workers):
            chosen = [piece for piece, part in zip(near, parts, strict=True) if part == worker]
            batches.append(sorted((row for piece in chosen for row in piece), key=place))
    return [batch for batch in batches if batch]


def packed_batches(
    slots: Sequence[int | None],
    prompt_ids: Sequence[Sequence[int]],
    token_ids: Sequence[Sequence[int]],
    max_tokens: int,
    workers: int = 1,
) -> list[list[int]]:
    """Split sequences into micro-batches that share prompts, of about equal numbers of tokens.

    There are as few as `max_tokens` allows, in a multiple of `workers`, so that all workers end
    together. Sequences lie in the order of their slots, those of one slot and prompt side by side:
    a batch then meets few adapters, and long products are cheap. A prompt counts once in a batch. A
    sequence longer than `max_tokens` by itself gets a batch of its own.
    """
    groups = [(slot, tuple(prompt)) for slot, prompt in zip(slots, prompt_ids, strict=True)]
    first: dict[tuple[int | None, tuple[int, ...]], int] = {}
    for index, group in enumerate(groups):
        first.setdefault(group, index)
    order = sorted(range(len(groups)), key=lambda i: (slot_key(slots[i]), first[groups[i]], i))
    costs: list[int] = []
    for before, i in zip([None, *order], order, strict=False):
        shared = before is not None and groups[before] == groups[i]
        costs.append(len(token_ids[i]) + (0 if shared else len(prompt_ids[i])))
    total = sum(costs)
    workers = max(1, min(workers, total // MIN_TOKENS))
    # Parts are cut between sequences, so some are longer than others by up to one.
    longest = max((len(p) + len(t) for p, t in zip(prompt_ids, token_ids, strict=True)), default=0)
    room = max(max_tokens - longest, max_tokens // 2, 1)
    parts = even_parts(costs, workers * -(-total // (workers * room)))
    batches: list[list[int]] = []
    filled, last = 0, -1
    for i, cost, part in zip(order, costs, parts, strict=True):
        if part > last or filled + cost > max_tokens:
            batches.append([])
            filled, last = 0, part
        filled += cost if filled else len(prompt_ids[i]) + len(token_ids[i])
        batches[-1].append(i)
    return batches


def padded_batches(lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Split sequences into micro-batches of at most `max_tokens` padded tokens each.

    Sequences are sorted by (length, index), so the split is deterministic and padding small. A
    sequence longer than `max_tokens` gets a batch of its own.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: (lengths[i], i)):
        if batches and (len(batches[-1]) + 1) * lengths[index] <= max_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
