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
    for axis in ("x", "y"):
        own, block = getattr(step, f"block_{axis}"), getattr(step, f"src_block_{axis}")
        if block not in (own, own + 1):
            raise ValueError(
                f"{where}.src_block_{axis} must be block_{axis} = {own} or one more, not {block}"
            )
        if block == own:
            rule = "that of owners' blocks as large as those of the pass"
            must_be(f"{where}.src_step_{axis}", getattr(step, f"src_step_{axis}"), rule, 0)
    most = params.num_channels - step.src_base
    if not 1 <= step.src_entries <= most:
        raise ValueError(
            f"{where}.src_entries must be 1 to {most}, the entries of a directory from "
            f"src_base = {step.src_base} on, not {step.src_entries}"
        )
