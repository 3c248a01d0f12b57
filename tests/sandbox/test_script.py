"""Whole programs in the jail."""

import subprocess
import sys
from pathlib import Path

import pytest

from redqueen.config import SandboxConfig
from redqueen.sandbox import OutcomeKind
from redqueen.sandbox.cpython import CPythonSandbox
from redqueen.sandbox.script import Script, ScriptOutcome, passes, same_output

SCRIPTS = {
    "echo": ("print(input()[::-1])", "abc\n"),
    "all of the input": ("import sys\nprint(sum(map(int, sys.stdin.read().split())))", "1 2\n3\n"),
    "buffer": ("import sys\nsys.stdout.buffer.write(sys.stdin.buffer.read() * 2)", "abé"),
    "lines": ("for line in open(0): print(line.strip())", "a\nb"),
    "end of input": ("input()\ninput()", "1\n"),
    "exit status": ("import sys\nprint(1)\nsys.exit(3)", ""),
    "exit with a text": ("exit('why')", ""),
    "exit with nothing": ("raise SystemExit", ""),
    "exit with true": ("raise SystemExit(True)", ""),
    "exception": ("def g(): return 1 / 0\nprint(2)\ng()", ""),
    "syntax error": ("def f(: pass", ""),
    "main": ("if __name__ == '__main__': print(__name__, __file__.endswith('main.py'))", ""),
    "threads": ("import threading\nthreading.Thread(target=print, args=('t',)).start()", ""),
    "exit handlers": ("import atexit\natexit.register(print, 'bye')\nprint('hi')", ""),
    "dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass A:\n  x: 'int'\nprint(A(1))", ""
    ),
    "pickle": (
        "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))) is A)", ""
    ),
    "arguments": ("import sys\nprint(len(sys.argv), len(sys.path[0]) > 0)", ""),
    "files": ("open('a', 'w').write('x')\nprint(open('a').read())", ""),
    "recursion": (
        "import sys\nsys.setrecursionlimit(5000)\ndef g(n): return n and g(n - 1)\nprint(g(3000))",
        "",
    ),
    "error output": ("import sys\nprint('e', file=sys.stderr)", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_end_as_with_python(jail: CPythonSandbox, tmp_path: Path, name: str) -> None:
    code, stdin = SCRIPTS[name]
    (tmp_path / "main.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "main.py"],
        input=stdin, capture_output=True, text=True, cwd=tmp_path, check=False, encoding="utf-8",
    )  # fmt: skip
    [outcome] = jail.run_scripts([Script({"main.py": code}, stdin=stdin)])
    assert (outcome.kind, outcome.status) == (OutcomeKind.VALUE, done.returncode)
    assert outcome.output == done.stdout
    assert outcome.errors.splitlines()[-1:] == done.stderr.splitlines()[-1:]


def test_files_are_there_and_gone_again(jail: CPythonSandbox) -> None:
    main = "import lib.add, os\nprint(lib.add.plus(1), open('data/x.txt').read(), os.listdir())"
    files = {"main.py": main, "lib/add.py": "def plus(n): return n + 1", "data/x.txt": "é"}
    [outcome] = jail.run_scripts([Script(files)])
    assert outcome.output.startswith("2 é "), outcome
    left = "import os\nopen('mine', 'w')\nos.mkdir('d')\nos.chdir('d')\nprint(os.listdir('..'))"
    outcomes = jail.run_scripts([Script({"main.py": left})] * 5)
    assert all(sorted(eval_list(o.output)) == ["d", "main.py", "mine"] for o in outcomes)


def eval_list(text: str) -> list[str]:
    return [item.strip("'") for item in text.strip()[1:-1].split(", ")]


def test_limits(needs_jail: None) -> None:
    with CPythonSandbox(SandboxConfig(workers=1, seconds=0.3)) as sandbox:
        loop, flood, large, slow, many = sandbox.run_scripts(
            [
                Script({"main.py": "while True: pass"}),
                Script({"main.py": "while True: print('x' * 1000)"}, max_output=10_000),
                Script({"main.py": "open('x', 'wb').write(bytes(20_000))"}, max_output=10_000),
                Script({"main.py": "for i in range(10**7): pass\nprint(1)"}, seconds=60.0),
                Script({"main.py": "for i in range(2000): open(str(i), 'w')"}),
            ]
        )
    assert loop.kind is OutcomeKind.TIMEOUT
    assert flood.kind is OutcomeKind.OUTPUT
    assert "File too large" in large.errors
    assert slow.output == "1\n"
    assert many.status == 1
    assert "No space left" in many.errors


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "", "a\0b", "."])
def test_files_that_lead_out_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="does not lie in its directory"):
        Script({"main.py": "", name: ""})


def test_the_entry_must_be_there() -> None:
    with pytest.raises(ValueError, match=r"lack its entry 'main\.py'"):
        Script({"other.py": ""})


@pytest.mark.parametrize(
    ("expected", "written", "same"),
    [
        ("1\n2\n", "1\n2", True), ("1 \n2", "1\n2\n\n", True), ("1\n\n2", "1\n2", False),
        ("1", "01", False), ("", "\n \n", True), (" 1", "1", False), ("a b", "a  b", False),
    ],
)  # fmt: skip
def test_outputs_are_compared_line_by_line(expected: str, written: str, same: bool) -> None:
    assert same_output(expected, written) is same
    script = Script({"main.py": ""}, expected_output=expected)
    assert passes(script, ScriptOutcome(OutcomeKind.VALUE, 0, written)) is same


def test_a_script_passes_by_its_status_too() -> None:
    script = Script({"main.py": ""}, expected_status=3)
    assert passes(script, ScriptOutcome(OutcomeKind.VALUE, 3))
    assert not passes(script, ScriptOutcome(OutcomeKind.VALUE, 0))
    assert not passes(script, ScriptOutcome(OutcomeKind.TIMEOUT, 3))
    assert not passes(script, ScriptOutcome(OutcomeKind.INFRA_ERROR, 3))
