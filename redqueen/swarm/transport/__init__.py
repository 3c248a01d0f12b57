"""How messages travel between nodes, one file a way."""
