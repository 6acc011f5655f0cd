"""Check what passes say of channels that their owners send over the position bus."""

from zeroskip.compiler.image.strict import must_be
from zeroskip.compiler.scnn.run import ScnnDescriptor
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["check_bus"]


def check_bus(where: str, step: ScnnDescriptor, params: ScnnParams) -> None:
    """Check that blocks of owners are made of blocks of the pass, and have the entries they send.

    Raises
    ------
    ValueError
        Naming the field, which is in ``where``.
    """
    if not step.bus:
        for name in ("src_block_x", "src_block_y", "src_entries", "src_step_x", "src_step_y"):
            must_be(f"{where}.{name}", getattr(step, name), "that of a pass without bus", 0)
        return
    if not params.act_fifo_words:
        raise ValueError(f"{where}.bus must be false: the array has no bus (act_fifo_words = 0)")
    for axis, pes in (("x", params.pes_x), ("y", params.pes_y)):
        name, grid = f"{where}.src_block_{axis}", (pes - 1).bit_length()
        # A block at least as large as the grid is the grid.
        own = min(getattr(step, f"block_{axis}"), grid)
        block = getattr(step, f"src_block_{axis}")
        if block not in (own, own + 1) or block > grid:
            most = f" or {own + 1}" if own < grid else ""
            raise ValueError(f"{name} must be {own}{most}, as block_{axis} says, not {block}")
        if block == own:
            rule = "that of owners' blocks as large as those of the pass"
            must_be(f"{where}.src_step_{axis}", getattr(step, f"src_step_{axis}"), rule, 0)
    most = params.num_channels - step.src_base
    if not 1 <= step.src_entries <= most:
        raise ValueError(
            f"{where}.src_entries must be 1 to {most}, the entries of a directory from "
            f"src_base = {step.src_base} on, not {step.src_entries}"
        )
