"""The proof checker against Debian's `metamath`: whole databases, and proofs that were changed.

    apt-get install metamath metamath-databases
    python -m bench.metamath [--databases set.mm iset.mm] [--mutants 1000] [--seed 0]

Every proof of each database is checked. Then `--mutants` proofs of the first one are changed in
place, one label or letter each, and both programs give a verdict on each of them.
"""

import argparse
import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from redqueen.environments.proof.metamath import Database, MetamathError, check_proof

FOLDER = Path("/usr/share/metamath/databases")
_PROOF = re.compile(r"(?<=\s)(\S+)\s+\$p\s[^$]*\$=\s([^$]*)\$\.")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def verdicts(text: str, only: frozenset[str] | None = None) -> tuple[dict[str, bool], float]:
    """Return whether each proof (of `only`) is accepted, and seconds of processor time."""
    database, said = Database(), dict[str, bool]()
    begun = time.process_time()
    for theorem, proof in database.read(text):
        label = theorem.assertion.label
        if only is None or label in only:
            try:
                check_proof(database, theorem, proof)
                said[label] = True
            except MetamathError:
                said[label] = False
    return said, time.process_time() - begun


def mutate(text: str, count: int, seed: int) -> tuple[str, frozenset[str]]:
    """Return a database with one change in each of `count` proofs, and the labels of these."""
    rng = Random(seed)
    plain = re.sub(r"\$\(\s.*?\s\$\)", " ", text, flags=re.DOTALL)
    chosen = sorted(rng.sample(list(_PROOF.finditer(plain)), count), key=lambda m: m.start())
    parts, end = [], 0
    for match in chosen:
        parts += [plain[end : match.start(2)], " ".join(_changed(match[2].split(), rng)), " "]
        end = match.end(2)
    return "".join(parts) + plain[end:], frozenset(match[1] for match in chosen)


def _changed(proof: list[str], rng: Random) -> list[str]:
    """Return a proof with a label or a letter replaced, left out, doubled or swapped."""
    close = proof.index(")") if proof[0] == "(" else -1
    labels, letters = proof[1 : max(close, 0)], list("".join(proof[close + 1 :]))
    if close < 0:
        return _edited(proof, proof, rng)
    if len(labels) > 1 and rng.random() < 0.4:
        labels = _edited(labels, labels, rng)
    else:
        letters = _edited(letters, _LETTERS, rng)
    return ["(", *labels, ")", "".join(letters)]


def _edited(items: list[str], others: Sequence[str], rng: Random) -> list[str]:
    place, other = rng.randrange(len(items)), rng.choice(others)
    match rng.randrange(4):
        case 0:
            return [*items[:place], other, *items[place + 1 :]]
        case 1:
            return [*items[:place], *items[place + 1 :]]
        case 2:
            return [*items[:place], items[place], *items[place:]]
    swap = rng.randrange(len(items))
    items = list(items)
    items[place], items[swap] = items[swap], items[place]
    return items


def metamath_verdicts(text: str, labels: frozenset[str]) -> dict[str, bool]:
    """Return what the program `metamath` says of each of these proofs."""
    asked = [f"verify proof {label}" for label in sorted(labels)]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "changed.mm").write_text(text, encoding="latin-1")
        commands = ["set scroll continuous", "read changed.mm", *asked]
        log = subprocess.run(
            ["metamath"], input="\n".join([*commands, "exit", "exit"]), cwd=folder,
            capture_output=True, text=True, encoding="latin-1", check=False,
        ).stdout  # fmt: skip
    # The dialogue has no echo: a prompt, then the reply to the next command.
    replies = log.split("MM> ")[3:]
    return {label: "?" not in r for label, r in zip(sorted(labels), replies[:-1], strict=True)}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--databases", nargs="+", default=["set.mm", "iset.mm", "nf.mm", "ql.mm"])
    parser.add_argument("--mutants", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    texts = {name: (FOLDER / name).read_text(encoding="latin-1") for name in args.databases}
    for name, text in texts.items():
        said, seconds = verdicts(text)
        right = sum(said.values())
        print(
            f"{name}: {right} of {len(said)} proofs accepted, {len(said) / seconds:,.0f} a second"
        )
    changed, labels = mutate(texts[args.databases[0]], args.mutants, args.seed)
    own, _ = verdicts(changed, labels)
    reference = metamath_verdicts(changed, labels)
    differ = sorted(label for label in labels if own[label] != reference[label])
    rejected = sum(not right for right in reference.values())
    print(
        f"{len(labels)} changed proofs of {args.databases[0]}: metamath rejects {rejected}, "
        f"{len(labels) - len(differ)} verdicts are equal; different: {differ[:20] or 'none'}"
    )
    return 1 if differ else 0


if __name__ == "__main__":
    raise SystemExit(main())
