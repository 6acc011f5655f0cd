"""Explore a network before it is compiled: densities, estimated speed, and what would help."""
