"""What every proposal passes before anything reads, runs or shows it."""

from redqueen.screens.base import UNSAFE, Screen, hold_back, is_unsafe

__all__ = ["UNSAFE", "Screen", "hold_back", "is_unsafe"]
