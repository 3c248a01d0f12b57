"""A taskset of the package verifiers, as a user would write one: sums, with two rewards."""

from collections.abc import Iterator

import verifiers.v1 as vf

__all__ = ["Sums"]


class SumData(vf.TaskData):
    answer: int


class Sum(vf.Task[SumData]):
    @vf.reward(weight=0.75)
    async def right(self, task: SumData, trace: vf.Trace) -> float:
        said = trace.last_reply.split()[-1]  # raises on an empty text
        return float(int(said) == task.answer)  # and on what is no number

    @vf.reward(weight=0.25)
    async def short(self, trace: vf.Trace) -> float:
        return float(len(trace.last_reply) < 20)


class SumsConfig(vf.TasksetConfig):
    largest: int = 6


class Sums(vf.Taskset[Sum, SumsConfig]):
    def load(self) -> Iterator[Sum]:
        for a in range(self.config.largest):
            for b in range(5):
                data = SumData(prompt=f"What is {a} + {b}?", system_prompt="Add.", answer=a + b)
                yield Sum(data, self.config.task)
