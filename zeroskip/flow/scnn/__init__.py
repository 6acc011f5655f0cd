"""SCNN in the flows: its netlist."""
