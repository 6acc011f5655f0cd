"""Sweeps over EIE arrays, and the figures of the paper that they draw."""
