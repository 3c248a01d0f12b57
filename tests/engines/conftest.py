"""The fixtures of small models, for every test below."""

from tests.small_models import make_policy, model_dirs

__all__ = ["make_policy", "model_dirs"]
