"""A study: which configs run with which seeds, what is matched and measured.

Read from a TOML file with `load_study`, or made of plain configs with `study_of`.
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import Field, ValidationError

from redqueen.config import EvalConfig, Section
from redqueen.errors import ConfigError

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$", max_length=40)]


class EvaluationSection(Section):
    """What every run is measured on when it is trained."""

    suites: tuple[str, ...] = Field(("held-out",), min_length=1)
    """Names of suites; the first one decides the claims."""
    tasks: int = Field(300, ge=1)
    """Tasks of each suite."""
    samples: int = Field(2, ge=1)
    """Attempts at temperature 1 per task, besides a greedy one."""
    seed: int = EvalConfig().seed
    """Seed of the suites; training never uses it."""


class Entry(Section):
    """One variant of the comparison: a config file with changes."""

    name: Name
    """What it is called in tables; also the name of its runs' folder."""
    config: Path | None = None
    """A TOML file, relative to the study file; none: all defaults."""
    overrides: dict[str, Any] = Field(default_factory=dict)
    """Keys to change, nested or dotted: {"evolution.enabled" = false}."""
    steps: int | None = Field(None, ge=1)
    """Steps of its runs; none: as the config says."""
    evaluate: bool = True
    """Whether its runs are measured on the suites; a run for its clock alone is not."""
    alone: bool = False
    """Run one at a time after all others, entries in turn: nothing disturbs the clock."""


class View(Section):
    """Entries that are compared at matched work."""

    name: str
    """What it is called in tables."""
    match: Literal["adapter", "total"]
    """`adapter`: equal attempts for each student and equal proposals for each teacher (as in the
    paper); `total`: equal attempts and proposals summed over all members."""
    entries: tuple[str, ...] = Field(min_length=2)
    """Names of the entries."""


class Study(Section):
    """The whole study file."""

    name: str = "comparison"
    """Title of the page."""
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field((0, 1, 2, 3), min_length=1)
    """Run seeds."""
    threads: int = Field(1, ge=1)
    """CPU threads of each run, however many run side by side."""
    evaluation: EvaluationSection = EvaluationSection()
    entries: tuple[Entry, ...] = Field(min_length=1)
    """The variants."""
    views: tuple[View, ...] = ()
    """Which of them are matched, and how."""
    claims: tuple[dict[str, str], ...] = ()
    """What `python -m studies.claims` tests; kept with the study, not read here."""


def build_study(values: Mapping[str, Any], source: str = "study") -> Study:
    """Validate nested values.

    Raises:
        ConfigError: names each offending key, its value and what is expected.
    """
    try:
        return Study.model_validate(values)
    except ValidationError as error:
        lines = []
        for item in error.errors():
            key = ".".join(str(part) for part in item["loc"]) or "study"
            if item["type"] == "extra_forbidden":
                lines.append(f"{source}: unknown key {key!r}")
            elif item["type"] == "missing":
                lines.append(f"{source}: {key} is missing")
            else:
                lines.append(f"{source}: {key} = {item['input']!r}: {item['msg']}")
        raise ConfigError("\n".join(lines)) from None


def load_study(path: Path) -> Study:
    """Read a study file; paths in it are taken relative to its folder.

    Raises:
        ConfigError: the file is missing or not TOML, or a key or value is not valid.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"no study file at {path}; see configs/study/ for some") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} is not a readable TOML file: {error}") from None
    study = build_study(values, str(path))
    entries = [
        entry.model_copy(update={"config": path.parent / entry.config}) if entry.config else entry
        for entry in study.entries
    ]
    return study.model_copy(update={"entries": tuple(entries)})


def study_of(
    configs: Sequence[Path],
    seeds: Sequence[int],
    match: Literal["adapter", "total"] | None = "adapter",
    **evaluation: Any,
) -> Study:
    """A study of plain config files, each an entry named by its file.

    Args:
        configs: TOML files.
        seeds: run seeds.
        match: how the work of all is matched; None: not at all.
        evaluation: keys of the evaluation section that differ from the defaults.

    Raises:
        ConfigError: a value is not valid.
    """
    names = [path.stem for path in configs]
    view = {"name": f"matched per {match}", "match": match, "entries": names}
    return build_study(
        {
            "seeds": list(seeds),
            "evaluation": evaluation,
            "entries": [{"name": n, "config": str(p)} for n, p in zip(names, configs, strict=True)],
            "views": [view] if match and len(configs) > 1 else [],
        },
        "command line",
    )


def study_toml(study: Study) -> str:
    """`study` as TOML that `load_study` reads from any folder: its paths are absolute."""
    values = study.model_dump(mode="json", exclude_none=True)
    for entry in values["entries"]:
        if "config" in entry:
            entry["config"] = str(Path(entry["config"]).resolve())
    return tomli_w.dumps(values)
