"""Reading a mathematical answer out of a completion, and the plain text of an answer.

Where answers are looked for is as in Qwen2.5-Math's evaluation: the last box, then what follows
"answer is", then the last number.
"""

import re
from fractions import Fraction

_BOX = re.compile(r"\\(?:f?boxed)\s*(?=\{)")
_SAID = re.compile(r"answer\s*(?:is|:)\s*(?::\s*)?(.+)", re.IGNORECASE)
_NUMBER = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|-?\.\d+")
_GROUPED = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_DECIMAL = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d{1,3})?", re.IGNORECASE)
_POWER = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:\\times|\\cdot|\*)10\^\{?([+-]?\d{1,3})\}?")
_LOOK = re.compile(r"(?<!\\)\\(?:left|right|displaystyle|limits|!|,|;|:| |quad|mathrm\{~\})|[~\s]")
_FONT = re.compile(r"\\(?:text|mathrm|mathbf|mbox|textbf|mathit|operatorname)\s*\{([^{}]*)\}")
_LABEL = re.compile(r"\\text\s*\{[^{}\d]*[:=]\s*\}\s*")
_PLAIN_UNIT = re.compile(
    r"(?<=\d)\s+(?!(?:and|or|over|times|plus|minus|hundred|thousand|million|billion|dozen)$)[a-z]{3,}$",
    re.IGNORECASE,
)
_UNIT = re.compile(
    r"(?<=[\d)}])\s*(?:\\[,;:!~]\s*)?\\(?:text|mbox|mathrm)\s*\{[^{}]*\}(?:\^\{?\d\}?)?$"
)
_SMALL_FRACTION = re.compile(r"\\frac\s*(\d)\s*(\d)")
_MIXED = re.compile(r"(?<!\d)(\d+)\s+(\d+)\s*/\s*(\d+)$")
_BASE = re.compile(r"_\{(\d+)\}")
_TAIL = 20_000
"""Characters at the end of a completion that are looked at."""


def boxes(text: str) -> list[tuple[int, str]]:
    r"""Return place and content of every `\boxed{…}` that is closed, in order."""
    begun = {match.end(): match.start() for match in _BOX.finditer(text)}
    contents: list[tuple[int, str]] = []
    braces: list[int] = []
    for place, sign in enumerate(text):
        if sign not in "{}" or text[place - 1 : place] == "\\":
            continue
        if sign == "{":
            braces.append(place)
        elif braces and (brace := braces.pop()) in begun:
            contents.append((begun[brace], text[brace + 1 : place].strip()))
    return sorted(contents)


def read_answer(text: str, *, several: bool = False) -> str | None:
    """Return the answer that a completion ends with; None if there is nothing like one.

    `several`: the task has more than one answer, and boxes in the last paragraph that has any
    count together.
    """
    text = text.rpartition("</think>")[2][-_TAIL:]
    boxed = boxes(text)
    if boxed:
        if several:
            start = text.rfind("\n\n", 0, boxed[-1][0])
            return ", ".join(content for place, content in boxed if place > start)
        return boxed[-1][1]
    if _BOX.search(text):
        return None  # cut off inside: `\boxed{12` may have been about to say 120
    said = _SAID.findall(text)
    if said and (answer := _without_markup(said[-1])):
        return answer
    numbers = _NUMBER.findall(text)
    return numbers[-1] if numbers else None


def _without_markup(text: str) -> str:
    text = _PLAIN_UNIT.sub("", text.strip().rstrip(".").strip("*").strip().rstrip("."))
    return text.strip("$").removeprefix("\\(").removesuffix("\\)")


def tidy(text: str) -> str:
    """Return an answer without what never matters: spaces, sizes of brackets, fonts, units."""
    text = _LABEL.sub("", text.strip(), count=1).rstrip(".")
    text = text.replace("\\$", "").replace("$", "")
    text = text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac").replace("−", "-")
    text = text.replace("\\geqslant", "\\geq").replace("\\leqslant", "\\leq").replace("\\%", "%")
    text = re.sub(r"^–(?=[\d.\\])", "-", _BASE.sub(r"_\1", text))
    text = _SMALL_FRACTION.sub(r"\\frac{\1}{\2}", _FONT.sub(r"\1", _UNIT.sub("", text)))
    # Two numbers side by side are two, or a mixed one; without the space they would be another.
    text = re.sub(r"(?<=\d)\s+(?=\d)", ",", _MIXED.sub(r"\1\\frac{\2}{\3}", text.strip()))
    text = _LOOK.sub("", text)
    return text.replace(",", "") if _GROUPED.fullmatch(text) else text


def number(text: str) -> Fraction | None:
    r"""Return the number that a tidy answer is, `4.5e33` and `4.5\times10^{33}` included."""
    power = _POWER.fullmatch(text)
    if power:
        text = f"{power[1]}e{power[2]}"
    return Fraction(text) if _DECIMAL.fullmatch(text) and len(text) < 1000 else None


def near(reference: Fraction, answer: Fraction, tolerance: float, absolute: float) -> bool:
    """Return whether numbers differ by `tolerance` times the reference at most, or `absolute`."""
    allowed = max(Fraction(tolerance) * abs(reference), Fraction(absolute))
    return abs(reference - answer) <= allowed


def split_list(text: str) -> list[str]:
    """Return the parts of an answer between commas outside of brackets."""
    parts, depth, start = [], 0, 0
    for place, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth <= 0:
            parts.append(text[start:place])
            start = place + 1
    return [part.strip() for part in (*parts, text[start:])]
