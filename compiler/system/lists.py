"""Write command lists: moves with addresses, and with what each has to wait for."""

from collections.abc import Iterator, Mapping, Sequence

from zeroskip.compiler.system.bytes import SystemCommand
from zeroskip.compiler.system.moves import Load, Move, RowsIn, RowsOut, Weights
from zeroskip.hw.common.control import Command
from zeroskip.hw.system.formats import Op, Wait

__all__ = ["command_list"]

_DESTINATION = 1 << 31
_PASSES = 1 << 8
"""Passes whose number a command has room for."""


def command_list(
    moves: Sequence[Move],
    address: Mapping[str, int],
    row_size: Mapping[str, int],
    *,
    in_place: bool = False,
) -> Iterator[SystemCommand]:
    """Give the commands of a list, END included.

    Rows come in while the array runs, and go out while it runs again. A run begins as soon as its
    rows begin to come in, unless words are loaded behind them. What is in place overlaps in
    nothing.

    Parameters
    ----------
    moves : in order.
    address : of each load's words and of each tensor, by name.
    row_size : bytes of a row of each tensor.
    in_place : see :class:`.Moves`.
    """
    alone = Wait.ENGINE | Wait.OUTPUTS if in_place else Wait(0)
    written: set[str] = set()
    # Whether rows that went out last are of the destination file; at first, those of the inference
    # before.
    outputs = [move for move in moves if isinstance(move, RowsOut)]
    destination, loaded = any(move.destination for move in outputs[-1:]), False
    for move in moves:
        match move:
            case Load():
                loaded = True
                yield SystemCommand(
                    op=Op.LOAD,
                    wait=alone & Wait.OUTPUTS,
                    space=move.space,
                    pe=move.pe,
                    addr=address[move.name],
                    count=len(move.words),
                )
            case Weights():
                # Those of one run at a time are in the array.
                yield SystemCommand(
                    op=Op.WEIGHTS,
                    wait=Wait.ENGINE,
                    addr=address[move.name],
                    count=len(move.words),
                )
            case RowsIn():
                loaded = False
                yield SystemCommand(
                    op=Op.INPUT,
                    wait=alone | (Wait.OUTPUTS if move.tensor in written else Wait(0)),
                    addr=address[move.tensor] + move.first * row_size[move.tensor],
                    count=move.rows,
                )
            case RowsOut():
                written.add(move.tensor)
                destination = move.destination
                follows = move.made_from is not None and move.made_from < _PASSES
                yield SystemCommand(
                    op=Op.OUTPUT,
                    wait=(Wait.DRAIN if follows else Wait.ENGINE)
                    | (Wait.LOADS if in_place else Wait(0)),
                    pe=move.made_from or 0 if follows else 0,
                    row=_DESTINATION if move.destination else 0,
                    addr=address[move.tensor] + move.first * row_size[move.tensor],
                    count=move.rows,
                )
            case _:
                wait = Wait.LOADS if loaded or in_place or not move.takes else Wait(0)
                # A run writes the destination file from its first drain on.
                wait |= Wait.OUTPUTS if destination else Wait(0)
                loaded = destination = False
                source = Command.NEXT if move.takes else Command.KEEP
                source |= Command.BEGIN if move.begins else 0
                yield SystemCommand(
                    op=Op.CONTROL,
                    wait=wait,
                    row=Command.START | (Command(0) if in_place else source),
                )
    yield SystemCommand(op=Op.END)
