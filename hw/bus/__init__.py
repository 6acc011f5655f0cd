"""Buses that others know: registers from one description, AXI4 and Wishbone around a chip."""
