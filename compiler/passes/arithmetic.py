"""The widths of an engine's arithmetic, which decide the formats of what it computes."""

from collections.abc import Iterable
from dataclasses import dataclass

from zeroskip.base.errors import CompileError

__all__ = ["Arithmetic", "common_act_bits"]

_WORD_BITS = 64


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """What an array has room for.

    Parameters
    ----------
    engine : whose array it is.
    act_bits, acc_bits : width of an activation and of an accumulator, which wraps.
    weight_bits : width of a shared weight, signed.
    code_bits : width of a weight's code; code 0 is weight 0. 0 if there are no codes.
    code_bits_limit : width that codes can have in an array of this engine with other parameters.
    plain_bits : width of a weight that is stored as it is, signed; 0 if all must be codes.
    """

    engine: str
    act_bits: int
    acc_bits: int
    weight_bits: int
    code_bits: int
    code_bits_limit: int
    plain_bits: int = 0

    @property
    def max_values(self) -> int:
        """Weights but 0 that a codebook holds."""
        return (1 << self.code_bits) - 1

    @property
    def max_shift(self) -> int:
        """Largest right shift from accumulator to output."""
        return min(_WORD_BITS, self.acc_bits) - 1


def common_act_bits(arithmetics: Iterable[Arithmetic]) -> int:
    """Return the width of the activations of a network.

    Raises
    ------
    CompileError
        If engines that it is given to have different ones.
    """
    first, *others = arithmetics
    for other in others:
        if other.act_bits != first.act_bits:
            raise CompileError(
                "activations of a network have one width, so "
                f"{other.engine.upper()} must have activations of {first.act_bits} bits as "
                f"{first.engine.upper()} has, not {other.act_bits}: give the "
                f"{other.engine.upper()} array act_bits = {first.act_bits}"
            )
    return first.act_bits
