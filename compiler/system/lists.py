"""Write command lists: moves with addresses, and with what each has to wait for."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from zeroskip.compiler.system.bytes import SystemCommand
from zeroskip.compiler.system.moves import Load, Move, RowsIn, RowsOut, Weights
from zeroskip.hw.common.control import Command
from zeroskip.hw.system.formats import PACKED, Op, Wait

__all__ = ["command_list"]

_DESTINATION = 1 << 31
_PASSES = 1 << 8
"""Passes whose number a command has room for."""


def command_list(
    moves: Sequence[Move],
    address: Mapping[str, int],
    row_size: Mapping[tuple[int, str], int],
    *,
    packed: Collection[tuple[int, str]] = (),
    in_place: Collection[int] = (),
) -> Iterator[SystemCommand]:
    """Give the commands of a list, END included.

    One function, longer than others: a case for each kind of move, and what waits is known of all
    that went before.

    Rows come in while an array runs, and go out while it runs again. A run begins as soon as its
    rows begin to come in, unless words are loaded behind them, or they come from several places. Of
    an array that works in place nothing overlaps.

    Parameters
    ----------
    moves : in order.
    address : of each load's words and of each tensor, by name.
    row_size : bytes of a row of each tensor, by the engine that moves it.
    packed : tensors whose rows are, by engine; see :class:`.RowTensor`.
    in_place : see :class:`.Moves`.
    """
    written: set[str] = set()
    # By engine, whether rows that went out last are of the destination file; at first, those of the
    # inference before.
    destination = {move.engine: move.destination for move in moves if isinstance(move, RowsOut)}
    # Whether a run has to wait for what has been begun, and whether rows for it are on their way.
    loaded: dict[int, bool] = defaultdict(bool)
    coming: dict[int, bool] = defaultdict(bool)
    for move in moves:
        number = move.engine
        match move:
            case Load():
                loaded[number] = True
                yield SystemCommand(
                    op=Op.LOAD,
                    engine=number,
                    space=move.space,
                    pe=move.pe,
                    addr=address[move.name],
                    count=len(move.words),
                )
            case Weights():
                yield SystemCommand(
                    op=Op.WEIGHTS,
                    engine=number,
                    addr=address[move.name],
                    count=len(move.words),
                )
            case RowsIn():
                loaded[number], coming[number] = coming[number], True
                yield SystemCommand(
                    op=Op.INPUT,
                    engine=number,
                    wait=Wait.OUTPUTS if move.tensor in written else Wait(0),
                    space=PACKED if (number, move.tensor) in packed else 0,
                    row=move.row,
                    addr=address[move.tensor] + move.first * row_size[number, move.tensor],
                    count=move.rows,
                )
            case RowsOut():
                written.add(move.tensor)
                destination[number] = move.destination
                follows = move.made_from is not None and move.made_from < _PASSES
                yield SystemCommand(
                    op=Op.OUTPUT,
                    engine=number,
                    wait=(Wait.DRAIN if follows else Wait.ENGINE)
                    | (Wait.LOADS if number in in_place else Wait(0)),
                    pe=move.made_from or 0 if follows else 0,
                    row=_DESTINATION if move.destination else 0,
                    addr=address[move.tensor] + move.first * row_size[number, move.tensor],
                    count=move.rows,
                )
            case _:
                alone = number in in_place
                waits = (loaded[number] or alone or not move.takes) and not move.beside
                # A run writes the destination file from its first drain on.
                outputs = Wait.OUTPUTS if destination.get(number) else Wait(0)
                loaded[number] = destination[number] = coming[number] = False
                source = Command.NEXT if move.takes else Command.KEEP
                source |= Command.BEGIN if move.begins else 0
                yield SystemCommand(
                    op=Op.CONTROL,
                    engine=number,
                    wait=(Wait.LOADS if waits else Wait(0)) | outputs,
                    row=Command.START | (Command(0) if alone else source),
                )
    yield SystemCommand(op=Op.END)
