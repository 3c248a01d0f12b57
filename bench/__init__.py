"""Measurements, each a command of the Makefile."""
