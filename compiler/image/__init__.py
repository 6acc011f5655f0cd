"""Compiled networks, as folders."""
