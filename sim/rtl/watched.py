"""Name what tells a simulation which ports to watch, for both sides: only one has cocotb."""

__all__ = ["WATCHED"]

WATCHED = "ZEROSKIP_WATCHED_PORTS"
"""The environment variable that names the ports to watch; none unless it is set."""
