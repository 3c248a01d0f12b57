"""Who takes part: members, their ratings, and who meets whom."""

from redqueen.population.matchmaking import make_matches, numbered_on
from redqueen.population.population import Population
from redqueen.population.ratings import RatingSystem, match_results

__all__ = ["Population", "RatingSystem", "make_matches", "match_results", "numbered_on"]
