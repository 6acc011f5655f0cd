"""Documents and headers of registers, made from their description."""
