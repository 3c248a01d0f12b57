"""What a completion says after its thoughts, and between answer tags."""

import pytest

from redqueen.environments.thoughts import spoken, tagged


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a", "a"),
        ("<think>a</think>b", "b"),
        ("<thinking>\na\n</thinking>\nb", "\nb"),
        ("a</think>b</think>c", "c"),
        ("<think>a", "<think>a"),
    ],
)
def test_what_was_thought_is_left_out(text: str, said: str) -> None:
    assert spoken(text) == said


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("<answer>1</answer> or <answer> 2 </answer>", ["1", "2"]),
        ("Put it between <answer> and </answer>: <answer>1</answer>", ["and", "1"]),
        ("I use <answer> tags. <answer>1</answer>", ["1"]),
        ("<answer>1</answer> and <answer></answer>", ["1"]),
        ("<ANSWER>\n1\n</ANSWER>", ["1"]),
        ("<answer>1", []),
    ],
)
def test_answer_tags(text: str, items: list[str]) -> None:
    assert tagged(text) == items
