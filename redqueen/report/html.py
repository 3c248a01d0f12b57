"""One self-contained HTML file around a page's data: style, script and chart library inside."""

import json
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any

from redqueen.formatting import visible

SCRIPTS = ("vendor/d3.min.js", "vendor/plot.umd.min.js", "charts.js", "page.js")
PLOT_STYLE = "sha256-zrfVyvY1E/5V+DXZunsRZW8XTqTsuIZzp8dBDThhSn8="
"""Of the style element that the chart library puts into each of its drawings."""


@cache
def asset(name: str) -> str:
    """Return a file of `report/assets`."""
    return files("redqueen.report").joinpath(f"assets/{name}").read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


@cache
def _policy(live: bool) -> str:
    """Only these scripts and styles, no request anywhere, but live to the server itself."""
    scripts = " ".join(f"'{_digest(asset(name))}'" for name in SCRIPTS)
    style = _digest(asset("report.css"))
    server = "'self'" if live else "'none'"
    return (
        f"default-src 'none'; script-src {scripts}; style-src '{style}' '{PLOT_STYLE}'; "
        f"img-src data:; connect-src {server}; base-uri 'none'; "
        "form-action 'none'"
    )


def to_json(value: Any) -> str:
    """Return records and what they hold as JSON; a field is a key."""
    return json.dumps(value, default=_fields, allow_nan=False, separators=(",", ":"))


def _fields(record: Any) -> Any:
    if isinstance(record, Mapping):
        return dict(record)
    return {name: getattr(record, name) for name in record.__slots__}


def document(name: str, data: str, live: bool = False) -> str:
    """Return the file; `data` is JSON, `name` any text. `live`: it asks its server for the rest."""
    # Inside a script element only `<` could end it.
    data = data.replace("<", "\\u003c")
    scripts = "".join(f"<script>{asset(script)}</script>\n" for script in SCRIPTS)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy(live)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{escape(visible(name))} · Red Queen</title>
<style>{asset("report.css")}</style>
</head>
<body>
<noscript><p>This page draws itself: allow scripts. It makes no request.</p></noscript>
<main id="page"></main>
<script type="application/json" id="data">{data}</script>
{scripts}</body>
</html>
"""
