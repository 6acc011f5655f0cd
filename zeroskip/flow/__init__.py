"""Flows around the RTL: synthesis, boards, the host at a board's serial line."""
