"""The pages of the documentation site: links that lead somewhere, every key and component."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from redqueen import registry
from redqueen.config.reference import sections

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_pages", ROOT / "docs" / "site" / "pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(site: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("docs")
    site.assemble(out)
    return {path.name: path.read_text(encoding="utf-8") for path in (out / "pages").glob("*.md")}


def test_every_link_between_pages_leads_to_a_page(pages: dict[str, str]) -> None:
    targets = {
        target.partition("#")[0]
        for text in pages.values()
        for target in re.findall(r"\]\(([^)\s]+\.md[^)\s]*)\)", text)
        if "://" not in target
    }
    assert len(targets) > 15
    assert targets <= pages.keys()


def test_every_page_is_in_the_navigation(pages: dict[str, str]) -> None:
    text = (ROOT / "docs" / "site" / "zensical.toml").read_text(encoding="utf-8")
    assert set(re.findall(r'"([\w-]+\.md)"', text)) == pages.keys()


def test_links_are_turned_or_refused(site: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for name in ("CHANGELOG.md", "docs/a.md", "docs/b.md", "docs/code.py", "docs/p.png"):
        (tmp_path / name).write_text("x")
    a = tmp_path / "docs" / "a.md"
    pages = {tmp_path / "CHANGELOG.md": "changelog.md", a: "a.md", a.parent / "b.md": "b.md"}
    for given, expected in {
        "see [b](b.md#part) and [x](../CHANGELOG.md)": "see [b](b.md#part) and [x](changelog.md)",
        "[code](code.py)": "code",
        "![p](../docs/p.png)": "![p](p.png)",
        "[web](https://example.org/b.md), [here](#there)": None,
    }.items():
        assert site.relinked(given, a, pages) == (expected or given)
    with pytest.raises(site.BrokenLink, match=r"a\.md: gone\.md"):
        site.relinked("[gone](gone.md)", a, pages)


def test_every_key_and_component_is_documented(pages: dict[str, str]) -> None:
    for table in sections():
        title = f"`[{table.name}]`" if table.name else "Top level"
        part = pages["keys.md"].partition(f"## {title}\n")[2].partition("\n## ")[0]
        assert re.findall(r"^\| `(\w+)` ", part, re.MULTILINE) == [key.name for key in table.keys]
    for kind, names in registry.COMPONENTS.items():
        if kind not in ("benchmark", "sandbox"):
            assert all(f"\n### `{name}`\n" in pages["components.md"] for name in names)


def test_the_api_names_modules_that_are_there(site: ModuleType, pages: dict[str, str]) -> None:
    for name in site.MODULES:
        assert importlib.util.find_spec(name) is not None
        assert f"::: {name}\n" in pages["api.md"]
