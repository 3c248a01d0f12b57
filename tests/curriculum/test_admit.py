"""Which proposals become tasks."""

import json

from redqueen.curriculum import Archive, CopyIndex, HeldOut, admit
from redqueen.types import Rejection, Task
from tests.toy_environments import TaughtSums, sum_task

BAD = Rejection("unparsable", malformed=True)
LOST = Rejection("infra_error", malformed=False, infra=True)


def outcomes(
    *given: Task | Rejection, unfinished: int = -1, copies: bool = True, repeats: int = 9
) -> list[str]:
    """Reasons, or ids of tasks, on an archive that has 20 + 30 already."""
    environment = TaughtSums()
    archive = Archive(10, environment)
    archive.add([sum_task(20, 30)])
    index = CopyIndex(environment.fingerprint, repeats) if copies else None
    finished = [number != unfinished for number in range(len(given))]
    made = admit(given, finished, archive, index, HeldOut(environment, seed=0))
    assert len(archive) == 1
    return [item.id if isinstance(item, Task) else item.reason for item in made]


def test_tasks_and_rejections_pass_as_they_are() -> None:
    assert outcomes(sum_task(5, 6), BAD, LOST) == ["5+6", "unparsable", "infra_error"]


def test_unfinished_comes_first_and_leaves_no_trace() -> None:
    again = sum_task(5, 6)
    assert outcomes(again, again, unfinished=0) == ["unfinished", "5+6"]
    assert outcomes(BAD, LOST, unfinished=0) == ["unfinished", "infra_error"]


def test_what_a_screen_held_back_is_unsafe_even_if_it_was_cut_off() -> None:
    assert outcomes(Rejection("unsafe", malformed=False), unfinished=0) == ["unsafe"]


def test_a_banned_task_never_comes_again_and_survives_a_checkpoint() -> None:
    environment = TaughtSums()
    archive = Archive(10, environment)
    archive.ban(sum_task(5, 6))
    again = Archive(10, environment)
    again.restore(json.loads(json.dumps(archive.state())))
    given, held_out = [sum_task(6, 5), sum_task(5, 7)], HeldOut(environment, seed=0)
    for kept in (archive, again):
        made = admit(given, [True, True], kept, None, held_out)
        assert made == [Rejection("disputed", malformed=False), sum_task(5, 7)]
    assert again.state() == archive.state()


def test_held_out_duplicate_near_copy() -> None:
    assert outcomes(sum_task(1, 3)) == ["held_out"]
    assert outcomes(sum_task(20, 30), sum_task(30, 20)) == ["duplicate", "near_copy"]
    assert outcomes(sum_task(5, 6), sum_task(5, 6), sum_task(6, 5)) == [
        "5+6", "duplicate", "near_copy",
    ]  # fmt: skip
    assert outcomes(sum_task(5, 6), sum_task(6, 5), copies=False) == ["5+6", "6+5"]


def test_a_reference_that_is_in_no_archive_is_a_duplicate_too() -> None:
    environment = TaughtSums()
    made = admit(
        [sum_task(5, 6), sum_task(5, 7)], [True, True], Archive(9, environment), None,
        HeldOut(environment, seed=0), {"5+6"},
    )  # fmt: skip
    assert made == [Rejection("duplicate", malformed=False), sum_task(5, 7)]


def test_a_task_that_cannot_be_posed_is_too_long() -> None:
    environment = TaughtSums()
    given = [sum_task(5, 6), sum_task(7, 8), sum_task(6, 5)]
    index, held_out = CopyIndex(environment.fingerprint, 9), HeldOut(environment, seed=0)
    made = admit(
        given,
        [True] * 3,
        Archive(9, environment),
        index,
        held_out,
        can_be_posed=lambda task: "5" not in task.id,
    )
    assert [item.id if isinstance(item, Task) else item.reason for item in made] == [
        "too_long", "7+8", "too_long",
    ]  # fmt: skip


def test_a_family_is_full_after_its_repeats() -> None:
    several = [sum_task(5, n) for n in (6, 7, 8)]
    assert outcomes(*several, repeats=2) == ["5+6", "5+7", "near_copy"]
    assert outcomes(*several, repeats=0) == ["near_copy"] * 3


def test_only_text_that_cannot_be_read_is_malformed() -> None:
    environment = TaughtSums()
    given = [sum_task(1, 3), sum_task(5, 6), sum_task(5, 6), sum_task(5, 7)]
    made = admit(
        given, [True, True, True, False], Archive(9, environment), None,
        HeldOut(environment, seed=0),
    )  # fmt: skip
    assert [isinstance(m, Rejection) and m.malformed for m in made] == [False, False, False, True]
