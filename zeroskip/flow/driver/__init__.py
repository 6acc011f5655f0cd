"""A driver in C for a network in memory, made from the description of registers and the image."""
