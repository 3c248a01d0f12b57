"""How one task becomes rollouts, one file an interaction."""
