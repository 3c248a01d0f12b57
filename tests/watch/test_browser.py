"""The page in Debian's Chromium: live beside a run that trains, and in a file.

`make test-browser`. Without Chromium or Playwright these are skipped, unless
REDQUEEN_REQUIRE_BROWSER is set, as CI does.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hostile import EVIL, EVIL_NAME, hostile_record
from made_up_run import Fabricator, fabricate

from redqueen.config import Config
from redqueen.report import write_report
from redqueen.store import config_toml
from redqueen.watch import Server

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
REQUIRED = bool(os.environ.get("REDQUEEN_REQUIRE_BROWSER"))
if not REQUIRED:
    pytest.importorskip("playwright")
    if CHROMIUM is None:
        pytest.skip("there is no chromium", allow_module_level=True)
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        # The sandbox of a browser needs user namespaces, which a container of CI may lack.
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, url: str, refusals: int = 0, **options: Any) -> Iterator[Any]:
    """A page that must ask nobody but its own server, and must complain of nothing but scripts that
    its policy refuses, so many times."""
    page = browser.new_page(**options)
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.set_default_timeout(60_000)
    page.goto(url)
    yield page
    home = url.split("?")[0]
    assert [one for one in asked if not one.startswith((home, "blob:"))] == []
    assert [text for text in complaints if "Executing inline script violates" not in text] == []
    assert len(complaints) == refusals
    page.close()


@contextmanager
def served(*directories: Path) -> Iterator[str]:
    with Server(directories, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.port}/"
        server.shutdown()
        thread.join()


def fact(page: Any, name: str) -> str:
    return str(page.locator(f".facts div:has(dt:text-is('{name}')) dd").inner_text())


def fact_is_there(page: Any) -> bool:
    return bool(page.locator(".facts dd").count())


def wait_for_fact(page: Any, name: str, text: str) -> None:
    place = page.locator(f".facts div:has(dt:text-is('{name}')) dd:text-is('{text}')")
    place.wait_for()


def test_live_beside_a_run_that_trains(
    browser: Any, tiny: Callable[..., Config], tmp_path: Path
) -> None:
    config = tiny(steps=3, callbacks=["now"], eval={"enabled": False})
    file = tmp_path / "config.toml"
    file.write_text(config_toml(config.model_dump(mode="json")), encoding="utf-8")
    run = tmp_path / "run"
    words = ["train", str(file), "--out", str(run)]
    with served(run) as url, opened(browser, url) as page:
        page.locator(".banner:has-text('holds no run')").wait_for()
        command = [sys.executable, "-m", "redqueen.cli", *words]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 300
            while not fact_is_there(page) and process.poll() is None:
                assert time.monotonic() < deadline
                page.wait_for_timeout(200)
            page.set_default_timeout(300_000)
            assert page.locator(".banner").is_hidden()
            assert page.locator("#now").inner_text().startswith("Step ")
            wait_for_fact(page, "steps", "3")
        assert process.returncode == 0
        page.locator("#now:has-text('All 3 steps are done')").wait_for()
        assert page.locator("#time svg").count() == 1


def test_new_steps_arrive_and_filters_work(browser: Any, tmp_path: Path) -> None:
    with (
        fabricate(tmp_path / "run", 3, evaluated=False, steps_planned=9) as store,
        served(tmp_path / "run") as url,
        opened(browser, url, viewport={"width": 1280, "height": 900}) as page,
    ):
        wait_for_fact(page, "steps", "3 of 9")
        page.locator("#ratings-students svg").wait_for()
        page.select_option("[name=verdict]", "wrong")
        page.fill("[name=step]", "2")
        page.press("[name=step]", "Enter")
        page.locator(".texts summary:not(:has-text('step 2'))").first.wait_for(state="detached")
        total = store.rows("SELECT count(*) FROM rollouts WHERE step = 2 AND verdict = 'wrong'")[0][
            0
        ]
        while page.locator("#browse button:text-is('More')").is_visible():
            shown = page.locator(".texts summary").count()
            page.click("#browse button:text-is('More')")
            page.locator(".texts summary").nth(shown).wait_for()
        assert page.locator(".texts summary").count() == total
        assert page.locator(".texts summary b:not(.wrong)").count() == 0
        page.mouse.move(0, 0)
        page.evaluate("document.activeElement.blur()")
        store.write_step(Fabricator(store.config(), 1).step(4))
        wait_for_fact(page, "steps", "4 of 9")
        page.locator("#ratings-students svg").wait_for()
        assert page.input_value("[name=step]") == "2"  # a new drawing keeps the filters
        page.locator(".texts summary").first.click()
        page.click(".texts details[open] button")
        page.locator("#browse button:text-is('Any task again')").wait_for()


def test_what_is_read_is_drawn_anew_when_it_has_been_left(browser: Any, tmp_path: Path) -> None:
    with (
        fabricate(tmp_path / "run", 3, evaluated=False, steps_planned=9) as store,
        served(tmp_path / "run") as url,
        opened(browser, url) as page,
    ):
        page.locator("#latest article header:has-text('step 3')").wait_for()
        page.hover("#latest article header")
        maker = Fabricator(store.config(), 1)
        for step in (4, 5):
            store.write_step(maker.step(step))
            wait_for_fact(page, "steps", f"{step} of 9")
        assert "step 3" in page.locator("#latest article header").inner_text()
        page.mouse.move(0, 0)
        page.locator("#latest article header:has-text('step 5')").wait_for()


def test_runs_of_any_name_have_links(browser: Any, tmp_path: Path) -> None:
    names = [tmp_path / "a\udcff & <b>?run=#x", tmp_path / "later"]
    fabricate(names[0], 2, evaluated=False).close()
    with served(*names) as url, opened(browser, url) as page:
        wait_for_fact(page, "steps", "2")
        page.click("nav.runs a >> nth=0")
        wait_for_fact(page, "steps", "2")
        assert "a\\xff & <b>?run=#x" in page.locator("nav.runs a").first.inner_text()


def test_hostile_text_stays_text(browser: Any, tmp_path: Path) -> None:
    with (
        fabricate(tmp_path / "run", 3, name=EVIL_NAME, steps_planned=9, evaluated=False) as store,
        served(tmp_path / "run") as url,
        opened(browser, url, refusals=1) as page,
    ):
        wait_for_fact(page, "steps", "3 of 9")
        store.write_step(hostile_record(store))
        wait_for_fact(page, "steps", "4 of 9")
        page.locator(".texts summary").first.click()
        shown = EVIL.replace("\x00", "\\x00").replace("\ud800", "\\ud800")
        assert shown in page.locator(".texts details[open] .attempt pre").inner_text()
        assert page.locator("h1").inner_text() == EVIL_NAME
        assert page.locator("main script, main img, main iframe").count() == 0
        # Nor would a script run that somehow came in: the policy names the package's own.
        blocked = page.evaluate(
            "(() => { const made = document.createElement('script');"
            "made.textContent = 'window.ran = true'; document.body.append(made);"
            "return window.ran === undefined; })()"
        )
        assert blocked


def test_the_page_stays_when_the_database_goes(browser: Any, tmp_path: Path) -> None:
    fabricate(tmp_path / "run", 2, evaluated=False).close()
    path, aside = tmp_path / "run" / "run.db", tmp_path / "aside.db"
    with served(tmp_path / "run", tmp_path / "none") as url:
        with opened(browser, url) as page:
            wait_for_fact(page, "steps", "2")
            os.replace(path, aside)
            page.locator(".banner:has-text('holds no run')").wait_for()
            assert fact(page, "steps") == "2"
            os.replace(aside, path)
            page.locator(".banner").wait_for(state="hidden")
        with opened(browser, f"{url}?run=elsewhere") as page:
            page.locator(".banner:has-text(\"no run 'elsewhere' is watched here\")").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_file_on_a_telephone(browser: Any, tmp_path: Path, scheme: str) -> None:
    fabricate(tmp_path / "run", 12).close()
    url = write_report(tmp_path / "run").as_uri()
    with opened(browser, url, viewport=PHONE, color_scheme=scheme) as page:
        page.locator("#time svg").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == {"light": "rgb(252, 251, 248)", "dark": "rgb(20, 22, 26)"}[scheme]
        for name in ("gain", "ratings-teachers", "solve", "rejections", "lineage", "time"):
            drawing = page.locator(f"#{name} svg").first
            assert drawing.get_attribute("role") == "img"
            assert drawing.get_attribute("aria-label")
            assert drawing.bounding_box()["width"] <= PHONE["width"]
        page.select_option("[name=verdict]", "correct")
        assert page.locator(".texts summary").count() > 0
        assert page.locator(".texts summary b:not(.correct)").count() == 0


def test_the_keyboard_reaches_everything(browser: Any, tmp_path: Path) -> None:
    fabricate(tmp_path / "run", 4).close()
    with opened(browser, write_report(tmp_path / "run").as_uri()) as page:
        page.locator("#time svg").wait_for()
        reached = set()
        for _ in range(60):
            page.keyboard.press("Tab")
            reached.add(
                page.evaluate("document.activeElement.name || document.activeElement.tagName")
            )
        assert {"A", "SUMMARY", "member", "verdict", "text", "DIV"} <= reached
