"""Who takes part: members, their ratings, and who meets whom."""

from redqueen.population.hall_of_fame import HallOfFame
from redqueen.population.matchmaking import make_matches, numbered_on, players
from redqueen.population.paging import DiskPager, check_paged, make_pager
from redqueen.population.population import Population
from redqueen.population.ratings import RatingSystem, match_results

__all__ = [
    "DiskPager",
    "HallOfFame",
    "Population",
    "RatingSystem",
    "check_paged",
    "make_matches",
    "make_pager",
    "match_results",
    "numbered_on",
    "players",
]
