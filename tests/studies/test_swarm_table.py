"""The table of the replication, from results that are made up; the runs have tests of their own."""

import json
import math
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from subprocess import PIPE

import numpy as np
import pytest
from scipy.stats import ttest_ind

from redqueen.swarm.wire import Answer, decode, encode
from studies.swarm import (
    CONFIG,
    PAPER,
    Result,
    Size,
    claim_and_run,
    gain,
    load_result,
    main,
    make_identity,
    node_config,
    poisoned,
    relative_reward,
    table,
)
from tests.swarm.messages import group

SIZE = Size(2, 0, 5, 4, 2)


def result(cell: str, seed: int, right: list[int], lift: float = 0.0) -> Result:
    rates = [[0.5 + lift, 0.0, 1.0, 0.25 + lift], [0.25 + lift, 0.5, 1.0, 0.5 + lift]]
    return Result(cell, seed, SIZE, right, [0, 0], rates, [0.25, 0.25, 1.0, 0.0], 3.0)


def test_relative_reward_is_a_ratio_of_geometric_means_with_welchs_interval() -> None:
    alone = [result("8/0", seed, [40 + seed, 50]) for seed in range(4)]
    mixed = [result("4/4", seed, [90, 80 + 2 * seed]) for seed in range(4)]
    one, two = (np.log([sum(r.right) for r in several]) for several in (mixed, alone))
    shown = relative_reward(mixed, alone)
    welch = ttest_ind(one, two, equal_var=False).confidence_interval(0.95)
    assert shown.value == pytest.approx(math.exp(one.mean() - two.mean()))
    assert (shown.low, shown.high) == pytest.approx((math.exp(welch.low), math.exp(welch.high)))


def test_gain_is_over_the_elicited_base_on_the_same_tasks() -> None:
    several = [result("8/0", seed, [1, 1], lift=0.1 * seed) for seed in range(3)]
    base = (0.375 - 0.25 + 0.25 - 0.25 + 0.0 + 0.375) / 4
    assert gain(several).value == pytest.approx(base + 0.1 / 2)


def test_the_table_has_a_line_for_each_cell_that_is_done(tmp_path: Path) -> None:
    results = [result(cell, seed, [50 + seed, 9]) for cell in ("8/0", "4/4") for seed in range(2)]
    lines = table(results).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| 8/0", "| 4/4"]
    assert "1.94" in lines[3]
    assert "no interval" in table(results[:1])
    path = tmp_path / "result.json"
    path.write_text(json.dumps(asdict(results[0])))
    assert load_result(path) == results[0]


def test_a_directory_is_compared_with_nodes_alone_in_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, cell in (("alone", "8/0"), ("mixed", "4/4")):
        (tmp_path / folder).mkdir()
        for seed in range(2):
            path = tmp_path / folder / f"{cell.replace('/', '-')}-seed-{seed}.json"
            path.write_text(
                json.dumps(asdict(result(cell, seed, [50 + seed, 9 + 4 * (cell > "5")])))
            )
    size = ["--nodes", "2", "--steps", "5", "--tasks", "4", "--samples", "2", "--seeds", "2"]
    words = [str(tmp_path / "mixed"), "--cells", "4/4", *size]
    assert main(words) == 0
    assert "no 8/0" in capsys.readouterr().out
    assert main([*words, "--alone", str(tmp_path / "alone")]) == 0
    shown = capsys.readouterr().out
    assert "| 4/4 | 2 | 60 | 0.94 (" in shown
    assert "| 8/0 | 2 | 64 | 1 |" in shown


def test_cells_share_a_budget_and_nodes_share_nothing(tmp_path: Path) -> None:
    assert all(sum(map(int, cell.split("/"))) == 8 for cell in PAPER)
    assert CONFIG.is_file()
    configs = [node_config("6/2", 3, node, SIZE, tmp_path) for node in range(2)]
    assert [(c.swarm.own, c.swarm.foreign) for c in configs] == [(6, 2)] * 2
    assert configs[0].seed != configs[1].seed
    names = {make_identity(tmp_path / f"{s}{n}.key", s, n).name for s in (1, 2) for n in (1, 2)}
    assert len(names) == 4
    assert make_identity(tmp_path / "again.key", 1, 1).name in names


HOLD = """
import sys
from pathlib import Path
from redqueen.store.connection import take_lock
lock, _ = take_lock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_cell_that_another_process_is_at_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "6-2-seed-1.json"
    ran: list[Path] = []

    def run(cell: str, seed: int, size: Size, folder: Path) -> Result:
        ran.append(folder)
        assert not list(folder.iterdir())
        return result(cell, seed, [1, 2])

    theirs = tmp_path / "runs" / "6-2-seed-1"
    theirs.mkdir(parents=True)
    (theirs / "kept").touch()
    command = [sys.executable, "-c", HOLD, str(theirs.with_suffix(".lock"))]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert not claim_and_run("6/2", 1, SIZE, path, run)
        assert (theirs / "kept").exists()
        other.kill()
    assert claim_and_run("6/2", 1, SIZE, path, run)
    assert load_result(path) == result("6/2", 1, [1, 2])
    assert claim_and_run("6/2", 1, SIZE, path, run)
    assert ran == [theirs]


def test_a_poisoned_group_is_a_sound_message_of_wrong_answers(tmp_path: Path) -> None:
    texts = (
        "total is 7<answer>7</answer>",
        "it is<answer>[7, 8]</answer>",
        "7",
        "<answer>7</answer>",
    )
    answers = tuple(Answer(text=text, finished=True) for text in texts)
    identity = make_identity(tmp_path / "a.key", 0, 0)
    data = encode(poisoned(group(answers=answers), 4), identity)
    message = decode(data, len(data))
    assert message.is_authentic()
    sent = [answer.text for answer in message.group.answers]
    assert len(sent) == 4
    assert not {text.partition("<answer>")[2] for text in sent} & {"7</answer>", "[7, 8]</answer>"}
    assert sent[0] == "total is 7<answer></answer>"  # one has no answer at all
    assert sent[3].startswith("<answer>7")
