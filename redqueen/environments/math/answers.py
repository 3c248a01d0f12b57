"""The plain text of a mathematical answer, and the number that it is."""

import re
import unicodedata
from fractions import Fraction

LONGEST = 2000
"""Characters of an answer that is made tidy."""

_GROUPED = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_DECIMAL = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d{1,3})?", re.IGNORECASE)
_POWER = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:\\times|\\cdot|\*)10\^\{?([+-]?\d{1,3})\}?")
_PERIODIC = re.compile(
    r"([+-]?\d*)\.(?:(\d*)\\(?:overline|bar|dot)\{(\d{1,20})\}"
    r"|(\d*?)(\d{1,6}?)(?:\5){2,}\\[lc]?dots)(%?)"
)
_LONGEST_PERIODIC = 100
r"""`0.1\overline{6}`, and `0.1666\ldots` if the period stands there three times."""
_SIZES = re.compile(
    r"(?<!\\)\\(?:left|right|displaystyle|limits|quad|[bB]igg?[lr]?|bf|rm|it|large|Large|huge|Huge)"
    r"(?![a-zA-Z])|(?<!\\)\\(?:!|,|;|:| |mathrm\{~\})|\\\\$|^\\\\|~"
    r"|\\(?:text)?color\{\w+\}"
)
_FONT = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf|tt)|mbox|operatorname|boldsymbol|bm|emph|"
    r"underline)\s*\{([^{}]*)\}"
)
_LABEL = re.compile(r"\\text\s*\{[^{}\d]*[:=]\s*\}\s*")
_CHOICE = re.compile(
    r"^(?:\\(?:text|textbf|mathrm|mathbf)\s*\{\s*)?(?:\([A-E]\)|[A-E][.)](?=[\s}]))\s*\}?"
    r"(?:\\[ ,]|[~\s]|\\quad)*(?=[-\d.$\\])"
)
"""The letter of a choice that stands before its number."""
_SAYS = re.compile(
    r"^(?:the\s+)?(?:final\s+)?answer\s*(?:is\b|:|=)\s*:?\s*"
    r"|^(?:approximately|about|roughly)\s+(?=[-\d.$\\])",
    re.IGNORECASE,
)
_SPACE = r"(?:\\[ ,;:!~]|[\s~])*"
_NO_UNIT = r"(?![^{}]*(?:(?<!\^)\d|\b(?:or|and|to|not|times|plus|minus|over)\b))"
_UNIT = re.compile(
    rf"(?<=[\d)}}]){_SPACE}(?:\\(?:text|textrm|mbox|mathrm)\s*\{{{_NO_UNIT}[^{{}}]*\}}"
    r"|\\frac\s*\{\\(?:text|mathrm)\{[a-z ]+\}\}\{\\(?:text|mathrm)\{[a-z ]+\}\})(?:\^\{?\d\}?)?$"
)
_PLAIN_UNIT = re.compile(
    r"(?<=[\d)}])(?:\\[ ,;]|[\s~])+(?!(?:times|plus|minus|over)\b)(?:(?:square|cubic)\s+)?"
    r"(?:[a-z]{4,}|[mcdk]m|[mk]?g|ml|lbs?|oz|ft|yd|hrs?|min|sec|mph|[ap]m|k?m/h|m/s)"
    r"(?:\s+per\s+[a-z]+|/[a-z]+)?(?:\^\{?\d\}?)?$",
    re.IGNORECASE,
)
_DEGREES = re.compile(
    rf"(?<=[\d)}}])\s*\^?\s*\{{?\s*\\(?:circ|degree)\s*\}}?{_SPACE}"
    r"(?:\\(?:text|mathrm|mbox)\s*\{\s*[CFK]\s*\}|[CFK])?$"
)
_PERCENT = re.compile(rf"{_SPACE}(?:\\text\s*\{{\s*per\s?cent\s*\}}|per\s?cent)$")
_CURRENCY = re.compile(
    r"\\\$|[$€£¥]|^(?:\\text\s*\{\s*)?(?:USD?|EUR|GBP|Rs\.?)\s*\}?(?=[\s\d\\$])|\\text\s*\{\s*\}"
)
_SCALE = re.compile(
    rf"(?<=[\d)}}]){_SPACE}(?:\\(?:text|mbox|mathrm)\s*\{{\s*)?"
    r"(hundred|thousand|million|billion|trillion|dozen)(?:\s+[a-z]+)*\s*\}?$",
    re.IGNORECASE,
)
_SCALES = {
    "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12,
    "dozen": 12,
}  # fmt: skip
_JOINED = re.compile(
    r",?\s*\\text\s*\{\s*(and|or)\s*\}\s*|,?\s+(and|or)\s+|\s*(;)\s*|\s*(\\vee)(?![a-z])"
)
_SMALL_FRACTION = re.compile(r"\\frac\s*(\d)\s*(\d)")
_MIXED = re.compile(r"(?<!\d)(\d+)\s+(\d+)\s*/\s*(\d+)$")
_BASE = re.compile(r"_\{(\d+)\}")
_SYMBOLS = str.maketrans({
    **{chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys("−‐‑", "-"), "π": "{\\pi}", "∞": "\\infty ", "×": "\\times ", "·": "\\cdot ",
    "⋅": "\\cdot ", "÷": "\\div ", "∕": "/", "≤": "\\leq ", "≥": "\\geq ", "≠": "\\neq ",
    "≈": "\\approx ", "∪": "\\cup ", "∩": "\\cap ", "∈": "\\in ", "±": "\\pm ", "°": "^\\circ",
    "∅": "\\emptyset ", "…": "\\ldots", "\u200b": "", "\ufeff": "", "\xa0": " ", "\u202f": " ",
})  # fmt: skip
"""Signs as people type them -> LaTeX."""
_ROOT = re.compile(r"√\s*(?:\(([^()]*)\)|(\d+|[a-z]))")
_RAISED = re.compile(r"[⁻⁺]?[⁰¹²³⁴-⁹]+")
_PART = re.compile(r"[½⅓⅔¼¾⅕-⅞]")


def _typed(text: str) -> str:
    """Return a text with LaTeX for the signs that people type."""
    text = _RAISED.sub(lambda m: f"^{{{unicodedata.normalize('NFKC', m[0])}}}", text)
    text = _PART.sub(_fraction, text)
    text = _ROOT.sub(lambda m: rf"\sqrt{{{m[1] or m[2]}}}", text.translate(_SYMBOLS))
    return re.sub(r"\.\.\.$", r"\\ldots", text.strip())


def _fraction(match: re.Match[str]) -> str:
    over, under = unicodedata.normalize("NFKC", match[0]).split("\N{FRACTION SLASH}")
    return rf"\frac{{{over}}}{{{under}}}"


def _in_ones(text: str) -> str:
    """Return `42 million` as a number."""
    scale = _SCALE.search(text)
    if scale is None:
        return text
    value, factor = text[: scale.start()].replace(",", "").strip(), _SCALES[scale[1].lower()]
    if not _DECIMAL.fullmatch(value):
        return rf"{value}\times{factor}"
    return _latex(Fraction(value) * factor)


def tidy(text: str) -> str:
    """Return an answer without what never matters: spaces, sizes of brackets, fonts, units; with
    LaTeX for typed signs, `,` between what `and` joins, and `\\lor` for `or`."""
    if len(text) > LONGEST:
        return text.strip()
    text = _typed(re.sub(r"\s+", " ", text)).strip('`*" ').rstrip(".,")
    text = _CHOICE.sub("", _LABEL.sub("", text, count=1))
    text = _CURRENCY.sub("", text).strip()
    text = text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")
    text = text.replace("\\geqslant", "\\geq").replace("\\leqslant", "\\leq").replace("\\%", "%")
    text = re.sub(r"^–(?=[\d.\\])", "-", _BASE.sub(r"_\1", text))
    text = re.sub(r"^\((\w+)\)_(\d+)$", r"\1_\2", text)
    text = _PERCENT.sub("%", text)
    text = _in_ones(text)
    text = _UNIT.sub("", _DEGREES.sub("", _PLAIN_UNIT.sub("", text)))
    text = _JOINED.sub(lambda m: " \\lor " if m[1] == "or" or m[2] == "or" or m[4] else ", ", text)
    text = _SMALL_FRACTION.sub(r"\\frac{\1}{\2}", _FONT.sub(r"\1", text))
    text = _SAYS.sub("", text.strip())
    # Two numbers side by side are two, or a mixed one; without the space they would be another.
    text = re.sub(r"(?<=\d)\s+(?=\d)", ",", _MIXED.sub(r"\1\\frac{\2}{\3}", text.strip()))
    text = _without_spaces(re.sub(r"^\{([^{}\\]*)\}$", r"\1", _SIZES.sub("", text).strip()))
    if len(text) < _LONGEST_PERIODIC and (periodic := _PERIODIC.fullmatch(text)):
        return _sum_of_period(periodic)
    return text.replace(",", "") if _GROUPED.fullmatch(text) else text


def _sum_of_period(match: re.Match[str]) -> str:
    """Return the fraction that a periodic decimal is."""
    sign = "-" if match[1].startswith("-") else ""
    first, period = match[2] or match[4] or "", match[3] or match[5]
    shift = 10 ** len(first)
    value = Fraction(int(match[1].lstrip("+-") or 0)) + Fraction(int(first or 0), shift)
    value += Fraction(int(period), shift * (10 ** len(period) - 1))
    return f"{sign}{_latex(value)}{match[6]}"


def _latex(value: Fraction) -> str:
    whole = value.denominator == 1
    return str(value) if whole else rf"\frac{{{value.numerator}}}{{{value.denominator}}}"


def _without_spaces(text: str) -> str:
    """Return a text without spaces, but for those that end a command or an index."""
    text = re.sub(r"_(\w)\s+(?=\d)", r"_{\1}", text)
    text = re.sub(r"(\\[A-Za-z]+)\s+(?=[A-Za-z])", "\\1\0", text)
    return re.sub(r"\s", "", text).replace("\0", " ")


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
