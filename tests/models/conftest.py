"""The fixtures of small models, for every test below."""

import shutil
from pathlib import Path

import pytest

from tests.small_models import make_model, model_dirs

__all__ = ["make_model", "model_dirs"]


@pytest.fixture
def copy_of(model_dirs, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_dirs["llama"], tmp_path / "model"))
