"""Assemble the pages of the documentation site.

    python docs/site/pages.py build/docs

Copies the documents of the repository, writes the reference from the code, and turns links between
documents into links of the site. A link to a file that is not there ends it.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from redqueen import registry
from redqueen.config.reference import Key, KeyTable, components, sections

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
OUTSIDE: Mapping[str, str] = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
"""Documents that are not in docs/ -> their pages."""
MODULES = (
    "redqueen.build", "redqueen.trainer", "redqueen.types", "redqueen.registry", "redqueen.errors",
    "redqueen.environments.base", "redqueen.engines.base", "redqueen.cluster.base",
    "redqueen.rollouts.interactions.base",
    "redqueen.callbacks.base", "redqueen.sandbox.base", "redqueen.learner.advantages.base",
    "redqueen.learner.teacher_rewards", "redqueen.population.matchmaking",
    "redqueen.evolution.fitness", "redqueen.curriculum.samplers", "redqueen.swarm.transport.base",
    "redqueen.open_run", "redqueen.store.replay", "redqueen.verify",
)  # fmt: skip
"""What somebody who writes a component or reads a run needs."""
KINDS: Mapping[str, str] = {
    "environment": "Environments", "engine": "Engines", "cluster": "Clusters",
    "interaction": "Interactions", "matchmaker": "Matchmaking", "references": "References",
    "teacher_reward": "Teachers' rewards",
    "advantage": "Advantages", "fitness": "Fitness", "selection": "Selection",
    "replacement": "Replacement", "mutation": "Mutations", "crossover": "Crossovers",
    "transport": "Transports", "callback": "Callbacks", "tracker": "Trackers",
    "screen": "Screens",
}  # fmt: skip
"""Kind of a component -> heading; others get their kind's name."""
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


class BrokenLink(Exception):
    """A document points to a file that is not there."""


def pages_of(root: Path) -> dict[Path, str]:
    """Return the documents of the repository and the pages that they become."""
    pages = {root / name: page for name, page in OUTSIDE.items() if (root / name).exists()}
    pages |= {path: path.name for path in sorted((root / "docs").glob("*.md"))}
    del pages[root / "docs" / "README.md"]  # a table of the others
    return pages


def relinked(text: str, path: Path, pages: Mapping[Path, str]) -> str:
    """Return a document whose links to other documents are links between pages.

    Links to other files of the repository become plain text: the site does not have them.

    Raises:
        BrokenLink: such a file is not there.
    """

    def link(match: re.Match[str]) -> str:
        image, words, target = match.groups()
        name, hash_, place = target.partition("#")
        if re.match(r"[a-z]+:", target) or not name:
            return match[0]
        file = Path(os.path.normpath(path.parent / name))
        if not file.exists():
            raise BrokenLink(f"{path}: {target} is not there")
        if file in pages:
            return f"[{words}]({pages[file]}{hash_}{place})"
        if image:
            return f"![{words}]({file.name})"
        return words

    return _LINK.sub(link, text)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _row(key: Key) -> str:
    default = f"`{_cell(key.default)}`" if key.default else "–"
    return f"| `{key.name}` | {default} | {_cell(key.text)} |"


def table_of(table: KeyTable) -> list[str]:
    """Return the lines of a table of keys; none if there are no keys."""
    if not table.keys:
        return []
    return ["", "| key | default | |", "|---|---|---|", *map(_row, table.keys)]


def keys_page() -> str:
    """Return the page of every key of every section."""
    lines = ["# Every key", "", "Made from the classes in `redqueen/config`."]
    for table in sections():
        title = f"[{table.name}]" if table.name else "Top level"
        lines += ["", f"## {title.replace('[', '`[').replace(']', ']`')}", "", table.text]
        lines += table_of(table)
    return "\n".join(lines) + "\n"


def components_page(kinds: Iterable[str] = registry.COMPONENTS) -> str:
    """Return the page of all components with their keys."""
    lines = [
        "# Components",
        "",
        'Each is named in a config as `"name"`, or as a table `{type = "name", …}` with its keys. '
        "Another package adds its own through an entry point; see [architecture](architecture.md).",
    ]
    for kind in kinds:
        if kind in ("benchmark", "sandbox"):  # benchmarks are environments, backends have no keys
            continue
        lines += ["", f"## {KINDS.get(kind, kind.replace('_', ' ').capitalize())}"]
        for table in components(kind):
            lines += ["", f"### `{table.name}`", "", table.text, *table_of(table)]
    return "\n".join(lines) + "\n"


def api_page() -> str:
    """Return the page from which the API is made."""
    parts = [f"::: {name}\n" for name in MODULES]
    return "\n".join(["# API", "", "What components and tools build on.", "", *parts])


def assemble(out: Path) -> None:
    """Write all pages and what they show into `out`/pages, and the site's configuration beside.

    Raises:
        BrokenLink: a document points to a file that is not there.
    """
    shutil.rmtree(out, ignore_errors=True)
    place = out / "pages"
    place.mkdir(parents=True)
    pages = pages_of(ROOT)
    for path, page in pages.items():
        text = relinked(path.read_text(encoding="utf-8"), path, pages)
        (place / page).write_text(text, encoding="utf-8")
    for shown in (*DOCS.glob("*.png"), DOCS / "site" / "site.css"):
        shutil.copy(shown, place)
    made = {"keys.md": keys_page(), "components.md": components_page(), "api.md": api_page()}
    for page, text in made.items():
        (place / page).write_text(text, encoding="utf-8")
    shutil.copy(DOCS / "site" / "zensical.toml", out)


if __name__ == "__main__":
    assemble(Path(sys.argv[1]))
