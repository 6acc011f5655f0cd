"""From RTL to gates: what a design takes of a cell library, and how long its paths are."""
