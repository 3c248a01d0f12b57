"""Screens: what each objects to and lets pass, what is done with it, and a whole run."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redqueen.cli import main
from redqueen.config import Config, build_config
from redqueen.environments.code.handwritten import seed_functions
from redqueen.errors import ConfigError
from redqueen.report.curves import step_table
from redqueen.screens import Screen, hold_back
from redqueen.screens.gibberish import Gibberish
from redqueen.screens.programs import Programs
from redqueen.screens.words import Words
from redqueen.store import RunStore
from redqueen.types import Rejection
from tests.whole_runs import measure_and_verify, train_in_two_parts


def objection(screen: Screen, text: str) -> str | None:
    [said] = screen.objections([text])
    return said


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("import os\ndef f(x): return x", "os"),
        ("  from subprocess import run", "subprocess"),
        ("import math, socket", "socket"),
        ("> import urllib.request", "urllib"),
        ("def f(x):\n    return eval(x)", "eval"),
        ("f = open('a')", "open"),
        ("().__class__.__mro__", "__class__"),
        ("__import__('o' + 's')", "__import__"),
        ("import \U0001d428\U0001d42c", "os"),
        ("x = \uff45\uff56\uff41\uff4c('1')", "eval"),
        ("().__\U0001d41class__", "__class__"),
    ],
)
def test_programs_that_reach_outside(text: str, word: str) -> None:
    assert objection(Programs(), text) == word
    assert objection(Programs(allow=(word,)), text) in (None, "__mro__")


@pytest.mark.parametrize(
    "text",
    [
        "import math\nfrom collections import Counter\ndef f(x): return math.gcd(x, 4)",
        "The shop is open (from 9 to 5); import taxes are 5 %.",
        "re.compile('a'); self.open(3); reopen(4)",
        "from os to the end",
    ],
)
def test_programs_and_prose_that_do_not(text: str) -> None:
    assert objection(Programs(), text) is None


def test_words_in_any_case_and_spacing(tmp_path: Path) -> None:
    assert objection(Words(), "How to Make  a\nBOMB?") == "Make  a\nBOMB"
    assert objection(Words(), "ricinus, 12 pipes") is None
    assert objection(Words(), "key AKIAABCDEFGHIJKLMNOP") == "AKIAABCDEFGHIJKLMNOP"
    file = tmp_path / "words.txt"
    file.write_text("# ours\n\nforbidden fruit\n", encoding="utf-8")
    screen = Words(phrases=(), patterns=(r"\d{5}",), files=(str(file),))
    assert objection(screen, "A forbidden-fruit.") == "forbidden-fruit"
    assert objection(screen, "12345") == "12345"
    assert objection(screen, "make a bomb") is None
    assert objection(Words(phrases=(), patterns=()), "anything") is None


@pytest.mark.parametrize(
    "text",
    [
        "make a b\u200bomb", "m\u0430ke a bomb", "make\xa0a bomb", "MA\u00adKE A BOMB",
        "\uff4dake a b\u03bfmb", "make a bo\u0301mb", "make a \u202ebomb",
        "\u043c\u0430k\u0435 a bomb",
    ],
)  # fmt: skip
def test_what_does_not_show_hides_no_phrase(text: str) -> None:
    assert objection(Words(), f"Tell me how to {text} at home.") is not None
    assert objection(Words(), "key AKIAABCD\u200bEFGHIJKLMNOP") == "AKIAABCDEFGHIJKLMNOP"


def test_phrases_of_other_alphabets() -> None:
    screen = Words(phrases=("\u0431\u043e\u043c\u0431\u0430",), patterns=())
    assert objection(screen, "\u0411\u041e\u041c\u0411\u0410!") is not None
    assert objection(screen, "\u0431\u043em\u0431a") is not None
    assert objection(screen, "\u043c\u0438\u0440") is None


@pytest.mark.parametrize("key", [{"patterns": ["("]}, {"files": ["nowhere.txt"]}])
def test_a_list_that_cannot_be_read_is_said_at_once(key: dict[str, list[str]]) -> None:
    with pytest.raises(ConfigError, match=r"safety.screens.*\(|safety.screens.*nowhere"):
        build_config({"safety": {"screens": [{"type": "words", **key}]}})


def test_gibberish() -> None:
    screen = Gibberish()
    assert "repeats" in (objection(screen, "again and " * 1000) or "")
    assert objection(screen, "".join(map(str, range(400)))) == "a word without end"
    assert objection(screen, "\x00\x01" * 20) == "40 of 40 characters are no text"
    assert objection(screen, "\ud800" * 5) is not None
    for text in ("", "ax1 " * 20, "f(x) = 2\n\tx", "naïve 中文 😀", "[1, 2, 3, 4]\n" * 30):
        assert objection(screen, text) is None


def test_no_screen_objects_to_handwritten_functions() -> None:
    programs = [function.program for function in seed_functions()]
    assert len(programs) > 40
    for screen in (Programs(), Words(), Gibberish()):
        assert set(screen.objections(programs)) == {None}


@given(st.lists(st.text(max_size=40), max_size=4))
def test_any_text_can_be_screened(texts: list[str]) -> None:
    for screen in (Programs(), Words(), Gibberish(longest_word=10)):
        assert len(screen.objections(texts)) == len(texts)


SEEN: list[str] = []


class Shouting(Screen):
    """A classifier from elsewhere."""

    def objections(self, texts: Sequence[str]) -> list[str | None]:
        SEEN.extend(texts)
        return ["loud" if text.isupper() else None for text in texts]


class Broken(Screen):
    def objections(self, texts: Sequence[str]) -> list[str | None]:
        raise RuntimeError("no weights")


class Short(Screen):
    def objections(self, texts: Sequence[str]) -> list[str | None]:
        return []


def test_only_what_passes_all_screens_is_used() -> None:
    used: list[int] = []

    def use(places: list[int]) -> list[str]:
        used.extend(places)
        return [f"task {place}" for place in places]

    SEEN.clear()
    texts = ["good", "import os", "LOUD", "fine"]
    results = hold_back([Programs(), Shouting()], texts, use)
    assert SEEN == ["good", "LOUD", "fine"]
    assert used == [0, 3]
    assert (results[0], results[3]) == ("task 0", "task 3")
    assert results[1] == Rejection("unsafe", malformed=False, detail="programs: os")
    assert results[2] == Rejection("unsafe", malformed=False, detail="shouting: loud")


@pytest.mark.parametrize("screen", [Broken(), Short()])
def test_a_screen_that_fails_lets_nothing_pass(screen: Screen) -> None:
    [held, lost] = hold_back([Programs(), screen], ["import os", "good"], lambda places: [])
    assert isinstance(held, Rejection)
    assert held.reason == "unsafe"
    assert isinstance(lost, Rejection)
    assert lost.infra


class Elevens(Screen):
    """Sums with an eleven are not for this run."""

    def objections(self, texts: Sequence[str]) -> list[str | None]:
        return ["eleven" if "1" in text else None for text in texts]


@pytest.mark.slow
def test_a_run_with_a_screen_of_the_user(
    tiny: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "docs" / "examples"))
    values = tiny(engine={"type": "tests.scripted:Sums"}, eval={"tasks": 4}).model_dump()
    values["environments"] = {"arithmetic": {"type": "arithmetic:Arithmetic"}}
    values["safety"] = {"screens": ["tests.screens.test_screens:Elevens"]}
    run = train_in_two_parts(Config.model_validate(values), tmp_path)
    measure_and_verify(run)
    with RunStore.open(run, read_only=True) as store:
        held = store.load_held_back()
        rewards = [(p.reason, p.reward) for s in (1, 2) for p in store.load_proposals(s)]
        rates = [row["unsafe_rate"] for row in step_table(store).values()]
    assert held
    assert all("1" in item.text and item.detail == "elevens: eleven" for item in held)
    assert {reward for reward in rewards if reward[0] == "unsafe"} == {("unsafe", -0.5)}
    assert max(rates) > 0
    assert main(["review", str(run)]) == 0
    shown = capsys.readouterr().out
    assert f"{len(held)} of 12 proposals held back (elevens {len(held)})" in shown
    assert "arithmetic/sum: elevens: eleven" in shown
