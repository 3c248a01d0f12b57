"""Nodes that train on each other's rollouts: SAPO (arXiv 2509.08721), on transports that exist."""
