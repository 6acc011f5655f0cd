"""EIE in the flows: its netlists, and its array on boards."""
