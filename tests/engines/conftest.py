"""The fixtures of small models, and engines in one process over them."""

from tests.small_engines import make_engine
from tests.small_models import make_model, model_dirs

__all__ = ["make_engine", "make_model", "model_dirs"]
