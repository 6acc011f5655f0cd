"""Sweeps: jobs, their journal, and the table that they make."""
