"""Adapters and optimizer state small enough to look at."""

import torch


class Slots:
    """Adapters and optimizer state of a toy, with a log of what was reset."""

    def __init__(self, count: int) -> None:
        g = torch.Generator().manual_seed(0)
        self.A, self.B = (
            torch.randn(count, 2, 6, generator=g),
            torch.randn(count, 5, 2, generator=g),
        )
        self.reset: list[int] = []
        self.copied: list[tuple[int, int]] = []

    def get(self, slot: int) -> dict:
        return {"layer": (self.A[slot], self.B[slot])}

    def set(self, slot: int, factors: dict) -> None:
        self.A[slot], self.B[slot] = factors["layer"]

    def reset_slot(self, slot: int) -> None:
        self.reset.append(slot)

    def copy_slot(self, source: int, target: int) -> None:
        self.copied.append((source, target))
