"""The chip of both engines, simulated."""
