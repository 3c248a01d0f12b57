"""`report.html`: the whole run on one self-contained page, from the store alone."""

import os
from importlib.resources import files
from pathlib import Path

from redqueen.errors import InfrastructureError
from redqueen.files import write_text
from redqueen.formatting import duration
from redqueen.report.benchmarks import benchmark_figure
from redqueen.report.charts import esc, tag
from redqueen.report.diversity import alarms, diversity
from redqueen.report.health import Word
from redqueen.report.heldout import verdict_sentence
from redqueen.report.markup import document, population_text, section
from redqueen.report.past import against_the_past
from redqueen.report.population import lineage, matrix, ratings
from redqueen.report.queries import RunData, read_run
from redqueen.report.results import held_out_figures
from redqueen.report.samples import sample_tasks
from redqueen.report.training import (
    complexity,
    coverage,
    phase_times,
    rejections,
    solve_rates,
    turn_rates,
)
from redqueen.store import RunReader, RunStore, config_toml
from redqueen.types import Role

CHAPTERS = (
    ("working", "Is it working?"),
    ("results", "Results"),
    ("students", "Students"),
    ("teachers", "Teachers"),
    ("evolution", "Evolution"),
    ("cost", "Time"),
    ("tasks", "Tasks"),
    ("setup", "Setup"),
)


def _facts(run: RunData) -> str:
    config, outcomes = run.config, run.outcomes
    proposed = sum(o.count for o in outcomes)
    valid = sum(o.count for o in outcomes if o.reason is None)
    tasks = ("valid tasks", f"{valid:,} of {proposed:,}")
    if run.is_stream:
        tasks = ("tasks", f"{len(run.features):,} of the stream")
    attempts = sum(c.attempts for c in run.solve_counts)
    seconds = sum(t.seconds for t in run.phases)
    done = run.last_step
    steps = f"{done:,}" if done >= config["steps"] else f"{done:,} of {config['steps']:,}"
    pairs = [
        ("steps", steps),
        ("population", population_text(run.sizes)),
        ("base", f"{config['policy']['base']}, LoRA rank {config['policy']['rank']}"),
        tasks,
        ("attempts", f"{attempts:,}"),
        ("wall clock", duration(seconds)),
        ("seed", str(config["seed"])),
    ]
    return tag("dl", *(tag("div", tag("dt", esc(k)), tag("dd", esc(v))) for k, v in pairs))


def _header(run: RunData) -> str:
    if run.last_step == 0:
        verdict = "This run has not finished a step yet."
    elif not run.results:
        verdict = "This run has not been measured on held-out tasks."
    else:
        verdict = verdict_sentence(run.results[0])
    return tag(
        "header",
        tag("p", "Red Queen run report", class_="kicker"),
        tag("h1", esc(run.config["name"])),
        tag("p", esc(verdict), class_="verdict-line"),
        tag("div", _facts(run), class_="facts"),
        tag("nav", *(tag("a", esc(name), href=f"#{key}") for key, name in CHAPTERS)),
        class_="top",
    )


WORD_CLASSES = {Word.FINE: "up", Word.WATCH: "odd", Word.BROKEN: "down", Word.UNKNOWN: None}


def _working(run: RunData) -> str:
    """The run's vital signs, each with a word and what to change."""
    head = [tag("th", name, scope="col") for name in ("", "value", "", "what to change")]
    rows = [
        tag(
            "tr",
            tag("th", esc(sign.title), scope="row"),
            tag("td", esc(sign.text or "\u2013")),
            tag("td", esc(sign.word.value), class_=WORD_CLASSES[sign.word]),
            tag("td", esc(sign.advice), class_="words"),
        )
        for sign in run.signs
    ]
    body = tag("table", tag("thead", tag("tr", *head)), tag("tbody", *rows))
    lead = "The last third of the steps. The same table: redqueen status."
    return section("working", "Is it working?", lead, tag("div", body, class_="full scroll signs"))


def _results(run: RunData) -> str:
    """A chapter for each suite; the first one is where the page's menu leads."""
    if not run.results:
        text = f"No held-out result yet. Measure one with: redqueen eval {run.path}"
        return section("results", "Results on held-out tasks", text)
    chapters = []
    for number, result in enumerate(run.results):
        lead = run.described.suites.get(result.suite, "")
        if number:
            lead = f"{lead} {verdict_sentence(result)}".strip()
        if result.step is not None and result.step < run.last_step:
            lead += (
                f" Measured after step {result.step}; the run has gone on to step {run.last_step}."
            )
        name = f"results-{result.suite}" if number else "results"
        heading = f"Results on {result.suite} tasks"
        chapters.append(
            section(name, heading, lead, *held_out_figures(result, run.described.difficulty))
        )
    return "".join(chapters)


def _benchmarks(run: RunData) -> str:
    if not run.benchmarks:
        return ""
    lead = "Public benchmarks, graded as docs/benchmarks.md says."
    return section("benchmarks", "Benchmarks", lead, benchmark_figure(run.benchmarks))


def _health(run: RunData) -> str:
    if not run.mismatch:
        return ""
    text = (
        "Log-probabilities at sampling and at learning differed by at most "
        f"{max(run.mismatch):.2g} (mean absolute difference of a step; the run stops above "
        f"{run.config['learner']['max_logprob_mismatch']:g})."
    )
    return tag("p", esc(text))


def _setup(run: RunData) -> str:
    parts = [
        _health(run),
        tag(
            "p", esc(f"Run made {run.created} (UTC) by redqueen {run.version} in {run.directory}/.")
        ),
        tag(
            "details",
            tag("summary", "The whole configuration"),
            tag("pre", esc(config_toml(run.config))),
        ),
        tag(
            "p",
            "This page: ",
            tag("code", "redqueen report"),
            ". The held-out figures: ",
            tag("code", "redqueen eval"),
            ". The same run again: ",
            tag("code", "redqueen train config.toml"),
            " with the configuration above.",
        ),
    ]
    return section("setup", "Setup", "", tag("div", *parts, class_="full setup"))


def render_page(reader: RunReader) -> str:
    """The page as HTML that is also well-formed XML."""
    run = read_run(reader)
    style = files("redqueen.report").joinpath("assets/report.css").read_text(encoding="utf-8")
    stream = run.is_stream
    source = "the stream gave" if stream else "teachers wrote for"
    students = f"How the students did on the tasks that {source} them."
    teachers = "What the teachers asked, and what did not pass the checks."
    if stream:
        teachers = "Nobody teaches here: what the stream posed."
    evolution = "Who rose, who was replaced, and by whom."
    both = [ratings(run, Role.TEACHER), ratings(run, Role.STUDENT)]
    body = tag(
        "main",
        _header(run),
        _working(run),
        _results(run),
        _benchmarks(run),
        section("students", "Students", students, solve_rates(run), turn_rates(run), matrix(run)),
        section(
            "teachers",
            "Teachers",
            teachers,
            complexity(run),
            rejections(run),
            coverage(run),
        ),
        section(
            "evolution",
            "Evolution",
            evolution,
            *both,
            against_the_past(run),
            alarms(run),
            diversity(run),
            lineage(run),
        ),
        section("cost", "Time", "", phase_times(run)),
        section(
            "tasks",
            "Tasks and attempts",
            "A few real ones. Attempts are the model's own text.",
            tag("div", sample_tasks(run), class_="full"),
        ),
        _setup(run),
    )
    return document(run.config["name"], style, body)


def write_report(
    directory: str | os.PathLike[str], target: str | os.PathLike[str] | None = None
) -> Path:
    """Write `report.html` for the run in `directory` (beside its database, or at `target`).

    Works while the run is going on.

    Raises:
        ConfigError: there is no run, or not one of this version.
        InfrastructureError: the database could not be read or the page not written.
    """
    path = Path(target) if target is not None else Path(directory) / "report.html"
    with RunStore.open(directory, read_only=True) as run:
        page = render_page(run)
    try:
        write_text(path, page)
    except OSError as error:
        raise InfrastructureError(f"could not write {path}: {error.strerror or error}") from error
    return path
