"""Energy of an inference: counts of accesses times energy of an access."""
