"""Tasks of reasoning-gym's generators (Stojanovski et al., arXiv 2505.24760)."""

from redqueen.environments.gym.environment import Gym, GymEnvironment

__all__ = ["Gym", "GymEnvironment"]
