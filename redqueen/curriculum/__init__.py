"""What decides which tasks are trained on: the archive, references, near copies, held-out tasks."""

from redqueen.curriculum.admit import admit
from redqueen.curriculum.archive import Archive, Cell, archive_metrics
from redqueen.curriculum.held_out import RESERVED, HeldOut, check_sources, suite_tasks
from redqueen.curriculum.near_copies import CopyIndex
from redqueen.curriculum.samplers import ReferenceRule
from redqueen.curriculum.seed_region import SeedRegion, outside_share
from redqueen.curriculum.stream import draw_stream
from redqueen.curriculum.worlds import World, Worlds, make_world

__all__ = [
    "RESERVED",
    "Archive",
    "Cell",
    "CopyIndex",
    "HeldOut",
    "ReferenceRule",
    "SeedRegion",
    "World",
    "Worlds",
    "admit",
    "archive_metrics",
    "check_sources",
    "draw_stream",
    "make_world",
    "outside_share",
    "suite_tasks",
]
