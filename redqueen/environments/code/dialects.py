"""What the code environment speaks to which base: a style, and a language to generate tasks in."""

from dataclasses import dataclass

from redqueen.environments.code.instruct import INSTRUCT
from redqueen.environments.code.language import Language
from redqueen.environments.code.small_python import SmallPython
from redqueen.environments.code.styles import COMPACT, Style
from redqueen.environments.code.traced.language import TracedPython
from redqueen.environments.code.traced.prompts import TRACED
from redqueen.errors import ConfigError

STYLES: dict[str, Style] = {"compact": COMPACT, "traced": TRACED, "instruct": INSTRUCT}
"""By the name that the key `style` takes."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How tasks are put to a base, and the language of generated tasks."""

    style: str
    language: Language


DIALECTS: dict[str, Dialect] = {
    "seedling": Dialect("compact", SmallPython()),
    "seedling2": Dialect("traced", TracedPython()),
    "chat": Dialect("instruct", SmallPython()),
}
"""By what a base speaks (`Services.dialect`)."""


def dialect_for(name: str, style: str) -> tuple[Style, Language]:
    """Return the style and the language for a base; `style` other than `auto` overrides the first.

    Raises:
        ConfigError: nothing is registered for what the base speaks.
    """
    if name not in DIALECTS:
        raise ConfigError(
            f"the code environment has no style for {name!r}; it has: {', '.join(DIALECTS)}"
        )
    dialect = DIALECTS[name]
    return STYLES[dialect.style if style == "auto" else style], dialect.language
