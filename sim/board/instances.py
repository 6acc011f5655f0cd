"""Where an image's SRAMs are in a board's top."""

from hw.board.top import BOARD_MODULE
from hw.eie.array import ARRAY_MODULE
from sim.rtl.eie import sram_instance

__all__ = ["board_instance"]


def board_instance(name: str) -> str:
    """Return the path, from the board's top down, of an image's SRAM, such as ``pe_3/spmat``."""
    inside = sram_instance(name).removeprefix(f"{ARRAY_MODULE}.")
    return f"{BOARD_MODULE}.array.{inside}"
