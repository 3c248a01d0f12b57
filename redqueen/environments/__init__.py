"""Families of verifiable tasks, one package or file each behind `redqueen.environments.base`."""
