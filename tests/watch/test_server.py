"""The server of the page: what it answers, to whom, and that it reads changed rows alone."""

import getpass
import json
import os
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from made_up_run import Fabricator, evaluation, fabricate, suite_task

from redqueen.errors import ConfigError
from redqueen.report.follow import FollowedRun
from redqueen.report.html import to_json
from redqueen.report.page import run_page
from redqueen.report.queries import RunData
from redqueen.store import RunStore
from redqueen.watch import Server
from redqueen.watch.server import Handler, user_name
from redqueen.watch.watched import WatchedRun

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunStore]:
    with fabricate(tmp_path / "run", 6, tasks=30) as store:
        yield store


@pytest.fixture
def server(run: RunStore, tmp_path: Path) -> Iterator[Server]:
    with Server([tmp_path / "run", tmp_path / "later"], 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def ask(server: Server) -> Ask:
    def get(path: str, **headers: str) -> dict[str, Any]:
        request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request) as answer:
                return dict(json.loads(answer.read()))
        except urllib.error.HTTPError as error:
            return {"status": error.code} | json.loads(error.read())

    return get


def test_changes_alone_are_sent(run: RunStore, ask: Ask) -> None:
    screen = ask("/page")
    assert [section["id"] for section in screen["page"]["sections"]] == ["working"]
    first = ask("/page?since=" + screen["version"])
    first["figures"] |= screen["figures"]
    shown = [name for section in first["page"]["sections"] for name in section["figures"]]
    assert set(shown) == set(first["figures"])
    assert ask(f"/page?since={first['version']}").keys() == {"now"}
    maker = Fabricator(run.config(), 1)
    run.write_step(maker.step(7))
    second = ask(f"/page?since={first['version']}")
    assert second["version"] != first["version"]
    assert ["steps", "7"] in second["page"]["facts"]
    assert {"solve", "matrix", "ratings-students"} <= set(second["figures"])
    assert not {"config", "held-out-table", "gain"} & set(second["figures"])
    # A version of another server's: all is sent.
    shown = [name for section in second["page"]["sections"] for name in section["figures"]]
    assert set(ask("/page?since=another-5")["figures"]) == set(shown)


def test_what_is_followed_is_what_is_read_anew(run: RunStore) -> None:
    maker = Fabricator(run.config(), 2)

    def same(followed: FollowedRun) -> None:
        with followed.look():
            shown = to_json(run_page(RunData(followed)))
        # A task that is posed in two steps counts in each while a run is followed.
        assert shown == to_json(run_page(RunData(run)))

    with FollowedRun.open(run.directory, read_only=True) as followed:
        same(followed)
        for step in (7, 8):
            run.write_step(maker.step(step))
            same(followed)
        tasks = [suite_task(number) for number in range(12)]
        run.stage_evaluation(evaluation(maker, 12, 2, "beyond"), tasks, step=8)
        same(followed)
        before = followed.state()
        keys = {("base", "sampled"), ("base", "greedy")}
        run.publish_evaluation("beyond", keys, step=8)
        assert followed.state() != before
        same(followed)
        run.truncate_after(5)  # as a resumed run does
        same(followed)
        run.write_step(Fabricator(run.config(), 3).step(6))
        same(followed)


def test_between_two_looks_nothing_changes(run: RunStore) -> None:
    with FollowedRun.open(run.directory, read_only=True) as followed, followed.look():
        before = followed.load_outcomes()
        run.write_step(Fabricator(run.config(), 1).step(7))
        assert followed.load_outcomes() == before
        assert followed.last_step() == 6
    assert run.last_step() == 7


def test_rows_of_new_steps_alone_are_read(run: RunStore) -> None:
    steps: set[int] = set()

    class Counting(FollowedRun):
        def rows(self, sql: str, values: Any = ()) -> Any:
            rows = super().rows(sql, values)
            if (
                "FROM rollouts" in sql
                and "GROUP BY" in sql
                and rows
                and "step" in {*rows[0].keys()}
            ):
                steps.update(row["step"] for row in rows)
            return rows

    with Counting.open(run.directory, read_only=True) as followed:
        with followed.look():
            run_page(RunData(followed))
        assert steps == set(range(1, 7))
        run.write_step(Fabricator(run.config(), 1).step(7))
        steps.clear()
        with followed.look():
            run_page(RunData(followed))
    assert steps == {7}


@pytest.mark.slow
def test_of_a_long_run_a_step_redraws_the_first_screen_and_a_hundredth_all(tmp_path: Path) -> None:
    now = [0.0]
    with fabricate(
        tmp_path, 150, evaluated=False, tasks=3, steps_planned=400, rollout={"attempts": 1}
    ) as run:
        watched = WatchedRun(tmp_path, lambda: now[0])
        maker, version = Fabricator(run.config(), 1), ""

        def changed() -> set[str]:
            nonlocal version
            answer = json.loads(watched.changes(version, "[]"))
            version = answer.get("version", version)
            return set(answer.get("figures", {}))

        assert "ratings-students" in changed()  # the first screen alone
        assert {"solve", "matrix", "browse"} <= changed()
        assert changed() == set()
        run.write_step(maker.step(151))
        assert changed() <= {"signs", "ratings-students", "ratings-teachers", "latest", "alarms"}
        assert changed() == set()
        now[0] += 31  # it does not stay behind
        assert {"solve", "matrix"} <= changed()
        assert changed() == set()
        run.write_step(maker.step(152))
        assert "solve" not in changed()
        run.write_step(maker.step(153))
        assert "solve" in changed()
        watched.close()


def test_texts_with_filters(run: RunStore, ask: Ask) -> None:
    first = ask("/texts?verdict=wrong&step=3")
    assert first["texts"]
    assert {(text["shown"]["verdict"], text["step"]) for text in first["texts"]} == {("wrong", 3)}
    last = first["texts"][-1]["id"]
    more = ask(f"/texts?verdict=wrong&step=3&before={last}")["texts"]
    assert all(text["id"] < last for text in more)
    total = run.rows("SELECT count(*) FROM rollouts WHERE step = 3 AND verdict = 'wrong'")[0][0]
    assert first["complete"] == (total < 40)
    assert ask("/texts?text=no+such+words")["texts"] == []
    hostile = ask("/texts?kind=%27%20OR%201%3D1%20--")
    assert hostile == {"texts": [], "complete": True}
    for query in ("before=-5", "member=1.5", "step=" + "9" * 40):
        assert "is a whole number, not" in ask(f"/texts?{query}")["error"]
    for query in ("text=%00", "kind=%ff", "task=%ed%a0%80", "&&=&a=b=c;d", "verdict=%27"):
        assert ask(f"/texts?{query}")["complete"] in (True, False)
    for since in ("-1", "%00-" + "9" * 5000, "x-\u0663".encode("unicode_escape").decode()):
        assert "page" in ask(f"/page?since={since}")
    assert ask("/texts?step=x") == {"error": "step is a whole number, not 'x'"}


def test_a_run_that_is_not_there_yet(ask: Ask, tmp_path: Path) -> None:
    later = tmp_path / "later"
    assert "holds no run" in ask(f"/page?run={later}")["error"]
    fabricate(later, 1, evaluated=False).close()
    assert ["steps", "1"] in ask(f"/page?run={later}")["page"]["facts"]


def test_a_database_that_moves_and_one_of_another_schema(
    run: RunStore, ask: Ask, tmp_path: Path
) -> None:
    assert "page" in ask("/page")
    run.close()
    path, aside = tmp_path / "run" / "run.db", tmp_path / "aside.db"
    os.replace(path, aside)
    assert "holds no run" in ask("/page")["error"]
    path.write_bytes(b"half a database")
    broken = ask("/page")["error"]
    assert "run.db" in broken
    assert "\n" not in broken
    os.replace(aside, path)
    assert "page" in ask("/page")
    with RunStore.open(tmp_path / "run") as store:
        store.write_meta("schema_version", 99)
    fabricate(tmp_path / "other", 1, evaluated=False).close()
    with RunStore.open(tmp_path / "other") as store:
        store.write_meta("schema_version", 99)
    os.replace(tmp_path / "other" / "run.db", path)
    answer = ask("/page")
    assert "database schema 99" in answer["error"]
    assert "\n" not in answer["error"]


def test_who_is_answered(server: Server, ask: Ask) -> None:
    assert ask("/page?run=nowhere")["error"].startswith("no run 'nowhere' is watched here, but ")
    assert ask("/elsewhere") == {"status": 404, "error": "There is no '/elsewhere' here."}
    assert ask("/page", Host="evil.example")["status"] == 403
    for host in ("evil.example:8765", "127.0.0.1.evil.example", "127.0.0.1@evil.example", ""):
        assert ask("/page", Host=host)["status"] == 403
    for site in ("cross-site", "same-site"):  # a page of somebody else in the same browser
        assert ask("/page", **{"Sec-Fetch-Site": site})["status"] == 403
        assert ask("/texts?text=secret", **{"Sec-Fetch-Site": site})["status"] == 403
    assert "page" in ask("/page", **{"Sec-Fetch-Site": "same-origin"})
    assert ask("/page", Host="[")["status"] == 400
    for path in ("/../run.db", "/%2e%2e/run.db", "/page/../../etc/passwd", "/page%00"):
        assert ask(path)["status"] == 404
    assert "page" in ask("/page", Host="localhost:9999")  # a port that was forwarded
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/") as answer:
        page = answer.read().decode()
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    assert "connect-src 'self'" in page
    assert 'id="data">{"live":true}</script>' in page


def test_a_port_that_is_taken(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"port {server.port} is taken; .*--port"):
        Server([tmp_path], server.port)
    with pytest.raises(ConfigError, match="no port 70000"):
        Server([tmp_path], 70000)


def test_rows_that_cannot_be_shown_leave_the_page(
    run: RunStore, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    run.rows("UPDATE members SET roles = '[\"nobody\"]' WHERE id = 0")
    for _ in range(2):
        answer = ask("/page")
        assert answer["status"] == 500
        assert answer["error"].startswith("This run cannot be shown (")
    assert capsys.readouterr().err.count("Traceback") == 1  # where, and once
    run.rows("UPDATE members SET roles = '[\"teacher\"]' WHERE id = 0")
    assert "page" in ask("/page")


def test_a_browser_that_says_nothing_holds_nobody_up(run: RunStore, tmp_path: Path) -> None:
    class Hasty(Handler):
        timeout = 0.2

    with Server([tmp_path / "run"], 0) as server:
        server.RequestHandlerClass = Hasty
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        several = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(30)]
        several[0].sendall(b"GET / HT")
        address = f"http://127.0.0.1:{server.port}/page"
        with urllib.request.urlopen(address) as answer:
            assert b"version" in answer.read()
        for one in several:
            one.settimeout(20)
            assert one.recv(100) == b""  # let go
            one.close()
        server.shutdown()
        thread.join()


def test_who_watches_has_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert user_name() == "USER"
