"""What a sentence of a reply states: `So f(2) returns **4**.`, `\\boxed{4}`, `The input is 3`.

A value that is denied, or offered beside another, is not stated.
"""

import itertools
import re
from collections.abc import Iterator

from redqueen.environments.code.reading import read_arguments, read_value

_ENDS = 8
"""Places that are tried as the end of a call."""
_LINE_CHARS = 2000
"""What is looked at of a line: its end, for the value that it states; its begin, for calls."""
_PLACES = 16
"""Places in a line after which a value may stand."""
_UNWRAPPED = 6
"""Wrappers that are taken off one after another."""
_TYPES = "string|list|tuple|integer|int|number|value|set|dictionary|dict|boolean|bool|float"
_WRAPPERS = [
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"\$+([^$]+)\$+", r"\\\((.+)\\\)", r"\\\[(.+)\\\]",
        r"\\(?:boxed|fbox|text|texttt|mathrm)\s*\{(.*)\}",
        r"`+([^`]+)`+", r"\*+([^*]+)\*+", r"(.*[^.])[.;]", r"(.*\S)\s*[✅✓✔]\ufe0f?",
        r"[-*•]\s+(\D.*)", r">>>\s*(.+)",
        rf"(?i:the\s+)?(?i:{_TYPES})\s+(.+)", rf"(.*\S)\s+\((?:an?\s+)?(?:{_TYPES}|str)\)",
        r"<(?:code|b|strong)>(.+)</(?:code|b|strong)>",
    )
]  # fmt: skip
_TYPED = {'"': str.maketrans("“”", '""'), "'": str.maketrans("‘’", "''")}
_MINUS = str.maketrans({
    "−": "-", "–": "-", **{chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
})  # fmt: skip
_ASSIGNED = re.compile(r"(?:^|\b(?!or\b)[A-Za-z]\w+,?\s+)([a-z_]\w*) *$")
_SPAN = re.compile(r"`+([^`\n]+)`+|(?<![\w*])\*\*([^*\n]+)\*\*(?![\w*])|\\boxed\{(.*)\}")
_STATED = re.compile(
    r"(?:\b(?:is|are|be|returns?|returned|outputs?|input|answer|result|value|equals?|get)\b"
    r"|(?<=\bit)['’]s\b|(?<!lambda)[:→]|(?<![=!<>:])={1,2}|->|=>)(?![=>])[ \t:]*"
    rf"(?:(?:therefore|thus|then|just|simply|also|now|the|an?(?=\s+(?:{_TYPES})\b)|{_TYPES})\s+)*"
)
_DENIED = re.compile(
    r"(?:\bnot|n't|\bnever|\bcannot|\brather than|\binstead of)"
    r"(?:\s+(?:be|return|equal|give|an?|the))*[\s`*]*$"
)
_DENIED_AFTER = re.compile(
    r"[`*\s]*(?:(?:does|do|would|will|is|are|did|can)(?:n['’]t|\s+not|not)\b|fails?\b)"
)
_CONTRAST = re.compile(r"[`*]*,?\s+(?:not|because|since|rather than|instead of)\s")
_AND = re.compile(r"\s*,?\s+and\s+(?=`?[a-z_]\w*\s*=(?!=))")
"""What joins assignments in a sentence."""
_LISTED = re.compile(r"[\s`*]*(?:,|/|;|\band\b|&)[\s`*]*(?:and\b)?[\s`*]*")
_INPUT = re.compile(
    r"(?i:\b(?:inputs?|arguments?|parameters?|answer|solution)\b)"
    r"(?:(?!\b(?:outputs?|values?|results?|returns?|gives?)\b)[^.])*$"
)
"""The begin of a line that goes on with the input of a call."""
_COMMENTED = re.compile(
    r"print\(\w+\)\s*#\s*(?i:outputs?|returns?|prints?|result|->|=>)?\s*:?\s*(.+)"
)
_VALUE_OF_CALL = re.compile(
    r"\)?\s*(?:\n|#+|->|=>|→|={1,2}(?!=)|:|(?:returns?|gives|outputs?|prints|is)\b)\s*"
    r"(?:(?i:outputs?|returns?|result)\b)?\s*[:=]?\s*"
)


def reads(kind: str, text: str) -> bool:
    """Return whether a text is an answer to a code_o or a code_i task, and nothing else."""
    return read_value(text)[0] if kind == "code_o" else read_arguments(text) is not None


def unwrapped(kind: str, text: str) -> str | None:
    """Return an answer without what wraps it: LaTeX, code spans, a full stop, typographic quotes,
    a prompt; or the call with the value that follows it. None if no answer is in it."""
    text = text.strip()
    for _ in range(_UNWRAPPED):
        for form in (text, _ascii(text), _call_with_value(text)):
            if form is not None and reads(kind, form):
                return form
        inner = next((m[1].strip() for w in _WRAPPERS if (m := w.fullmatch(text))), "")
        if not inner:
            return None
        text = inner.replace("\\{", "{").replace("\\}", "}")
    return None


def _ascii(text: str) -> str:
    """Return a text with plain quotes and minus signs for typographic ones that cannot be meant."""
    if "'" not in text and '"' not in text and not any(sign in text for sign in "“”‘’"):
        return text.translate(_MINUS)
    for plain, table in _TYPED.items():
        text = text if plain in text else text.translate(table)
    return text


def _call_with_value(text: str) -> str | None:
    """Return `f(2) == 4` for `>>> f(2)`, a new line and `4`, and for `f(2)  # 4` and the like."""
    text = text.removeprefix(">>>").strip().removeprefix("print(")
    call = next(calls_in_prose(text.partition("\n")[0]), None)
    if call is None or not text.startswith(call):
        return None
    match = _VALUE_OF_CALL.match(text, len(call))
    return f"{call} == {text[match.end() :]}" if match else None


def with_comment(line: str) -> str | None:
    """Return the value in the comment after a printed call or name: `print(x)  # Output: 4`."""
    match = _COMMENTED.fullmatch(line.strip())
    return unwrapped("code_o", _call_with_value(line) or (match[1] if match else ""))


def calls_in_prose(text: str) -> Iterator[str]:
    """Yield the calls of `f` with readable arguments that a text mentions, each on one line."""
    for line in text.split("\n"):
        yield from (call for _, call in _calls(line[:_LINE_CHARS]))


def _calls(line: str) -> Iterator[tuple[int, str]]:
    """Yield places and texts of the calls in a line."""
    place = 0
    while match := re.compile(r"\bf\(").search(line, place):
        place = match.end()
        end = place
        for _ in range(_ENDS):
            end = line.find(")", end) + 1
            if not end:
                break
            if read_arguments(line[match.start() : end]) is not None:
                yield match.start(), line[match.start() : end]
                place = end
                break


def stated(kind: str, line: str) -> str | None:
    """Return the answer that a line states: itself, the call or code span in it, or what follows
    `is`, `:` and the like up to its end. None if it states none, or offers several."""
    line = line[-_LINE_CHARS:]
    if kind == "code_i":
        line = _AND.sub(", ", line)
    whole = unwrapped(kind, line)
    if whole is not None:
        return whole
    marked = [(m.start(), m.end(), next(filter(None, m.groups()))) for m in _SPAN.finditer(line)][
        -_PLACES:
    ]
    if kind == "code_i":
        calls = [(at, at + len(call), call) for at, call in _calls(line)]
        if _are_listed(line, calls):
            return None
        marked = calls or [item for item in marked if _gives_input(line[: item[0]], item[2])]
    marked = [item for item in marked if reads(kind, item[2].strip())]
    marked = [item for item in marked if not _DENIED.search(line[: item[0]])]
    marked = [item for item in marked if not _DENIED_AFTER.match(line[item[1] :])]
    if any(_is_choice(line[:start], line[end:]) for start, end, _ in marked):
        return None
    if marked:
        start, _, text = marked[-1]
        return _with_call(kind, line[:start], text.strip())
    for match in list(_STATED.finditer(line))[-_PLACES:]:
        head, tail = line[: match.start()], line[match.end() :].strip().strip("*`")
        if match[0][0] == "=" and kind == "code_o" and reads(kind, head.strip()):
            continue  # `5 == 4` gives no value
        text = unwrapped(kind, tail) or unwrapped(kind, _CONTRAST.split(tail, 1)[0]) or ""
        if text and not _DENIED.search(line[: match.end()]) and not _DENIED.search(head):
            if kind == "code_i" and match[0][0] == "=" and (name := _ASSIGNED.search(head)):
                text = f"{name[1]} = {text}"
            if kind == "code_o" or _gives_input(line[: match.end()], text):
                return _with_call(kind, head, text)
    return None


def _gives_input(head: str, text: str) -> bool:
    """Whether what stands after `head` is an input, and not a value: values read as inputs too."""
    return "=" in text or _INPUT.search(head) is not None


def _are_listed(line: str, calls: list[tuple[int, int, str]]) -> bool:
    """Whether different calls stand beside each other, joined by commas or `and` alone."""
    pairs = itertools.pairwise(calls)
    return any(a[2] != b[2] and _LISTED.fullmatch(line[a[1] : b[0]]) for a, b in pairs)


def _is_choice(head: str, tail: str) -> bool:
    return bool(re.search(r"\bor[\s`*]*$", head) or re.match(r"[\s`*,]*or\b", tail))


def _with_call(kind: str, head: str, value: str) -> str:
    """Return a value, as an assertion if what stands before it is a call."""
    if kind == "code_o" and not _is_assertion(value):
        for call in reversed(list(calls_in_prose(head))):
            between = head[head.rindex(call) + len(call) :].strip("` *")
            if not between or _STATED.fullmatch(f"{between} "):
                return f"{call} == {value}"
            break
    return value


def _is_assertion(value: str) -> bool:
    return next(calls_in_prose(value), None) is not None
