"""Who takes part: members, their ratings, and who meets whom."""

from redqueen.population.matchmaking import MATCHMAKERS, make_matches
from redqueen.population.population import Population
from redqueen.population.ratings import RatingSystem

__all__ = ["MATCHMAKERS", "Population", "RatingSystem", "make_matches"]
