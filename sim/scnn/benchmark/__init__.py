"""SCNN's evaluation, run again."""
