"""Engines and learning on a Ray cluster. Needs the extra `ray`."""

from redqueen.cluster.ray.cluster import Ray

__all__ = ["Ray"]
