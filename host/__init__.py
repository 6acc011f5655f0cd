"""The host's end of a board: plain Python, NumPy and pyserial."""

from host.board import Board, Identity
from host.errors import HostError
from host.line import Line
from host.run import BoardResult, load_image, run_image

__all__ = ["Board", "BoardResult", "HostError", "Identity", "Line", "load_image", "run_image"]
