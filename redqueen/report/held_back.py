"""What screens held back, as plain lines. Texts are shown with their odd characters escaped."""

from collections import Counter
from collections.abc import Iterator

from redqueen.formatting import plural
from redqueen.store import RunReader

SHOWN = 200
"""Characters of a text, unless all of it is asked for."""


def held_back_lines(run: RunReader, whole: bool = False) -> Iterator[str]:
    """Yield a line for each proposal that a screen held back, then the counts by screen."""
    held = run.load_held_back()
    for item in held:
        text = item.text if whole else item.text[:SHOWN]
        cut = "" if len(text) == len(item.text) else f" … ({len(item.text):,} characters)"
        yield (
            f"step {item.step}, teacher {item.teacher}, {item.environment}/{item.kind}: "
            f"{ascii(item.detail)[1:-1]}\n    {ascii(text)[1:-1]}{cut}"
        )
    proposals = sum(outcome.count for outcome in run.load_outcomes())
    screens = Counter(item.detail.partition(":")[0] for item in held)
    by_screen = ", ".join(f"{name} {count}" for name, count in screens.most_common())
    yield f"{len(held)} of {plural(proposals, 'proposal')} held back" + (
        f" ({by_screen})" if held else ""
    )
