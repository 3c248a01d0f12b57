"""Reading a mathematical answer out of a completion.

Where answers are looked for is as in Qwen2.5-Math's evaluation: the last box, then what follows
"answer is", then the last number; and, as those who train on them write, what follows GSM8K's four
hashes or stands between `<answer>` tags. What was thought before is no answer.
"""

import re

from redqueen.environments.thoughts import spoken, tagged

_BOX = re.compile(r"\\(?:f?boxed)\s*(?=\{)")
_THINKS = re.compile(r"<think(?:ing)?>")
_SAID = re.compile(
    r"answer(?:\*\*|__)?\s*(?:is|:|=)\s*(?::\s*)?|^####[ \t]+(?=[-−$£€]?[\d.][^\n]{0,40}$)",
    re.IGNORECASE | re.MULTILINE,
)
_NUMBER = re.compile(r"(?:(?<![\w)}])-)?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)")
"""The dash of `5-7` is no minus."""
_PLAIN_UNIT = re.compile(
    r"(?<=\d)\s+(?!(?:and|or|over|times|plus|minus|hundred|thousand|million|billion|trillion|dozen)$)"
    r"[a-z]{3,}$",
    re.IGNORECASE,
)
_WRAPPED = re.compile(
    r"(?:\*\*(?P<bold>[^*\n]+)\*\*|(?P<dollars>\$\$?)(?P<latex>[^$]+)(?P=dollars)|\\\\?\((?P<round>.+?)"
    r"\\\\?\)|\\\[(?P<square>.+?)\\\]|`(?P<code>[^`\n]+)`)(?P<rest>[^\n]*)",
    re.DOTALL,
)
_GOES_ON = re.compile(
    r"[\s,;/]*(?:or\b|and\b|times\b|plus\b|minus\b|over\b|to\b|hundred|thousand|million|billion|"
    r"trillion|dozen|[-+*/^=<>≤≥\\$\d`±×÷%])",
    re.IGNORECASE,
)
"""What stands after a wrapped answer that is not all of it."""
_REASON = re.compile(
    r"[.!?](?:\s|$)|,?\s+\(?(?:because|since|as|so|which|where|given|for|i\.e\.)\s|\s\([a-z]",
    re.IGNORECASE,
)
_VALUE = re.compile(r"[\d\\$∞π√½]")
_TAIL = 20_000
"""Characters at the end of a completion that are looked at."""
_MARKS, _PHRASE = 16, 1000
"""Places in it at which an answer is announced, and characters after each."""


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
    count together. A box without a content is none: it quotes the instruction.
    """
    text = spoken(text)
    said_in_tags = tagged(text[-_TAIL:])
    if not said_in_tags:
        text = _THINKS.split(text, maxsplit=1)[0]
    text = text[-_TAIL:]
    closed = boxes(text)
    if boxed := [item for item in closed if item[1]]:
        if several:
            start = text.rfind("\n\n", 0, boxed[-1][0])
            return ", ".join(content for place, content in boxed if place > start)
        return boxed[-1][1]
    if len(closed) < len(_BOX.findall(text)):
        return None  # cut off inside: `\boxed{12` may have been about to say 120
    if said_in_tags:
        last = said_in_tags[-1]
        return read_answer(last) if "\n" in last else _phrase(last)
    places = [match.end() for match in _SAID.finditer(text)][-_MARKS:]
    said = [phrase for place in places if (phrase := _phrase(text[place : place + _PHRASE]))]
    if said:
        return next((item for item in reversed(said) if _VALUE.search(item)), said[-1])
    numbers = _NUMBER.findall(text.replace("−", "-"))
    return numbers[-1] if numbers else None


def _phrase(text: str) -> str:
    """Return the answer that a text begins with: what is wrapped, or a sentence up to its reason;
    without its mark-up."""
    text = text.removeprefix("**").lstrip() if text.startswith(("** ", "**\n")) else text
    wrapped = _WRAPPED.match(text)
    if wrapped and not _GOES_ON.match(wrapped["rest"]):
        groups = ("bold", "latex", "round", "square", "code")
        return _plain(next(wrapped[name] for name in groups if wrapped[name]))
    line = text.split("\n", 1)[0]
    return _plain(line[: end.start()] if (end := _REASON.search(line)) else line)


def _plain(text: str) -> str:
    text = _PLAIN_UNIT.sub("", text.strip().rstrip(".").strip("*").strip().rstrip("."))
    return text.strip("$").removeprefix("\\(").removesuffix("\\)").strip()
