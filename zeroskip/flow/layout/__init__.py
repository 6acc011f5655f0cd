"""Layout of a unit with programs of Debian: placed, routed, timed and checked."""
