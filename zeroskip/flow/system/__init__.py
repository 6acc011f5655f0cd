"""The chip around an engine, which runs command lists from memory, as hardware."""
