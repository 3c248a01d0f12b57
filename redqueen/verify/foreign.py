"""What a run has learnt of other nodes, checked again: signatures, tasks and verdicts."""

from collections.abc import Mapping
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING

from redqueen.environments.base import Environment
from redqueen.errors import DamagedRowError
from redqueen.learner.assign import student_reward
from redqueen.store import RunReader, load_exchanges
from redqueen.types import Exchange
from redqueen.verify.findings import Findings

if TYPE_CHECKING:
    from redqueen.config import Config


def _bytes(stored: object) -> bytes:
    """Return a message as it is stored; of what somebody else has put there, none."""
    return stored if isinstance(stored, bytes) else b""


def _check_adapters(
    exchanges: Mapping[int, Exchange], most: int | None, findings: Findings
) -> None:
    """Check the signatures of the newest adapters of other nodes."""
    rows = [
        (f"step {step}, foreign adapter {number}", adapter)
        for step, exchange in exchanges.items()
        for number, adapter in enumerate(exchange.adapters)
    ]
    if not rows:
        return
    from redqueen.swarm.adapter_message import decode_adapter
    from redqueen.swarm.reasons import RefusedError

    for row, adapter in rows if most is None else rows[-most:]:
        try:
            message = decode_adapter(_bytes(adapter.message))
        except RefusedError as refused:
            findings.compare(row, "message", refused.reason, "readable")
            continue
        key = (adapter.origin, adapter.epoch, adapter.number)
        now = (message.author, message.epoch, message.number)
        findings.compare(row, "message", (*key, True), (*now, message.is_authentic()))


def check_foreign(
    run: RunReader,
    environments: Mapping[str, Environment],
    config: "Config",
    most: int | None,
    findings: Findings,
) -> None:
    """Check the newest `most` (None: all) groups of other nodes in a run's database."""
    try:
        exchanges = load_exchanges(run)
    except (DamagedRowError, ValueError, TypeError, AttributeError) as error:
        findings.compare("what came of other nodes", "rows", repr(error), "readable")
        return
    _check_adapters(exchanges, most, findings)
    rows = [
        (f"step {step}, foreign group {number}", group)
        for step, exchange in exchanges.items()
        for number, group in enumerate(exchange.groups)
    ]
    if not rows:
        return
    # These need the extra `swarm`, which a run without foreign groups does without.
    from redqueen.swarm.judge import Judge
    from redqueen.swarm.reasons import RefusedError
    from redqueen.swarm.wire import decode

    read = []
    for row, group in rows if most is None else rows[-most:]:
        try:
            data = _bytes(group.message)
            message = decode(data, len(data))
        except RefusedError as refused:
            findings.compare(row, "message", refused.reason, "readable")
            continue
        key = (group.origin, group.epoch, group.number)
        findings.compare(row, "message", (*key, True), (*message.key, message.is_authentic()))
        read.append((row, group, message.group))
    reward = partial(student_reward, config=config.learner)
    judge = Judge(
        environments,
        lambda task: False,
        reward,
        lambda prompt, texts: True,
        config.safety.screens,
        config.swarm.need_right,
    )
    again = judge.judge([foreign for _, _, foreign in read])
    for (row, group, _), result in zip(read, again, strict=True):
        if result == "check_failed":
            findings.skip("the checker failed on a group of another node")
        elif isinstance(result, str):
            findings.compare(row, "verdict", "learnt from", result)
        else:
            stored = list(zip_longest(group.verdicts, group.partial_scores))
            now = [(item.verdict, item.partial_score) for item in result]
            findings.compare(row, "verdict", stored, now)
