"""Sweeps over the parameters of the array, on the cycle model."""
