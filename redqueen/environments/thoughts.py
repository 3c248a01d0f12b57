"""What a completion says after its thoughts, and between answer tags."""

import re

_THOUGHT = re.compile(r"\A.*</think(?:ing)?>", re.DOTALL)
_TAGGED = re.compile(r"<answer>((?:(?!</?answer>).)*)</answer>", re.DOTALL | re.IGNORECASE)


def spoken(text: str) -> str:
    """Return what stands after the last thought; what was thought is no answer."""
    return _THOUGHT.sub("", text)


def tagged(text: str) -> list[str]:
    """Return what stands between answer tags, in order, where it is not empty. A tag that the text
    only speaks of, before another one is opened, begins nothing."""
    items = (item.strip() for item in _TAGGED.findall(text))
    return [item for item in items if item]
