"""The page of a run as plain data, and `report.html`: that page with its data inside."""

import os
from pathlib import Path

from redqueen.errors import InfrastructureError
from redqueen.files import write_text
from redqueen.formatting import duration
from redqueen.report.benchmarks import benchmark_figure
from redqueen.report.diversity import alarms, diversity
from redqueen.report.figures import (
    Code,
    Dots,
    Figure,
    Listing,
    Page,
    Row,
    Section,
    Table,
    Text,
    empty_figure,
    population_text,
)
from redqueen.report.health import Word
from redqueen.report.heldout import ALL, verdict_sentence
from redqueen.report.html import document, to_json
from redqueen.report.past import against_the_past
from redqueen.report.population import lineage, matrix, ratings
from redqueen.report.queries import RunData, described
from redqueen.report.results import MODE_NAMES, held_out_figures, panels
from redqueen.report.samples import browser, latest_task, sample_tasks, sample_texts
from redqueen.report.swarm import peers
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


def _facts(run: RunData) -> list[tuple[str, str]]:
    config, outcomes = run.config, run.outcomes
    proposed = sum(o.count for o in outcomes)
    valid = sum(o.count for o in outcomes if o.reason is None)
    tasks = ("valid tasks", f"{valid:,} of {proposed:,}")
    if run.is_stream:
        tasks = ("tasks", f"{len(run.features.steps_n):,} of the stream")
    seconds = sum(t.seconds for t in run.phases)
    done = run.last_step
    steps = f"{done:,}" if done >= config["steps"] else f"{done:,} of {config['steps']:,}"
    return [
        ("steps", steps),
        ("population", population_text(run.sizes)),
        ("base", f"{config['policy']['base']}, LoRA rank {config['policy']['rank']}"),
        tasks,
        ("attempts", f"{run.attempts:,}"),
        ("wall clock", duration(seconds)),
        ("seed", str(config["seed"])),
    ]


def verdict(run: RunData) -> str:
    """Return what came of the run, in a sentence."""
    if run.last_step == 0:
        return "This run has not finished a step yet."
    if not run.results:
        return "This run has not been measured on held-out tasks."
    return verdict_sentence(run.results[0])


LOOKS = {Word.FINE: "up", Word.WATCH: "odd", Word.BROKEN: "down", Word.UNKNOWN: ""}


def _signs(run: RunData) -> Figure:
    """The run's vital signs, each with a word and what to change."""
    rows = [
        Row(
            [
                Text(sign.title, sign.advice),
                Text(sign.text or "\u2013"),
                Text(sign.word.value, "", LOOKS[sign.word]),
            ]
        )
        for sign in run.signs
    ]
    caption = "The last third of the steps. The same table: redqueen status."
    table = Table([Text("sign"), Text("value"), Text("")], rows, "signs")
    return Figure("signs", "Vital signs", [table], caption)


def _gain(run: RunData) -> Figure:
    """The main suite over all kinds, beside the untrained base and the elicited base."""
    heading = "Held-out tasks"
    if not run.results:
        return empty_figure("gain", heading, f"Measure them with: redqueen eval {run.path}")
    result = run.results[0]
    chart = Dots(
        heading,
        [
            panel
            for mode in result.modes
            for panel in panels(result, mode, [ALL], MODE_NAMES.get(mode, mode))
        ],
        max(e.high for line in result.standings for e in line.rates.values()),
    )
    caption = f"Share of {result.suite} tasks solved, all kinds, with 95% intervals."
    return Figure("gain", heading, [chart], caption)


def _working(run: RunData) -> Section:
    """The first screen: signs, held-out results, ratings, one task."""
    both = [ratings(run, Role.TEACHER), ratings(run, Role.STUDENT)]
    figures = [_signs(run), _gain(run), *alarms(run), *both, latest_task(run)]
    return Section("working", "Is it working?", "", figures)


def _results(run: RunData) -> list[Section]:
    """A chapter for each suite; the first one is where the page's menu leads."""
    if not run.results:
        text = f"No held-out result yet. Measure one with: redqueen eval {run.path}"
        return [Section("results", "Results on held-out tasks", text, ())]
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
        figures = held_out_figures(result, run.described.difficulty)
        chapters.append(Section(name, f"Results on {result.suite} tasks", lead, figures))
    return chapters


def _benchmarks(run: RunData) -> list[Section]:
    lead = "Public benchmarks, graded as docs/benchmarks.md says."
    figures = [benchmark_figure(run.benchmarks)] if run.benchmarks else []
    return [Section("benchmarks", "Benchmarks", lead, figures)] if figures else []


def _setup(run: RunData) -> Section:
    sentences = [
        f"Run made {run.created} (UTC) by redqueen {run.version} in {run.directory}/.",
        "This page: redqueen report; while the run goes on: redqueen watch. The held-out figures: "
        "redqueen eval. The same run again: redqueen train config.toml with the configuration "
        "below.",
    ]
    if run.mismatch:
        sentences.insert(
            0,
            "Log-probabilities at sampling and at learning differed by at most "
            f"{max(run.mismatch):.2g} (mean absolute difference of a step; the run stops above "
            f"{run.config['learner']['max_logprob_mismatch']:g}).",
        )
    parts = [Listing(sentences), Code(config_toml(run.config), "The whole configuration")]
    return Section("setup", "Setup", "", [Figure("config", "", parts, full=True)])


def run_page(run: RunData, brief: bool = False) -> Page:
    """Return all of a run's page; `brief`: the first screen alone."""
    title, kicker = str(run.config["name"]), "Red Queen run report"
    if brief:
        return Page(kicker, title, verdict(run), _facts(run), CHAPTERS, [_working(run)])
    source = "the stream gave" if run.is_stream else "teachers wrote for"
    students = f"How the students did on the tasks that {source} them."
    teachers = "What the teachers asked, and what did not pass the checks."
    if run.is_stream:
        teachers = "Nobody teaches here: what the stream posed."
    answered = [solve_rates(run), *turn_rates(run), matrix(run)]
    asked = [complexity(run), rejections(run), coverage(run)]
    evolved = [*against_the_past(run), diversity(run), lineage(run)]
    texts = "A few real ones, then all of them. Attempts are the model's own text."
    sections = [
        _working(run),
        *_results(run),
        *_benchmarks(run),
        Section("students", "Students", students, answered),
        Section("teachers", "Teachers", teachers, asked),
        Section("evolution", "Evolution", "Who was replaced, and by whom.", evolved),
        *peers(run),
        Section("cost", "Time", "", [phase_times(run)]),
        Section("tasks", "Tasks and attempts", texts, [sample_tasks(run), browser(run)]),
        _setup(run),
    ]
    return Page(kicker, title, verdict(run), _facts(run), CHAPTERS, sections)


def render_page(reader: RunReader) -> str:
    """Return the page as one HTML file with its data inside."""
    texts = sample_texts(reader, described(reader))
    page = run_page(RunData(reader, texts))
    return document(page.title, to_json({"page": page}))


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
