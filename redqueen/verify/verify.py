"""Every stored row made again from the database: a standing proof that a third party can run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from redqueen.environments.base import Environment
from redqueen.rng import numpy_rng
from redqueen.rollouts.interactions.base import Fits
from redqueen.store import Replay, RowCount, RunStore
from redqueen.verify.findings import Findings, VerifyReport
from redqueen.verify.foreign import check_foreign
from redqueen.verify.rows import Rows
from redqueen.verify.scores import Adapted, Scored, rescore

if TYPE_CHECKING:
    from redqueen.config import Config

OnProgress = Callable[[int, int], None]
"""Receives how many rows are done, and of how many."""


class OpenedRun(Protocol):
    """What is needed of a run; `redqueen.open_run.OpenRun` fits."""

    @property
    def directory(self) -> Path:
        """Where it is."""
        ...

    @property
    def config(self) -> "Config":
        """Its configuration."""
        ...

    @property
    def model(self) -> Adapted:
        """The base with adapters, whose weights are replaced by those of kept checkpoints."""
        ...


@dataclass(frozen=True, slots=True)
class Choice:
    """Positions of the chosen rows, by table and step or suite."""

    places: Mapping[tuple[str, int | str], Sequence[int]]
    rows: int
    total: int

    def of(self, table: str, part: int | str) -> Sequence[int]:
        """Return the chosen positions in one part of a table."""
        return self.places.get((table, part), ())

    def parts(self, *tables: str) -> list[Any]:
        """Return the steps or suites that have chosen rows in these tables, in order."""
        return sorted({part for table, part in self.places if table in tables})


def choose(counts: Sequence[RowCount], sample: int | None, seed: int) -> Choice:
    """Return all rows (None), or `sample` of them drawn without replacement."""
    total = sum(part.count for part in counts)
    if sample is None or sample >= total:
        drawn = list(range(total))
    else:
        drawn = sorted(numpy_rng("verify", seed).choice(total, sample, replace=False).tolist())
    places: dict[tuple[str, int | str], list[int]] = {}
    first, part = 0, iter(counts)
    now = next(part, None)
    for number in drawn:
        while now is not None and number >= first + now.count:
            first, now = first + now.count, next(part)
        assert now is not None  # `number` is below the sum of the counts
        places.setdefault((now.table, now.part), []).append(number - first)
    return Choice(places, len(drawn), total)


def verify_run(
    run: OpenedRun,
    environments: Mapping[str, Environment],
    sample: int | None = None,
    on_progress: OnProgress = lambda done, total: None,
    seed: int = 0,
) -> VerifyReport:
    """Make rows of a run's database again and compare.

    Prompts are rendered from the tasks, proposals validated and attempts verified anew, rewards
    assigned from the stored verdicts, and log-probabilities scored for texts whose adapters a
    checkpoint still holds. Nothing is written; it works beside the process that trains.

    Args:
        run: the run, with a model that this call may put other adapters into.
        environments: those of its configuration, by name.
        sample: how many rows of proposals, attempts and evaluations; None: all.
        on_progress: told of every step and suite.
        seed: of the sample.

    Raises:
        ConfigError: there is no run, or not one of this version.
        InfrastructureError: the database, a checkpoint or the sandbox failed.
    """
    findings = Findings()
    with RunStore.open(run.directory, read_only=True) as store:
        choice = choose(store.row_counts(), sample, seed)
        rows = Rows(Replay(store), environments, run.config, findings, _fits(run))
        scored: list[Scored] = []
        done = 0
        for step in choice.parts("proposals", "rollouts"):
            record = rows.replay.step(step)
            proposals, rollouts = choice.of("proposals", step), choice.of("rollouts", step)
            rows.rewards(record, proposals, rollouts)
            scored += rows.proposals([(i, record.proposals[i]) for i in proposals], record)
            scored += rows.judgements(record, {record.proposals[i].match for i in proposals})
            scored += rows.rollouts([(i, record.rollouts[i]) for i in rollouts], record)
            done += len(proposals) + len(rollouts)
            on_progress(done, choice.rows)
        for suite in choice.parts("evaluations"):
            places = choice.of("evaluations", suite)
            attempts = rows.replay.evaluation(suite)
            rows.votes([(i, attempts[i]) for i in places], attempts)
            scored += rows.evaluations([(i, attempts[i]) for i in places])
            done += len(places)
            on_progress(done, choice.rows)
        check_foreign(store, environments, run.config, sample, findings)
    limit = run.config.learner.max_logprob_mismatch
    mismatch = rescore(run.model, run.directory, scored, limit, findings, on_progress)
    return findings.report(choice.rows, choice.total, mismatch)


def _fits(run: OpenedRun) -> Fits:
    """Return what told the run whether the base's context holds a prompt and an answer to it."""
    limit = run.config.rollout.solve_tokens
    return lambda messages: run.model.leaves_room(messages, limit)
