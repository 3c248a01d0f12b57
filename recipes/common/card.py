"""Figures on the cards of bases."""

from pathlib import Path

from redqueen.report.statistics import wilson

MARKS = ("<!-- evaluation -->", "<!-- end of evaluation -->")
"""What stands on a card around the table of its evaluation."""


def percent(right: int, total: int) -> str:
    """A share with its 95 % Wilson interval."""
    low, high = wilson(right, total)
    return f"{100 * right / total:.1f} ({100 * low:.1f}–{100 * high:.1f})"


def write_table(card: Path, table: str) -> None:
    """Put a table between the marks of a card."""
    before, rest = card.read_text(encoding="utf-8").split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    card.write_text(f"{before}{MARKS[0]}\n\n{table}\n\n{MARKS[1]}{after}", encoding="utf-8")
