"""The page: self-contained, complete, true to the store, safe, and small."""

import re
from base64 import b64encode
from collections import Counter
from hashlib import sha256
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest
from drawn import figures, page_data, plain, sections, texts
from hostile import EVIL, EVIL_NAME, hostile_record
from made_up_run import Fabricator, evaluation, fabricate, suite_task

from redqueen.config import build_config
from redqueen.errors import ConfigError, InfrastructureError
from redqueen.report import render_page, summarize, write_report
from redqueen.report.diversity import alarm_lines
from redqueen.report.figures import bins, finite
from redqueen.report.population import Life, tree_order
from redqueen.report.queries import RunData, choose_attempts, pick, stage_bounds
from redqueen.report.samples import Filter, clip, find_texts
from redqueen.store import RunStore
from redqueen.types import Verdict

MIB = 2**20
PUBLISHED = {
    "plot.umd.min.js": "4358086467740777dd788d6b27a95cebdbaefdd50c730a3060117073bd7134cb",
    "d3.min.js": "f2094bbf6141b359722c4fe454eb6c4b0f0e42cc10cc7af921fc158fceb86539",
}

FIGURES = (
    "solve",
    "matrix",
    "complexity",
    "rejections",
    "coverage",
    "ratings-teachers",
    "ratings-students",
    "diversity",
    "lineage",
    "time",
)
SECTIONS = ("working", "results", "students", "teachers", "evolution", "cost", "tasks", "setup")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    with fabricate(tmp_path_factory.mktemp("page") / "run", 60) as store:
        yield store


@pytest.fixture(scope="module")
def page(run: RunStore) -> str:
    return render_page(run)


@pytest.mark.slow
def test_complete_and_small(page: str) -> None:
    data = page_data(page)
    found = figures(data)
    assert set(SECTIONS) <= set(sections(data))
    assert {"held-out-sampled", "held-out-greedy", "held-out-table", "bands"} <= set(found)
    for name in FIGURES:
        assert found[name]["parts"], name
        assert len(found[name]["caption"]) > 20, name
    assert len(page.encode()) <= MIB
    assert [name for name, _ in data["menu"]] == list(SECTIONS)


class Elements(HTMLParser):
    """Collects what a browser would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.fetched: list[str] = []
        self.policy = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags[tag] += 1
        self.fetched += [name for name in given if name in ("src", "href") or name[:2] == "on"]
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"] or ""


@pytest.mark.slow
def test_nothing_is_fetched_and_only_the_packages_scripts_run(page: str) -> None:
    elements = Elements()
    elements.feed(page)
    assert elements.fetched == []
    assert elements.tags["script"] == 5  # four that run, and the data
    assert set(elements.tags) == {
        "html", "head", "meta", "title", "style", "body", "noscript", "p", "main", "script"
    }  # fmt: skip
    rules = dict(rule.split(" ", 1) for rule in elements.policy.split("; "))
    assert rules["default-src"] == rules["connect-src"] == rules["base-uri"] == "'none'"
    assert "unsafe" not in elements.policy
    running = re.findall("<script>(.*?)</script>", page, re.S)
    digests = [b64encode(sha256(text.encode()).digest()).decode() for text in running]
    assert rules["script-src"].split() == [f"'sha256-{digest}'" for digest in digests]
    style = re.search("<style>(.*?)</style>", page, re.S)
    assert style is not None
    assert not re.search(r"url\(|@import|https?:", style[1])
    assert "prefers-color-scheme: dark" in style[1]


def test_the_library_is_the_published_one() -> None:
    """Byte for byte what npm has as @observablehq/plot 0.6.17 and d3 7.9.0."""
    for name, digest in PUBLISHED.items():
        content = files("redqueen.report").joinpath(f"assets/vendor/{name}").read_bytes()
        assert sha256(content).hexdigest() == digest
        assert b"</script" not in content


def test_the_same_run_gives_the_same_page(run: RunStore, page: str) -> None:
    assert render_page(run) == page


def test_figures_are_the_stores(run: RunStore, page: str) -> None:
    found = figures(page_data(page))
    result = summarize(run, "held-out")
    assert result is not None
    table = plain(found["held-out-table"])
    for line in result.standings:
        for e in line.rates.values():
            assert f"{100 * e.value:.1f}" in table
            assert f"{100 * e.low:.1f}–{100 * e.high:.1f}" in table
    cells = {(c.teacher, c.student): c for c in run.load_matrix()}
    matrix = plain(found["matrix"])
    (heat,) = found["matrix"]["parts"]
    rates = {c["hover"]: (c["rate"], c["n"]) for row in heat["cells"] for c in row if c}
    for (teacher, student), cell in cells.items():
        sentence = (
            f"student #{student} on the tasks of teacher #{teacher}: {cell.correct} of "
            f"{cell.attempts} attempts correct"
        )
        assert sentence in matrix
        (key,) = [hover for hover in rates if hover.startswith(sentence)]
        assert rates[key] == (cell.correct / cell.attempts, cell.attempts)
    lineage = plain(found["lineage"])
    for member in run.load_members():
        name = member.operator if member.parents else "founder"
        assert f"#{member.id} {name}" in lineage
    rejected: dict[str, int] = {}
    for outcome in run.load_outcomes():
        if outcome.reason:
            rejected[outcome.reason] = rejected.get(outcome.reason, 0) + outcome.count
    legend = plain(found["rejections"])
    assert all(f"{reason} {count}" in legend for reason, count in rejected.items())
    for role in ("teachers", "students"):
        (chart,) = found[f"ratings-{role}"]["parts"]
        assert {line["label"] for line in chart["series"]} - {None} == {
            f"#{m.id}" for m in run.load_members() if m.died is None and f"{m.roles[0]}s" == role
        }
        points = [(p.step, p.mu) for p in run.load_ratings() if p.member == 0]
        if role == "teachers":
            assert chart["series"][0]["points"] == [
                [s, pytest.approx(mu, 1e-4)] for s, mu in points
            ]


def test_every_suite_has_its_chapter(tmp_path: Path) -> None:
    with fabricate(tmp_path / "run", 4, tasks=30) as store:
        maker, tasks = Fabricator(store.config(), 0), [suite_task(n) for n in range(30)]
        for suite, step in (("handwritten", 4), ("beyond", 2)):
            store.write_evaluation(evaluation(maker, 30, 2, suite), tasks, step=step)
        store.stage_evaluation(evaluation(maker, 30, 2, "later"), tasks, step=4)
        page = render_page(store)
    found, chapters = figures(page_data(page)), sections(page_data(page))
    for suite in ("beyond", "handwritten"):
        assert {f"{suite}-sampled", f"{suite}-greedy", f"{suite}-table"} <= set(found)
        chapter = plain(chapters[f"results-{suite}"])
        assert f"Results on {suite} tasks" in chapter
        assert f"of 30 {suite} tasks when sampled" in chapter
    assert "Measured after step 2" in plain(chapters["results-beyond"])
    assert "Measured after" not in plain(chapters["results-handwritten"])
    assert all("later" not in heading["heading"] for heading in chapters.values())


def test_what_environments_declare_is_what_is_shown(page: str) -> None:
    found, chapters = figures(page_data(page)), sections(page_data(page))
    assert chapters["results"]["lead"] == "Tasks kept from training."
    words = found["rejections"]["words"]["items"]
    assert ["syntax", "The program is not Python.", "def f("] in words
    headings = [part["heading"] for part in found["complexity"]["parts"]]
    assert headings == ["Depth of the syntax tree", "Lines of code"]
    for part in found["samples"]["parts"]:
        for card in part["cards"]:
            titles = [title for title, _ in card["payload"]]
            if card["kind"] == "code_o":
                assert titles == ["program", "input", "expected output"]
            else:  # says nothing of itself: all of it is shown
                assert "arity" in titles


def test_a_run_of_environments_that_say_nothing(tmp_path: Path) -> None:
    with RunStore.create(tmp_path, build_config({"name": "bare"})) as store:
        maker = Fabricator(store.config(), 0)
        for step in (1, 2):
            store.write_step(maker.step(step))
        page = render_page(store)
    found = figures(page_data(page))
    assert set(FIGURES) <= set(found)
    assert "No valid task with measures" in plain(found["complexity"])
    assert "code_f" in plain(found["solve"])


def test_background_work_is_no_part_of_the_phases_sum(run: RunStore, page: str) -> None:
    text = plain(figures(page_data(page))["time"])
    total = sum(time.seconds for time in run.load_phases())
    assert f"{round(total) // 60} min {round(total) % 60} s for 60 steps" in text
    assert "At the same time as these phases, and not in their sum: verify 1 min 30 s." in text


def test_solve_rates_are_pooled_over_five_steps(run: RunStore, page: str) -> None:
    (chart,) = figures(page_data(page))["solve"]["parts"]
    counts = [c for c in run.load_solve_counts() if c.kind == "code_i" and 8 <= c.step <= 12]
    rate = sum(c.correct for c in counts) / sum(c.attempts for c in counts)
    (line,) = [one for one in chart["series"] if one["label"] == "code_i"]
    assert dict(map(tuple, line["points"]))[10] == pytest.approx(rate, rel=1e-4)


def test_diversity_and_alarms(run: RunStore, page: str, tmp_path: Path) -> None:
    found = figures(page_data(page))
    text = plain(found["diversity"])
    points = run.load_metrics("diversity/teacher/weights_mean")
    assert f"weights: teachers {points[0][1]:.2f} to {points[-1][1]:.2f}, students" in text
    assert "self-players" not in text
    assert alarm_lines(RunData(run)) == [
        "Alarm too_hard (hardly an attempt is correct): 4 steps, 7 to 9, 20."
    ]
    assert alarm_lines(RunData(run))[0] in plain(found["alarms"])
    with fabricate(tmp_path / "run", 3) as calm:
        assert alarm_lines(RunData(calm)) == []
        assert "alarms" not in figures(page_data(render_page(calm)))


def test_samples_of_each_stage(page: str) -> None:
    stages = figures(page_data(page))["samples"]["parts"]
    assert [(stage["heading"], stage["where"]) for stage in stages] == [
        ("Early", "steps 1 to 2"), ("Middle", "steps 30 to 31"), ("Late", "steps 59 to 60")
    ]  # fmt: skip
    for stage in stages:
        assert len(stage["cards"]) == 2
        for card in stage["cards"]:
            assert len({attempt["verdict"] for attempt in card["attempts"]}) == 2


def test_texts_are_found_by_what_they_are(run: RunStore) -> None:
    about = RunData(run).described
    everything = run.rows(
        "SELECT r.*, m.teacher FROM rollouts r JOIN matches m ON m.step = r.step "
        "AND m.idx = r.match ORDER BY r.id DESC"
    )

    def ids(chosen: Filter, most: int = 10**6) -> list[int]:
        return [text.id for text in find_texts(run, about, chosen, most)]

    assert ids(Filter()) == [row["id"] for row in everything]
    assert ids(Filter(), 7) == [row["id"] for row in everything[:7]]
    after = everything[6]["id"]
    assert ids(Filter(before=after), 3) == [row["id"] for row in everything[7:10]]
    expected = [
        row["id"] for row in everything
        if 2 in (row["student"], row["teacher"]) and row["kind"] == "code_i"
        and row["verdict"] == "wrong" and row["step"] == 9
    ]  # fmt: skip
    assert expected
    assert ids(Filter(member=2, kind="code_i", verdict="wrong", step=9)) == expected
    text = everything[50]["text"][:12]
    assert ids(Filter(text=text)) == [row["id"] for row in everything if text in row["text"]]
    task = everything[50]["task_id"]
    assert ids(Filter(task=task)) == [row["id"] for row in everything if row["task_id"] == task]
    proposals = run.rows("SELECT * FROM proposals WHERE reason IS NOT NULL ORDER BY id DESC")
    assert ids(Filter(verdict="rejected")) == [row["id"] for row in proposals]
    of_reason = [row["id"] for row in proposals if row["reason"] == "syntax"]
    assert ids(Filter(verdict="syntax")) == of_reason
    (first, *_) = find_texts(run, about, Filter(verdict="syntax", member=3))
    assert (first.teacher, first.student, first.shown.title) == (
        3,
        None,
        "rejected proposal: syntax",
    )


@pytest.mark.parametrize(
    ("steps", "options"),
    [
        (0, {"evaluated": False}),
        (1, {}),
        (2, {"evaluated": False}),
        (3, {"valid_share": 0.0, "tasks": 30}),
        (2, {"population": {"teachers": 1, "students": 1}, "evolution": {"enabled": False}}),
    ],
)
def test_short_and_odd_runs(tmp_path: Path, steps: int, options: dict) -> None:
    with fabricate(tmp_path / "run", steps, **options) as run:
        page = render_page(run)
    data = page_data(page)
    found, chapters = figures(data), sections(data)
    assert set(FIGURES) <= set(found)
    if options.get("evaluated") is False:
        assert "redqueen eval" in plain(chapters["results"])
    if options.get("valid_share") == 0.0:
        assert "No task was attempted" in plain(found["solve"])
        assert "No valid task" in plain(found["latest"])
        assert "No student attempted" in plain(found["matrix"])
    if steps == 0:
        assert "has not finished a step" in data["verdict"]


def test_long_runs_stay_small(tmp_path: Path) -> None:
    with fabricate(
        tmp_path / "run", 130, tasks=9, rollout={"attempts": 1}, evolution={"interval": 2}
    ) as run:
        page = render_page(run)
    assert len(page.encode()) <= MIB
    found = figures(page_data(page))
    (bars,) = found["time"]["parts"]
    assert len(bars["names"]) <= 60
    assert "Shown: 60" in plain(found["lineage"])
    assert "with fewer attempts left out" in plain(found["matrix"])


def test_model_text_is_only_ever_text(tmp_path: Path) -> None:
    with fabricate(tmp_path / "run", 3, name=EVIL_NAME, tasks=30) as store:
        record = hostile_record(store)
        store.write_step(record)
        page = render_page(store)
    elements = Elements()
    elements.feed(page)
    assert elements.tags["script"] == 5
    assert elements.fetched == []
    (inside,) = re.findall('id="data">(.*?)</script>', page, re.S)
    assert "<" not in inside
    # The program, the attempt, its answer, the rejection's reason, the kind: as they were written.
    shown = [text for text in texts(page_data(page)) if EVIL.replace("\ud800", "") in text]
    assert len(shown) >= 3
    assert any(EVIL_NAME in text for text in texts(page_data(page)))
    assert EVIL.replace("\ud800", "\\ud800") in list(texts(page_data(page)))


def test_write_report(tmp_path: Path) -> None:
    with fabricate(tmp_path / "run", 2) as store:  # while the run is being written
        path = write_report(tmp_path / "run")
        assert path == tmp_path / "run" / "report.html"
        assert path.read_text(encoding="utf-8") == render_page(store)
    assert write_report(tmp_path / "run", tmp_path / "other.html").exists()
    with pytest.raises(InfrastructureError, match="could not write"):
        write_report(tmp_path / "run", tmp_path / "missing" / "x.html")
    with pytest.raises(ConfigError, match="holds no run"):
        write_report(tmp_path)


def test_stages() -> None:
    assert stage_bounds([]) == []
    assert stage_bounds([1]) == [("Early", 1, 1)]
    assert stage_bounds([1, 2]) == [("Early", 1, 1), ("Late", 2, 2)]
    assert stage_bounds([1, 2, 3]) == [("Early", 1, 1), ("Middle", 2, 2), ("Late", 3, 3)]
    assert stage_bounds(list(range(1, 101))) == [
        ("Early", 1, 2),
        ("Middle", 50, 51),
        ("Late", 99, 100),
    ]


def test_picked_tasks_differ_in_kind_and_are_undecided(run: RunStore) -> None:
    outcomes = run.load_task_outcomes(1, 10)
    one, two = pick(outcomes)
    assert one.task.kind != two.task.kind
    best = min(abs(o.correct / o.attempts - 0.5) for o in outcomes if o.attempts)
    assert abs(one.correct / one.attempts - 0.5) == best
    assert pick([]) == []
    assert len(pick([outcomes[0]] * 1)) == 1


def test_chosen_attempts_show_both_sides(run: RunStore) -> None:
    outcome = pick(run.load_task_outcomes(1, 10))[0]
    attempts = run.load_attempts(outcome.task.id)
    first, second = choose_attempts(attempts)
    assert first.verdict is Verdict.CORRECT
    assert second.verdict is not Verdict.CORRECT
    wrong = [a for a in attempts if a.verdict is Verdict.WRONG]
    assert choose_attempts(wrong) == wrong[:2]
    assert choose_attempts([]) == []


def test_tree_order_is_depth_first_with_the_latest_child_nearest() -> None:
    def life(number: int, born: int, *parents: int) -> Life:
        return Life(number, born, None, parents, "", "", "")

    lives = [life(4, 9, 2, 1), life(3, 5, 0), life(2, 3, 0), life(1, 0), life(0, 0), life(5, 1, 99)]
    assert [one.id for one in tree_order(lives)] == [0, 3, 2, 4, 1, 5]
    assert tree_order([life(7, 1, 7)])[0].id == 7


def test_only_finite_numbers_are_drawn() -> None:
    nan = float("nan")
    assert finite([(1, 2.0), (2, nan), (3, float("inf")), (4, 1 / 3)]) == [[1, 2], [4, 0.33333]]
    assert finite([(1, 0.5, nan), (2, 0.1, 0.2)]) == [[2, 0.1, 0.2]]


def test_clip() -> None:
    assert clip("abc", 3) == "abc"
    assert clip("abcd" * 1000, 4) == "abcd\n… 3,996 more characters"


def test_bins() -> None:
    place = bins(list(range(1, 11)), 5)
    assert [place[s].name for s in (1, 2, 9, 10)] == [
        "steps 1 to 2",
        "steps 1 to 2",
        "steps 9 to 10",
        "steps 9 to 10",
    ]
    assert place[1].x == 1.5
    assert [b.name for b in bins([4, 5], 60).values()] == ["step 4", "step 5"]
    assert len({b.x for b in bins(list(range(1, 1000)), 60).values()}) <= 60
    assert bins([], 5) == {}
