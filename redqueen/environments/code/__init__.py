"""environments/code."""
