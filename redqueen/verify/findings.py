"""What a verification comes to."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CHECKS = (
    "references",
    "prompt",
    "prompt tokens",
    "validation",
    "verdict",
    "vote",
    "reward",
    "log-probabilities",
)
"""In the order in which a report lists them."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something in the database that is not what it is when it is made again."""

    row: str
    """For people: "step 3, rollout 12"."""
    check: str
    """One of `CHECKS`."""
    stored: str
    again: str


@dataclass(frozen=True, slots=True)
class CheckCount:
    """How often one check was made, and how often something differed."""

    checked: int
    different: int


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """See `verify_run`."""

    rows: int
    """Rows that were looked at, of `total`."""
    total: int
    checks: Mapping[str, CheckCount]
    differences: tuple[Difference, ...]
    unchecked: Mapping[str, int]
    """Reason -> how many checks it stood in the way of."""
    mismatch: Mapping[int, float]
    """Version of adapters -> mean absolute difference of log-probabilities, in nats a token."""

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


@dataclass(slots=True)
class Findings:
    """Collects what checks come to."""

    checked: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    unchecked: Counter[str] = field(default_factory=Counter)

    def compare(self, row: str, check: str, stored: Any, again: Any) -> None:
        """Count a check, and keep the difference if there is one."""
        self.checked[check] += 1
        if stored != again:
            self.differ(row, check, stored, again)

    def differ(self, row: str, check: str, stored: Any, again: Any) -> None:
        """Keep a difference."""
        self.differences.append(Difference(row, check, str(stored), str(again)))

    def skip(self, reason: str, count: int = 1) -> None:
        """Count a check that cannot be made."""
        self.unchecked[reason] += count

    def report(self, rows: int, total: int, mismatch: Mapping[int, float]) -> VerifyReport:
        """Return what there is so far."""
        different = Counter(difference.check for difference in self.differences)
        return VerifyReport(
            rows,
            total,
            {
                name: CheckCount(self.checked[name], different[name])
                for name in CHECKS
                if self.checked[name]
            },
            tuple(self.differences),
            dict(self.unchecked),
            mismatch,
        )
