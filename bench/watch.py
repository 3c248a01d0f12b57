"""What watching costs: a made-up run of 1,000 steps and 250,000 attempts, and its page.

`python -m bench.watch [--run DIRECTORY] [--steps N]`: makes the run where it is missing, serves it
from a process of its own, and times

- the first picture: from the request of the page until Chromium has drawn its first screen, with a
  server that has just begun to listen and has read nothing;
- a tick: processor time of the server for the look after each of 20 further steps;
- the server's memory afterwards, and the size of report.html.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from redqueen.config import build_config
from redqueen.report import write_report
from redqueen.store import RunStore
from tests.made_up_run import DESCRIPTIONS, Fabricator, evaluation, suite_task

TICKS = 20
ATTEMPTS = 250
"""A step: 32 proposals, 8 attempts at each that is valid, as the default config has it."""


def make_run(directory: Path, steps: int) -> None:
    """Write a run with a held-out evaluation; takes minutes for 1,000 steps."""
    config = build_config({"name": "watched", "steps": steps + TICKS, "keep_tokens": True})
    with RunStore.create(directory, config, DESCRIPTIONS) as store:
        store.rows("PRAGMA synchronous=OFF")
        maker = Fabricator(config, 0)
        for step in range(1, steps + 1):
            store.write_step(maker.step(step, 1.2))
        suite = [suite_task(number) for number in range(300)]
        store.write_evaluation(evaluation(maker, 300, 4), suite, step=steps)


def first_picture(url: str) -> float:
    """Return the seconds from asking for the page until the first screen's charts are drawn."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto("about:blank")
        begun = time.perf_counter()
        page.goto(url, wait_until="commit")
        page.wait_for_selector("#ratings-students svg", timeout=120_000)
        seconds = time.perf_counter() - begun
        browser.close()
    return seconds


def serve(directory: Path) -> tuple[subprocess.Popen[str], str]:
    """Start the server without reading ahead; return its process and its address."""
    code = (
        "import sys; from pathlib import Path; from redqueen.watch import Server\n"
        "with Server([Path(sys.argv[1])], 0) as server:\n"
        "    print(server.port, flush=True); server.serve_forever()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(directory)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, f"http://127.0.0.1:{process.stdout.readline().strip()}/"


def ticks(directory: Path, url: str, process: psutil.Process) -> list[float]:
    """Return the server's processor seconds for each of some looks after a further step."""
    import json

    def ask(since: str) -> Any:
        with urllib.request.urlopen(f"{url}page?since={since}") as answer:
            return json.loads(answer.read())

    version, costs = ask("")["version"], []
    with RunStore.open(directory) as store:
        maker = Fabricator(store.config(), 1)
        last = store.last_step()
        for step in range(last + 1, last + 1 + TICKS):
            store.write_step(maker.step(step, 1.2))
            before = process.cpu_times()
            version = ask(version)["version"]
            after = process.cpu_times()
            costs.append(after.user + after.system - before.user - before.system)
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path, help="kept and used again; default: a temporary one")
    parser.add_argument("--steps", type=int, default=1000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        directory = args.run or Path(folder) / "run"
        if not (directory / "run.db").exists():
            make_run(directory, args.steps)
        with RunStore.open(directory, read_only=True) as store:
            attempts = store.rows("SELECT count(*) FROM rollouts")[0][0]
            size = (directory / "run.db").stat().st_size / 2**20
            print(f"{store.last_step():,} steps, {attempts:,} attempts, {size:.0f} MiB")
        process, url = serve(directory)
        try:
            of_server = psutil.Process(process.pid)
            print(f"first picture: {first_picture(url):.2f} s (bar 1.5)")
            costs = sorted(ticks(directory, url, of_server))
            print(
                f"a tick's processor time: median {1000 * statistics.median(costs):.0f} ms, "
                f"{1000 * costs[0]:.0f} to {1000 * costs[-1]:.0f} over {TICKS} (bar 50)"
            )
            print(f"server: {of_server.memory_info().rss / 2**20:.0f} MiB resident (bar 200)")
        finally:
            process.terminate()
            process.wait()
        page = write_report(directory, Path(folder) / "report.html")
        print(f"report.html: {page.stat().st_size / 1024:.0f} KiB (bar 1,024)")


if __name__ == "__main__":
    main()
