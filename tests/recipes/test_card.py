from pathlib import Path

from recipes.common.card import MARKS, write_table


def test_a_table_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text(f"# A base\n\n{MARKS[0]}\n\nold\n\n{MARKS[1]}\n\n## Limits\n", encoding="utf-8")
    write_table(card, "new")
    assert card.read_text(encoding="utf-8") == (
        f"# A base\n\n{MARKS[0]}\n\nnew\n\n{MARKS[1]}\n\n## Limits\n"
    )
