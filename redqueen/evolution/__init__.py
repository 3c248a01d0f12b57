"""Fitness, selection, variation and replacement of adapters, on low-rank factors alone."""
