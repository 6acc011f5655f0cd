"""EIE, simulated."""
