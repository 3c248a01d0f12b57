"""The process that runs a taskset of the package verifiers: `python -m
redqueen.environments.verifiers.worker`.

Tasks and reward functions are anybody's; see `redqueen.environments.workers` for what limits them.
"""

import asyncio
import json
import math
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

import verifiers.v1 as vf
from verifiers.v1.types import AssistantMessage, SystemMessage, UserMessage
from verifiers.v1.utils.loaders import load_taskset, taskset_config_type

from redqueen.environments.workers import serve

MEMORY_BYTES = 8 << 30
ROLES = {"system": SystemMessage, "user": UserMessage, "assistant": AssistantMessage}


class UnsuitableError(Exception):
    """A task that takes more than one answer to a text."""


@lru_cache(maxsize=1)
def _tasks(name: str, config: str, most: int) -> list[vf.Task]:
    kind = taskset_config_type(name)
    return list(islice(load_taskset(kind.model_validate({**json.loads(config), "id": name})), most))


def _messages(task: vf.Task) -> list[dict[str, str]]:
    """Return the conversation that poses a task.

    Raises:
        UnsuitableError: it has none of text alone, or needs tools, a container or hooks.
    """
    kind = type(task)
    for name in ("setup", "finalize"):
        if getattr(kind, name) is not getattr(vf.Task, name):
            raise UnsuitableError(f"its tasks have a hook {name!r}, which needs a runtime")
    if kind.NEEDS_CONTAINER or kind.toolsets(task.config) or task.config.judges:
        raise UnsuitableError("its tasks need a container, tools or a judge")
    said = task.data.prompt
    turns = [UserMessage(content=said)] if isinstance(said, str) else list(said or ())
    if task.data.system_prompt is not None:
        turns.insert(0, SystemMessage(content=task.data.system_prompt))
    plain = [{"role": turn.role, "content": turn.content} for turn in turns]
    if not said or any(not isinstance(turn["content"], str) for turn in plain):
        raise UnsuitableError("a task has no prompt, or one of more than text")
    if any(turn["role"] not in ROLES for turn in plain):
        raise UnsuitableError("a prompt has turns of tools")
    return plain


def listing(name: str, config: str, most: int) -> dict[str, Any]:
    """Return key and conversation of the tasks of a taskset, `most` of them."""
    tasks = _tasks(name, config, most)
    return {"tasks": [{"key": task.key, "messages": _messages(task)} for task in tasks]}


def score(name: str, config: str, most: int, index: int, key: str, text: str) -> dict[str, Any]:
    """Return the sum of a task's weighted rewards for a text.

    Raises:
        LookupError: the taskset has another task there, or none.
        ValueError: there is no reward, or it is no number.
    """
    task = _tasks(name, config, most)[index]
    if task.key != key:
        raise LookupError("the taskset has changed since the task was made")
    trace = _trace(task, text)
    asyncio.run(task.score(trace))
    if not trace.rewards or None in trace.rewards.values() or not math.isfinite(trace.reward):
        raise ValueError(f"no reward that is a number: {trace.rewards}")
    return {"reward": trace.reward}


def _trace(task: vf.Task, text: str) -> vf.Trace:
    """Return the record of a conversation that ends with one answer."""
    turns = [ROLES[turn["role"]](content=turn["content"]) for turn in _messages(task)]
    turns.append(AssistantMessage(content=text))
    nodes = [
        vf.MessageNode(parent=n - 1 if n else None, message=turn, sampled=n == len(turns) - 1)
        for n, turn in enumerate(turns)
    ]
    posed = vf.TraceTask(type=type(task).__name__, data=task.data, key=task.key, hash=task.hash)
    agent = vf.AgentInfo(config=vf.AgentConfig())
    trace = vf.Trace(task=posed, agent=agent, nodes=nodes)
    trace.is_completed = trace.ok = True
    return trace


def answer(question: Mapping[str, Any]) -> Any:
    """Return what the function `do` of a question says; `{"error": …}` if anything raises."""
    arguments = {key: value for key, value in question.items() if key != "do"}
    try:
        return listing(**arguments) if question["do"] == "list" else score(**arguments)
    except UnsuitableError as error:
        return {"error": str(error)}
    except Exception as error:  # anybody's taskset
        return {"error": repr(error)[:300]}


if __name__ == "__main__":
    serve(answer, MEMORY_BYTES)
