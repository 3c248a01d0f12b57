"""Families of verifiable tasks, one file each behind the `Domain` protocol."""

from redqueen.domains.archive import Archive
from redqueen.domains.base import Attempt, Domain, Draft, Judgement
from redqueen.domains.code import CodeDomain

__all__ = ["Archive", "Attempt", "CodeDomain", "Domain", "Draft", "Judgement"]
