"""The chip of both engines in the flows."""
