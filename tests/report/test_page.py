"""The page: well-formed, self-contained, complete, true to the store, safe, and small."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from fabricate import Fabricator, evaluation, fabricate, suite_task

from redqueen.config import build_config
from redqueen.errors import ConfigError, InfrastructureError
from redqueen.report import render_page, summarize, write_report
from redqueen.report.diversity import alarm_lines
from redqueen.report.markup import bins
from redqueen.report.queries import choose_attempts, pick, read_run, stage_bounds
from redqueen.report.samples import clip
from redqueen.store import RunStore
from redqueen.types import StepRecord, Task, Verdict

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
EVIL = "<script>alert('x')</script>\"&]]>\x00\ud800</pre>"


def tree(page: str) -> ElementTree.Element:
    assert page.startswith("<!DOCTYPE html>\n")
    return ElementTree.fromstring(page.removeprefix("<!DOCTYPE html>\n"))


def by_id(root: ElementTree.Element) -> dict[str, ElementTree.Element]:
    found = [e for e in root.iter() if e.get("id")]
    ids = [e.get("id") or "" for e in found]
    assert len(ids) == len(set(ids))
    return dict(zip(ids, found, strict=True))


def plain(element: ElementTree.Element) -> str:
    return " ".join("".join(element.itertext()).split())


class Urls(HTMLParser):
    """Collects whatever a browser would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe", "object", "embed", "base", "form"):
            self.found.append(tag)
        for name, value in attrs:
            fetches = name in ("src", "href", "action", "data") and not (value or "").startswith(
                "#"
            )
            if fetches or name.startswith("on"):
                self.found.append(f"{name}={value}")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    with fabricate(tmp_path_factory.mktemp("page") / "run", 60) as store:
        yield store


@pytest.fixture(scope="module")
def page(run: RunStore) -> str:
    return render_page(run)


def test_complete_and_small(run: RunStore, page: str) -> None:
    found = by_id(tree(page))
    assert set(SECTIONS) | set(FIGURES) <= set(found)
    assert {"held-out-sampled", "held-out-greedy", "held-out-table", "bands"} <= set(found)
    for name in FIGURES:
        assert list(found[name].iter("{http://www.w3.org/2000/svg}svg")), name
        assert len(plain(next(found[name].iter("figcaption")))) > 20, name
    assert len(page.encode()) < 1_500_000
    links = [e.get("href") for e in tree(page).iter("a")]
    assert links == [f"#{name}" for name in SECTIONS]


def test_nothing_is_fetched_or_run(page: str) -> None:
    urls = Urls()
    urls.feed(page)
    assert urls.found == []
    style = re.search("<style>(.*?)</style>", page, re.S)
    assert style is not None
    assert not re.search(r"url\(|@import|https?:", style[1])
    assert "prefers-color-scheme: dark" in style[1]
    assert set(re.findall(r"https?://[^\s\"'<]+", page)) == {"http://www.w3.org/2000/svg"}


def test_the_same_run_gives_the_same_page(run: RunStore, page: str) -> None:
    assert render_page(run) == page


def test_figures_are_the_stores(run: RunStore, page: str) -> None:
    found = by_id(tree(page))
    result = summarize(run, "held-out")
    assert result is not None
    table = plain(found["held-out-table"])
    for line in result.standings:
        for e in line.rates.values():
            assert f"{100 * e.value:.1f}" in table
            assert f"{100 * e.low:.1f}–{100 * e.high:.1f}" in table
    cells = {(c.teacher, c.student): c for c in run.load_matrix()}
    matrix = plain(found["matrix"])
    for (teacher, student), cell in cells.items():
        sentence = (
            f"student #{student} on the tasks of teacher #{teacher}: {cell.correct} of "
            f"{cell.attempts} attempts correct"
        )
        assert sentence in matrix
        assert f"{100 * cell.correct / cell.attempts:.0f}%n={cell.attempts}" in matrix.replace(
            " ", ""
        )
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
        named = {
            e.text
            for e in found[f"ratings-{role}"].iter("{http://www.w3.org/2000/svg}text")
            if (e.text or "").startswith("#")
        }
        assert named == {
            f"#{m.id}" for m in run.load_members() if m.died is None and f"{m.roles[0]}s" == role
        }


def test_every_suite_has_its_chapter(tmp_path: Path) -> None:
    with fabricate(tmp_path / "run", 4, tasks=30) as store:
        maker, tasks = Fabricator(store.config(), 0), [suite_task(n) for n in range(30)]
        for suite, step in (("handwritten", 4), ("beyond", 2)):
            store.write_evaluation(evaluation(maker, 30, 2, suite), tasks, step=step)
        store.stage_evaluation(evaluation(maker, 30, 2, "later"), tasks, step=4)
        page = render_page(store)
    found = by_id(tree(page))
    for suite in ("beyond", "handwritten"):
        assert {f"{suite}-sampled", f"{suite}-greedy", f"{suite}-table"} <= set(found)
        chapter = plain(found[f"results-{suite}"])
        assert chapter.startswith(f"Results on {suite} tasks")
        assert f"of 30 {suite} tasks when sampled" in chapter
    assert "Measured after step 2" in plain(found["results-beyond"])
    assert "Measured after" not in plain(found["results-handwritten"])
    assert "later" not in page


def test_what_environments_declare_is_what_is_shown(page: str) -> None:
    found = by_id(tree(page))
    assert "Tasks kept from training." in plain(found["results"])
    assert "The program is not Python." in plain(found["rejections"])
    headings = [e.text for e in found["complexity"].iter("h4")]
    assert headings == ["Depth of the syntax tree", "Lines of code"]
    assert "expected output" in plain(found["tasks"])
    assert "arity" not in plain(found["tasks"]).split("code_f")[0].split("code_i")[0]


def test_a_run_of_environments_that_say_nothing(tmp_path: Path) -> None:
    with RunStore.create(tmp_path, build_config({"name": "bare"})) as store:
        maker = Fabricator(store.config(), 0)
        for step in (1, 2):
            store.write_step(maker.step(step))
        page = render_page(store)
    found = by_id(tree(page))
    assert set(SECTIONS) | set(FIGURES) <= set(found)
    assert "No valid task with measures" in plain(found["complexity"])
    assert "code_f" in plain(found["solve"])


def test_background_work_is_no_part_of_the_phases_sum(run: RunStore, page: str) -> None:
    text = plain(by_id(tree(page))["time"])
    total = sum(time.seconds for time in run.load_phases())
    assert f"{round(total) // 60} min {round(total) % 60} s for 60 steps" in text
    assert "At the same time as these phases, and not in their sum: verify 1 min 30 s." in text


def test_solve_rates_in_the_hover_texts(run: RunStore, page: str) -> None:
    solve = by_id(tree(page))["solve"]
    hovers = [e.text or "" for e in solve.iter("{http://www.w3.org/2000/svg}title")]
    counts = [c for c in run.load_solve_counts() if c.kind == "code_i" and 8 <= c.step <= 12]
    rate = sum(c.correct for c in counts) / sum(c.attempts for c in counts)
    (here, _) = [h for h in hovers if h.startswith("step 10\n")]  # the wide and the narrow one
    assert f"code_i: {100 * rate:.0f}%" in here


def test_diversity_and_alarms(run: RunStore, page: str, tmp_path: Path) -> None:
    found = by_id(tree(page))
    text = plain(found["diversity"])
    points = run.load_metrics("diversity/teacher/weights_mean")
    assert f"weights: teachers {points[0][1]:.2f} to {points[-1][1]:.2f}, students" in text
    assert "self-players" not in text
    assert alarm_lines(read_run(run)) == [
        "Alarm too_hard (hardly an attempt is correct): 4 steps, 7 to 9, 20."
    ]
    assert alarm_lines(read_run(run))[0] in plain(found["alarms"])
    with fabricate(tmp_path / "run", 3) as calm:
        assert alarm_lines(read_run(calm)) == []
        assert "alarms" not in by_id(tree(render_page(calm)))


def test_samples_of_each_stage(run: RunStore, page: str) -> None:
    tasks = by_id(tree(page))["tasks"]
    text = plain(tasks)
    assert "Early steps 1 to 6" in text
    assert "Middle steps 28 to 33" in text
    assert "Late steps 55 to 60" in text
    assert len(list(tasks.iter("article"))) == 6
    for article in tasks.iter("article"):
        verdicts = {
            e.get("class") for e in article.iter("b") if "verdict" in (e.get("class") or "")
        }
        assert len(verdicts) == 2


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
    found = by_id(tree(page))
    assert set(SECTIONS) | set(FIGURES) <= set(found)
    drawings = re.sub("<title>.*?</title>|<style>.*?</style>", "", page, flags=re.S)
    assert re.findall(r"\bnan\b|\binf\b", drawings) == []
    if options.get("evaluated") is False:
        assert "redqueen eval" in plain(found["results"])
    if options.get("valid_share") == 0.0:
        assert "No task was attempted" in plain(found["solve"])
        assert "No valid task" in plain(found["tasks"])
        assert "No student attempted" in plain(found["matrix"])
    if steps == 0:
        assert "has not finished a step" in plain(tree(page))


def test_long_runs_stay_small(tmp_path: Path) -> None:
    with fabricate(
        tmp_path / "run", 130, tasks=9, rollout={"attempts": 1}, evolution={"interval": 2}
    ) as run:
        page = render_page(run)
    assert len(page.encode()) < 1_500_000
    found = by_id(tree(page))
    bars = [e for e in found["time"].iter() if e.get("class") == "bar"]
    assert len({e.get("x") for e in bars}) <= 2 * 60
    assert "Shown: 60" in plain(found["lineage"])
    assert "with fewer attempts left out" in plain(found["matrix"])


def test_model_text_is_only_ever_text(tmp_path: Path) -> None:
    with fabricate(tmp_path / "run", 3, name=EVIL.replace("\ud800", ""), tasks=30) as store:
        record = hostile_record(store)
        store.write_step(record)
        page = render_page(store)
    assert "<script" not in page.lower()
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;" in page
    root = tree(page)
    assert not list(root.iter("script"))
    text = plain(root)
    shown = "<script>alert('x')</script>\"&]]>\\x00\\ud800</pre>"
    # The run's name, the program, the attempt, its answer, the rejection's reason, the kind.
    assert text.count(shown) >= 5
    urls = Urls()
    urls.feed(page)
    assert urls.found == []


def hostile_record(store: RunStore) -> StepRecord:
    """A step in which every text that a model or a domain wrote is hostile."""
    record = Fabricator(store.config(), 3).step(4)
    tasks = {
        p.outcome.id: replace(
            p.outcome, kind=EVIL.replace("\ud800", ""), payload={"program": EVIL, EVIL: [[EVIL]]}
        )
        for p in record.proposals
        if isinstance(p.outcome, Task)
    }

    def hostile(proposal):
        text = replace(proposal.completion, text=EVIL)
        if isinstance(proposal.outcome, Task):
            outcome = tasks[proposal.outcome.id]
        else:
            outcome = replace(proposal.outcome, reason=EVIL.replace("\ud800", ""))
        return replace(proposal, completion=text, outcome=outcome)

    return replace(
        record,
        members=(),
        events=(),
        proposals=tuple(map(hostile, record.proposals)),
        rollouts=tuple(
            replace(r, completion=replace(r.completion, text=EVIL), answer=EVIL)
            for r in record.rollouts
        ),
    )


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
        ("Early", 1, 10),
        ("Middle", 46, 55),
        ("Late", 91, 100),
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
