"""The command line: clear sentences, exit statuses, overrides, export, Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from redqueen import build
from redqueen.cli import main
from redqueen.config import Config, load_config
from redqueen.models.population_model import PopulationModel
from redqueen.models.sources import resolve_base
from redqueen.store import RunStore, config_toml
from tests.made_up_run import fabricate
from tests.small_models import in_peft

Make = Callable[..., Config]


def test_wrong_key_names_the_near_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--rollout.attemps", "4"]) == 2
    error = capsys.readouterr().err
    assert "rollout.attemps" in error
    assert "did you mean 'attempts'" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "nowhere.toml"], "no config file at nowhere.toml"),
        (["train", "--steps"], "--steps needs a value"),
        (["train", "--steps", "--seed", "3"], "--steps needs a value"),
        (["train", "--steps", "0"], "steps = 0"),
        (["train", "--steps", "9" * 5000], "steps = "),
        (["eval", "x", "--benchmark", "livecodebench", "--since", "soon"], "since = 'soon': Input"),
        (["resume", "nowhere"], "holds no run"),
        (["resume", "nowhere", "--engine.rows"], "--engine.rows needs a value"),
        (["report", "nowhere"], "holds no run"),
        (["train", "--policy.base", "./nowhere"], "nowhere"),
        (["train", "--evolution.mutations", '["svdd"]'], "did you mean 'svd'"),
        (["train", "--domain.style", "compact"], "environments.code.style"),
        (["verify", "nowhere"], "holds no run"),
        (["export", "nowhere"], "holds no run"),
        (["report", "\x1b]0;title\x07"], r"\x1b]0;title\x07 holds no run"),
        (["metrics", "--json"], "name the run"),
        (["metrics", "--out", "metrics.csv"], "name the run"),
    ],
)
def test_bad_input_is_one_clear_sentence(
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "--out", ""], "the path is empty"),
        (["eval", "x", "--tasks", "few"], "'few' should be a whole number of at least 1"),
        (["eval", "x", "--tasks", "0"], "'0' should be a whole number of at least 1"),
        (["watch", "x", "--port", "9" * 5000], "9' should be a whole number of at least 1"),
        (["compare", "--seeds", "1,b"], "'1,b' should be whole numbers with commas between"),
    ],
)
def test_arguments_that_are_none_are_named(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert said in capsys.readouterr().err


def test_what_the_system_refuses_is_one_sentence(
    tiny: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with build.start(tiny(), tmp_path / "run"):
        pass
    for words in (
        ["status", "x" * 300],
        ["train", "--policy.base", "x" * 300],
        ["metrics", str(tmp_path / "run"), "--out", str(tmp_path / "no" / "metrics.csv")],
        ["metrics", str(tmp_path / "run"), "--out", str(tmp_path)],
    ):
        assert main(words) == 1
        error = capsys.readouterr().err
        assert error.startswith("redqueen: ")
        assert error.count("\n") == 1
        assert words[-1] in error  # not a name of ours aside


def command(words: list[str], **environment: str) -> tuple[list[str], dict[str, str]]:
    """The words and the variables of a command in a process of its own."""
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment
    return [sys.executable, "-m", "redqueen.cli", *words], variables


@pytest.mark.parametrize("name", ["metrics", "status"])
def test_a_reader_that_has_enough_is_no_error(name: str, tmp_path: Path) -> None:
    fabricate(tmp_path / "run", 2, evaluated=False).close()
    reader, writer = os.pipe()
    os.close(reader)
    words, variables = command([name, str(tmp_path / "run")])
    ended = subprocess.run(
        words, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, env=variables
    )
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_are_no_error(closed: str, tmp_path: Path) -> None:
    words, variables = command(["metrics"])
    ended = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *words],
        capture_output=True, text=True, check=False, env=variables,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"COLUMNS": "0"},
        {"COLUMNS": "20"},
    ],
)
def test_any_terminal_shows_a_run(variables: dict[str, str], tmp_path: Path) -> None:
    fabricate(tmp_path / "run\udcff", 2, tasks=12).close()
    words, environment = command(["watch", "--plain", str(tmp_path / "run\udcff")], **variables)
    ended = subprocess.run(words, capture_output=True, check=False, env=environment)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"steps" in ended.stdout


@pytest.mark.parametrize("words", [[], ["train"], ["watch"], ["eval"], ["swarm", "join"]])
def test_help_fits_80_columns(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit, match="0"):
        main([*words, "--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_a_directory_with_a_run_is_refused(
    tiny: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with build.start(tiny(), tmp_path / "run"):
        pass
    assert main(["train", "--out", str(tmp_path / "run")]) == 2
    assert "redqueen resume" in capsys.readouterr().err


@pytest.mark.slow
def test_exported_student_is_the_same_policy_in_peft(tiny: Make, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "adapter"
    config = tiny(steps=1, policy={"init_noise": 0.1, "dtype": "float32"})
    with build.start(config, run) as trainer:
        trainer.run()
    assert main(["export", str(run), "--member", "3", "--out", str(out)]) == 0
    base = AutoModelForCausalLM.from_pretrained(resolve_base("seedling"), dtype=torch.float32)
    peft = in_peft(base, out).eval()
    policy = PopulationModel.load(config.policy, 4, seed=123)
    policy.import_adapter(3, out)
    ids = torch.tensor([policy.tokenizer("def f(a):\n    b = a + 1\n    return b")["input_ids"]])
    with torch.no_grad(), policy.router.route([3]):
        ours = policy.base.model(ids).logits
    with torch.no_grad(), policy.router.route([None]):
        alone = policy.base.model(ids).logits
    with torch.no_grad():
        theirs = peft(ids).logits
    assert (ours - theirs).abs().max() <= 1e-4
    assert (ours - alone).abs().max() > 1e-2


@pytest.mark.slow
def test_eval_measures_the_suites_that_are_asked_for(
    tiny: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    config = tiny(steps=1, eval={"suites": ["handwritten", "held-out"]})
    with build.start(config, run) as trainer:
        trainer.run()
    words = ["eval", str(run), "--tasks", "4", "--samples", "1"]
    assert main([*words, "--suite", "beyond", "--suite", "beyond"]) == 0
    with RunStore.open(run, read_only=True) as store:
        assert store.suites() == ["beyond"]
        assert len(store.load_evaluations()) == 4 * 4 * 2
        assert {row.band for row in store.load_evaluations()} == {6, 7}
    assert main(words) == 0
    assert "handwritten attempts" in capsys.readouterr().out
    with RunStore.open(run, read_only=True) as store:
        assert store.suites() == ["beyond", "handwritten", "held-out"]
    page = (run / "report.html").read_text(encoding="utf-8")
    assert page.index("Results on held-out") < page.index("Results on beyond")
    assert main(["eval", str(run), "--suite", "held-out", "--tasks", "2001"]) == 2
    assert "at most 2000" in capsys.readouterr().err
    assert main(["eval", str(run), "--suite", "other"]) == 2
    assert "handwritten" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_signal_finishes_the_step_and_says_how_to_resume(
    stop: signal.Signals, tiny: Make, tmp_path: Path
) -> None:
    (tmp_path / "tiny.toml").write_text(
        config_toml(tiny(steps=200, callbacks=["console"]).model_dump(mode="json")),
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "redqueen.cli", "train", "tiny.toml", "--out", "run"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("step 1/200"):
                break
        time.sleep(0.2)
        process.send_signal(stop)
        rest = process.stdout.read()
    assert process.returncode == 130, rest
    assert "Go on with: redqueen resume run" in rest
    with (
        build.resume(tmp_path / "run") as trainer,
        RunStore.open(tmp_path / "run", read_only=True) as store,
    ):
        assert 1 <= trainer.step < 200
        assert store.last_step() == trainer.step


def test_text_is_text_where_text_is_wanted(tmp_path: Path) -> None:
    for text in ("2026-11-25", "7", "true", "[v2]"):
        assert load_config(None, [("name", text)]).name == text
    assert load_config(None, [("seed", "7")]).seed == 7


def test_a_name_with_brackets_is_shown_as_it_is(
    tiny: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "a [bold] run"
    (tmp_path / "tiny.toml").write_text(
        config_toml(tiny(steps=1, eval={"enabled": False}).model_dump(mode="json"))
    )
    assert main(["train", str(tmp_path / "tiny.toml"), "--out", str(run)]) == 0
    assert f"{run}/report.html" in capsys.readouterr().out.replace("\n", "")
