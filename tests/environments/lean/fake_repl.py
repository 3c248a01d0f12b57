"""A REPL that answers from a recording: `python fake_repl.py RECORDING INFO`.

A recording has entries, parted by empty lines: a line with the question, then the reply. A question
is `> JSON`, to be met exactly, or `~ PATTERN`, to be found in the command. A reply is JSON, or what
a broken REPL does: `!hang`, `!sleep`, `!grow`, `!crash`, `!killed`, `!endless`, `!text TEXT`. INFO
is the descriptor that wants the process id; in bubblewrap, which tells it, there are no arguments
and the recording lies in $LEAN_SYSROOT.
"""

import json
import os
import re
import signal
import sys
import time
from pathlib import Path


def answer(question: dict, entries: list[tuple[str, str]]) -> str:
    for asked, reply in entries:
        sign, _, rest = asked.partition(" ")
        if json.loads(rest) == question if sign == ">" else re.search(rest, question["cmd"]):
            return reply
    return json.dumps({"message": "Unknown environment."})


def act(reply: str) -> None:
    match reply.partition(" ")[0]:
        case "!hang":
            while True:
                pass
        case "!sleep":
            time.sleep(600)
        case "!grow":
            print(json.dumps({"env": len(bytearray(1 << 30)) and 1}) + "\n", flush=True)
        case "!crash":
            sys.exit(1)
        case "!killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "!endless":
            while True:
                print("x" * 10000)
        case "!text":
            print(reply.partition(" ")[2] + "\n", flush=True)
        case _:
            print(json.dumps(json.loads(reply), indent=1, ensure_ascii=False) + "\n", flush=True)


def main(recording: Path, info: int | None) -> None:
    if info is not None:
        os.write(info, json.dumps({"child-pid": os.getpid()}).encode())
        os.close(info)
    text = recording.read_text(encoding="utf-8")
    parts = [entry.strip().partition("\n") for entry in text.split("\n\n") if entry.strip()]
    entries = [(asked, reply) for asked, _, reply in parts if not asked.startswith("#")]
    question = ""
    for line in sys.stdin:
        question += line
        if not line.strip() and question.strip():
            act(answer(json.loads(question), entries))
            question = ""


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        main(Path(os.environ["LEAN_SYSROOT"]) / "recording.txt", None)
