"""The run database and the checkpoints: everything that a run leaves on disk."""

from redqueen.store.checkpoint import (
    Checkpoint,
    checkpoint_steps,
    kept_states,
    load_checkpoint,
    save_checkpoint,
)
from redqueen.store.configfile import config_toml
from redqueen.store.exchanges import load_exchange_counts, load_exchanges, load_foreign_keys
from redqueen.store.reader import RunReader
from redqueen.store.records import (
    AVERAGE,
    BASE,
    ELICITED,
    TEAM,
    Attempt,
    BenchmarkAttempt,
    EvaluationAttempt,
    EvaluationRow,
    FeatureTable,
    GroupCount,
    HeldBack,
    MatrixCell,
    OutcomeCount,
    PhaseTime,
    ProposalText,
    RatingPoint,
    RowCount,
    SolveCount,
    TaskOutcome,
    TaskRate,
    feature_table,
)
from redqueen.store.replay import Replay
from redqueen.store.run import EvaluationStore, RunStore

__all__ = [
    "AVERAGE",
    "BASE",
    "ELICITED",
    "TEAM",
    "Attempt",
    "BenchmarkAttempt",
    "Checkpoint",
    "EvaluationAttempt",
    "EvaluationRow",
    "EvaluationStore",
    "FeatureTable",
    "GroupCount",
    "HeldBack",
    "MatrixCell",
    "OutcomeCount",
    "PhaseTime",
    "ProposalText",
    "RatingPoint",
    "Replay",
    "RowCount",
    "RunReader",
    "RunStore",
    "SolveCount",
    "TaskOutcome",
    "TaskRate",
    "checkpoint_steps",
    "config_toml",
    "feature_table",
    "kept_states",
    "load_checkpoint",
    "load_exchange_counts",
    "load_exchanges",
    "load_foreign_keys",
    "save_checkpoint",
]
