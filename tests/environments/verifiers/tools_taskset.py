"""A taskset whose tasks need a runtime: not for an answer in one text."""

from collections.abc import Iterator

import verifiers.v1 as vf

__all__ = ["Files"]


class File(vf.Task[vf.TaskData]):
    async def setup(self, trace: vf.Trace, runtime: vf.Runtime) -> None:
        raise NotImplementedError

    @vf.reward
    async def right(self, trace: vf.Trace) -> float:
        return 1.0


class Files(vf.Taskset[File]):
    def load(self) -> Iterator[File]:
        yield File(vf.TaskData(prompt="Write a file."))
