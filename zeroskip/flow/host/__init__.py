"""The host's end of a board: plain Python, NumPy and pyserial."""

from zeroskip.flow.host.board import Board, Identity
from zeroskip.flow.host.line import HostError, Line

__all__ = ["Board", "HostError", "Identity", "Line"]
