"""The host's end of a board: plain Python, NumPy and pyserial."""

from hw.host.board import Board, Identity
from hw.host.errors import HostError
from hw.host.line import Line
from hw.host.run import BoardResult, load_image, run_image

__all__ = ["Board", "BoardResult", "HostError", "Identity", "Line", "load_image", "run_image"]
