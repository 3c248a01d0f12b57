"""AIME 2024 and 2025: 30 problems each of the American Invitational Mathematics Examination."""

from typing import ClassVar

from redqueen.benchmarks.base import Hub
from redqueen.benchmarks.maths import Maths


class Aime24(Maths):
    """The papers of 2024; answers are whole numbers up to 999."""

    label: ClassVar[str] = "aime24"
    title: ClassVar[str] = "AIME 2024"
    file: ClassVar[str] = "aime24.jsonl"
    hub: ClassVar[Hub | None] = Hub("HuggingFaceH4/aime_2024", split="train")
    solve_tokens: ClassVar[int] = 4096


class Aime25(Aime24):
    """The papers of 2025."""

    label: ClassVar[str] = "aime25"
    title: ClassVar[str] = "AIME 2025"
    file: ClassVar[str] = "aime25.jsonl"
    hub: ClassVar[Hub | None] = Hub("yentinglin/aime_2025", split="train")
