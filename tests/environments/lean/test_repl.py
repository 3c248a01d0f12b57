"""The client of the REPL against recordings: replies, limits, faults, the jail."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from redqueen.environments.lean import Lean, probe
from redqueen.environments.lean.checker import (
    MOST_COMMANDS,
    Finding,
    Inquiry,
    LeanChecker,
)
from redqueen.environments.lean.installation import (
    BINARY,
    Installation,
    find_installation,
    jailed,
)
from redqueen.environments.lean.language import Theorem
from redqueen.environments.lean.repl import Repl, Reply
from redqueen.environments.workers import NoReply
from redqueen.errors import ConfigError
from tests.environments.lean.replays import (
    HERE,
    checker_of,
    install,
    replaying,
    require_jail,
)


@pytest.fixture(scope="module")
def faulty() -> Iterator[LeanChecker]:
    with checker_of("faults") as checker:
        yield checker


def inquiry(proof: str) -> Inquiry:
    return Inquiry(Theorem(": p", proof))


def test_a_reply_is_an_environment_with_messages() -> None:
    repl = Repl(replaying("theorems"), 512.0)
    try:
        assert repl.run("import Init", None, 5.0, 30.0) == Reply(0, ())
        wrong = repl.run("theorem target (p q : Prop) : p ∧ q → q ∧ p :=\nfun h => h", 0, 5.0, 30.0)
        assert wrong.env == 7
        assert [text[:13] for text in wrong.texts("error")] == ["Type mismatch"]
        thrown = repl.run("theorem target (p q : Prop) : p ∧ q → q ∧ p :=\nthrows", 0, 5.0, 30.0)
        assert thrown == Reply(None, (("error", "maximum recursion depth has been reached"),))
    finally:
        repl.close()


@pytest.mark.parametrize(
    ("proof", "finding"),
    [
        ("hangs", NoReply.RAN_AWAY),
        ("crashes", NoReply.RAN_AWAY),
        ("grows", NoReply.RAN_AWAY),
        ("floods", NoReply.RAN_AWAY),
        ("killed", NoReply.LOST),
        ("mumbles", NoReply.LOST),
        ("nests", NoReply.LOST),
        ("lists", NoReply.LOST),
        ("mistypes", NoReply.LOST),
        ("forgets", NoReply.LOST),
    ],
)
def test_after_any_fault_the_next_theorem_has_a_verdict(
    faulty: LeanChecker, proof: str, finding: Finding | NoReply
) -> None:
    assert faulty.examine([inquiry(proof), inquiry("fine")]) == [finding, Finding(None)]


def test_a_machine_that_gives_no_time_is_no_fault_of_the_proof() -> None:
    repl = Repl(replaying("faults"), 512.0)
    try:
        with pytest.raises(OSError, match="no time to run"):
            repl.run("sleeps", 0, 5.0, 0.2)
    finally:
        repl.close()


def test_a_repl_is_renewed_before_it_has_kept_too_much() -> None:
    with checker_of("faults") as checker:
        found = checker.examine([inquiry("fine")] * (MOST_COMMANDS // 2 + 2))
        assert set(found) == {Finding(None)}


def test_a_header_that_lean_does_not_accept_is_said() -> None:
    with (
        checker_of("theorems", header="import Nowhere") as checker,
        pytest.raises(ConfigError, match="unknown module prefix 'Nowhere'"),
    ):
        checker.examine([inquiry("fine")])


# ── where Lean is ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    return install(tmp_path, "any")


def test_lake_says_where_lean_is(machine: Path) -> None:
    found = find_installation(str(machine / "repl"), path=str(machine / "bin"))
    modules = (machine / "modules",)
    assert found == Installation(machine / "repl" / BINARY, machine / "toolchain", modules)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda folder: (folder / "bin/lake").unlink(), "there is no lake: pip install"),
        (lambda folder: (folder / "repl" / BINARY).unlink(), "LeanREPLConfig"),
        (lambda folder: (folder / "bin/lake").write_text("#!/bin/sh\nexit 3\n"), "lake env"),
        (lambda folder: (folder / "bin/lake").write_text("#!/bin/sh\n"), "no LEAN_SYSROOT"),
    ],
)
def test_what_is_missing_is_said_with_its_remedy(
    machine: Path, broken: Callable[[Path], object], message: str
) -> None:
    broken(machine)
    with pytest.raises(ConfigError, match=message):
        find_installation(str(machine / "repl"), path=str(machine / "bin"))


def test_in_the_jail_there_is_lean_and_nothing_else(machine: Path) -> None:
    require_jail()
    repl = machine / "repl" / BINARY
    repl.write_text(
        repl.read_text().replace(
            "question += line",
            f"""question += line
        assert not os.path.exists({str(HERE)!r}) and not os.path.exists("/proc/1")
        assert not os.access(os.environ["LEAN_SYSROOT"], os.W_OK)
        said = {{"HOME", "LC_ALL", "PATH", "PWD", "LEAN_PATH", "LEAN_SYSROOT"}}
        assert said.issuperset(os.environ)""",
        )
    )
    installation = find_installation(str(machine / "repl"), path=str(machine / "bin"))
    session = Repl(jailed(installation), 512.0)
    try:
        assert session.run("import Init", None, 5.0, 30.0) == Reply(0, ())
        assert session.run("theorem target : p :=\nh", 0, 5.0, 30.0) == Reply(1, ())
    finally:
        session.close()


def test_the_doctor_checks_a_proof(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_jail()
    monkeypatch.setenv("PATH", str(machine / "bin"), prepend=":")
    config = Lean(repl=str(machine / "repl"))
    assert probe(config).startswith("toolchain checks a proof in bubblewrap")
    (machine / "toolchain/recording.txt").write_text('~ ^import\n{"env": 0}\n')
    with pytest.raises(ConfigError, match="accepts no proof"):
        probe(config)
