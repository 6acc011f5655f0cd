"""Sweeps over SCNN arrays and densities, and the figure that they draw."""
