"""Variation: mutations of one parent and crossovers of two, one file an operator."""
