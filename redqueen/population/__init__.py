"""Who takes part: members, their ratings, and who meets whom."""

from redqueen.population.hall_of_fame import HallOfFame
from redqueen.population.matchmaking import make_matches, numbered_on, players
from redqueen.population.paging import DiskPager, Moments, most_players
from redqueen.population.population import Population
from redqueen.population.ratings import RatingSystem, match_results

__all__ = [
    "DiskPager",
    "HallOfFame",
    "Moments",
    "Population",
    "RatingSystem",
    "make_matches",
    "match_results",
    "most_players",
    "numbered_on",
    "players",
]
