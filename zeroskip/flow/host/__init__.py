"""The host's end of a board: plain Python, NumPy and pyserial."""

from zeroskip.flow.host.board import Board, Identity
from zeroskip.flow.host.errors import HostError
from zeroskip.flow.host.line import Line
from zeroskip.flow.host.run import BoardResult, load_image, run_image

__all__ = ["Board", "BoardResult", "HostError", "Identity", "Line", "load_image", "run_image"]
