"""Errors of simulation that a user can act on."""

__all__ = ["SimulationError", "ToolError"]


class ToolError(Exception):
    """A program that the simulation needs is missing or failed."""


class SimulationError(Exception):
    """A simulation did not come to its end."""
