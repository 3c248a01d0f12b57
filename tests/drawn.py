"""Reading a page's data back out of its HTML."""

import json
import re
from collections.abc import Iterator
from typing import Any


def page_data(html: str) -> dict[str, Any]:
    """Return the page inside a file."""
    (text,) = re.findall('<script type="application/json" id="data">(.*?)</script>', html, re.S)
    page: dict[str, Any] = json.loads(text)["page"]
    return page


def figures(page: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the figures by name, none of which stands twice."""
    every = [figure for section in page["sections"] for figure in section["figures"]]
    assert len({figure["id"] for figure in every}) == len(every)
    return {figure["id"]: figure for figure in every}


def sections(page: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the sections by name, none of which stands twice."""
    assert len({section["id"] for section in page["sections"]}) == len(page["sections"])
    return {section["id"]: section for section in page["sections"]}


def texts(value: Any) -> Iterator[str]:
    """Yield every text in some data, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def plain(value: Any) -> str:
    """Return all texts in some data as one."""
    return " ".join(" ".join(texts(value)).split())
