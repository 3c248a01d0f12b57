"""Write which calls of the hand-written functions are solved by repeating their output.

    python -m recipes.echoes

Building the suites needs no sandbox, so what the guard `echo` of the code environment would find in
them is kept in a file beside them: function -> the calls' places. A test makes it anew.
"""

import json
from pathlib import Path

from redqueen.config import SandboxConfig
from redqueen.environments.code.echo import find_echoes
from redqueen.environments.code.handwritten import Exercise, read_folder
from redqueen.environments.code.reading import parameters_of
from redqueen.errors import InfrastructureError
from redqueen.sandbox import Outcome, Sandbox, make_sandbox

FOLDER = Path(__file__).parents[1] / "redqueen/environments/code"
FOLDERS = ("exercises", "seeds")


def echoes(exercises: tuple[Exercise, ...], sandbox: Sandbox) -> dict[str, list[int]]:
    """Return for each function that has any the places of the calls that their output solves.

    Raises:
        InfrastructureError: the sandbox failed.
    """
    asked = [(item, place) for item in exercises for place in range(len(item.cases))]
    programs = [
        (item.program, item.cases[place][1], len(parameters_of(item.program)))
        for item, place in asked
    ]
    places: dict[str, list[int]] = {}
    for (item, place), echo in zip(asked, find_echoes(sandbox, programs), strict=True):
        if isinstance(echo, Outcome):
            raise InfrastructureError(f"the sandbox failed on {item.name}: {echo.message}")
        if echo:
            places.setdefault(item.name, []).append(place)
    return places


def main() -> None:
    """Command line."""
    with make_sandbox(SandboxConfig()) as sandbox:
        for folder in FOLDERS:
            text = json.dumps(echoes(read_folder(folder, letters=False), sandbox), indent=1)
            (FOLDER / folder / "echoes.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
