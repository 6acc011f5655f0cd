"""A board's top under Verilator, at the end of a pseudo-terminal."""
