"""Which tasks leave the region of the seed tasks."""

from redqueen.curriculum import SeedRegion, outside_share
from redqueen.types import Task


def task(letters: str, environment: str = "words") -> Task:
    return Task(letters, environment, "word", {"letters": letters})


def letters(task: Task) -> frozenset[str]:
    return frozenset(task.payload["letters"])


REGION = SeedRegion(letters, [task("abc"), task("cd")])


def test_new_constructs_and_new_pairs_of_known_ones() -> None:
    assert REGION.novelties(task("ab")) == set()
    assert REGION.novelties(task("")) == set()
    assert REGION.novelties(task("db")) == {("b", "d")}
    assert REGION.novelties(task("ae")) == {("e",), ("a", "e")}


def test_the_share_counts_tasks_of_environments_that_name_constructs() -> None:
    tasks = [task("abc"), task("bd"), task("x"), task("ca"), task("x", "other")]
    assert outside_share({"words": REGION}, tasks) == {"outside_seeds": 2 / 4}
    assert outside_share({}, tasks) == {}
