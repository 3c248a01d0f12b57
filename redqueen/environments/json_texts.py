"""Reading JSON objects out of what a model wrote."""

import json
import re
from collections.abc import Iterator
from typing import Any

TAIL = 20_000
"""Characters at the end of a text that are read."""
_WORK = 10 * TAIL
"""Characters that all attempts at one text may read together."""
_DECODER = json.JSONDecoder()
_OPENING = re.compile(r"\{\s*[\"}]")


def json_objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a text that are in no other, in order; never raises."""
    text, place, work = text[-TAIL:], 0, 0
    while work < _WORK and (opening := _OPENING.search(text, place)):
        begun = opening.start()
        try:
            item, place = _DECODER.raw_decode(text, begun)
        except json.JSONDecodeError as error:
            place, work = begun + 1, work + error.pos - begun
        except (ValueError, RecursionError):  # a number too long to read, nesting too deep
            place, work = begun + 1, work + len(text) - begun
        else:
            yield item


def is_text(text: str) -> bool:
    """Return whether a text can be written to a file: JSON may spell half a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def last_object(text: str, *keys: str) -> dict[str, Any] | None:
    """Return the last JSON object that has all these keys; None if there is none."""
    objects = [item for item in json_objects(text) if all(key in item for key in keys)]
    return objects[-1] if objects else None
