"""The result of a verification in the terminal."""

from rich.console import Console

from redqueen.formatting import plural
from redqueen.verify.findings import VerifyReport

SHOWN = 20
WIDTH = 300


def _clip(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[:WIDTH]} …"


def print_verification(report: VerifyReport, console: Console) -> None:
    """Print counts by check, what differs, and what could not be checked and why."""

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    say(f"{plural(report.rows, 'row')} of {report.total:,} read again.")
    for name, count in report.checks.items():
        ending = f"{count.different:,} different" if count.different else "all equal"
        say(f"  {name:<18} {count.checked:>8,} checked, {ending}")
    for version, mismatch in sorted(report.mismatch.items()):
        say(f"  log-probabilities of version {version} differ by {mismatch:.2g} on average")
    if report.unchecked:
        say("Not checked:")
        for reason, number in sorted(report.unchecked.items(), key=lambda item: -item[1]):
            say(f"  {number:>8,}  {reason}")
    for difference in report.differences[:SHOWN]:
        say(f"{difference.row}: {difference.check} differs")
        say(f"  stored {_clip(difference.stored)}\n  again  {_clip(difference.again)}")
    if len(report.differences) > SHOWN:
        say(f"and {plural(len(report.differences) - SHOWN, 'more difference')}")
