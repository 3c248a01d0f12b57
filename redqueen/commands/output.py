"""How commands print for other programs."""

import json
from typing import Any


def print_json(value: Any) -> None:
    """Print plain values for another program."""
    print(json.dumps(value, indent=2, allow_nan=False))
