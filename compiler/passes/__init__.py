"""Passes that every engine's compilation shares."""
