"""Texts of more members than fit in memory: some members at a time."""

from collections.abc import Mapping, Sequence

from redqueen.engines.base import Engine, OnFinished, Sampling, ignore
from redqueen.models.adapters import AdapterStack
from redqueen.types import Completion, Request


class PagedEngine:
    """Lets another engine write, for as many members at once as fit into memory."""

    def __init__(self, engine: Engine, adapters: AdapterStack, most: int) -> None:
        self.engine = engine
        self.adapters = adapters
        self.most = most

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, on_finished: OnFinished = ignore
    ) -> list[Completion]:
        """See `Engine`. Members are in memory in the order of their slots."""
        slots = sorted({request.slot for request in requests if request.slot is not None})
        completions: dict[int, Completion] = {}
        parts = [slots[at : at + self.most] for at in range(0, len(slots), self.most)] or [[]]
        for part in parts:
            present = {*part, None} if part is parts[0] else {*part}
            numbers = [i for i, request in enumerate(requests) if request.slot in present]

            def take(written: Mapping[int, Completion], numbers: list[int] = numbers) -> None:
                finished = {numbers[place]: text for place, text in written.items()}
                completions.update(finished)
                on_finished(finished)

            self.adapters.bring(part)
            self.engine.generate([requests[i] for i in numbers], sampling, take)
        return [completions[number] for number in range(len(requests))]

    def sync(self, slots: Sequence[int], adapters: AdapterStack, version: int) -> None:
        """See `Engine`."""
        self.engine.sync(slots, adapters, version)

    def close(self) -> None:
        """See `Engine`."""
        self.engine.close()
