"""Trackers: where a run's curves go besides its own database."""
