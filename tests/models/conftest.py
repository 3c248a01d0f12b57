"""The fixtures of small models, for every test below."""

from tests.small_models import make_model, model_dirs

__all__ = ["make_model", "model_dirs"]
