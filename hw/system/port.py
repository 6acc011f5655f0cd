"""The port of the system to an engine: commands, rows of activations, and weights."""

from typing import Any

from amaranth.hdl import unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.formats import ADDR_BITS
from zeroskip.hw.system.formats import ROW_BITS, write_request_layout
from zeroskip.hw.system.jobs import Engine
from zeroskip.hw.system.params import SystemParams

__all__ = ["PASS_BITS", "EnginePort", "rows_in_layout", "rows_out_layout"]

PASS_BITS = 12
"""Width of the number of a pass."""


def rows_in_layout(p: SystemParams) -> data.StructLayout:
    """Lay out which rows an engine is to expect.

    Fields
    ------
    base, rows : from row ``base`` up, ``rows`` of them.
    addr : where they are in memory, for an engine that asks for its beats itself.
    """
    return data.StructLayout({
        "base": unsigned(ADDR_BITS),
        "addr": unsigned(p.addr_bits),
        "rows": unsigned(ROW_BITS),
    })


def rows_out_layout(p: SystemParams) -> data.StructLayout:
    """Lay out which rows an engine is to give: of the destination file, or of the source.

    Fields
    ------
    base, addr, rows : as in :func:`rows_in_layout`.
    dest : of the destination.
    follow : those of the result: while a run is under way, each when it has been made.
    """
    return data.StructLayout({
        **rows_in_layout(p).members,
        "dest": unsigned(1),
        "follow": unsigned(1),
    })


class EnginePort(wiring.Signature):
    """What goes between the system and an engine; directions are the system's.

    Members
    -------
    cmd : ``Out(stream)``, commands to the engine's host port.
    running : In, it is at work; from the cycle after a command that begins it.
    lost : In, it had no room for outputs of its last run.
    pass_number, pass_drains : In, of the pass at work: its number, 0 if there is none, and whether
        it has begun to drain.
    in_start, in_rows, in_busy, in_lost, rows_in : see :class:`.Load`.
    out_start, out_rows, rows_out : see :class:`.Store`.
    in_request, out_request : ``In(stream(write_request_layout))``, of an engine that asks itself:
        beats that it wants to read, and to write.
    out_busy, out_mask : In, of such an engine, see :class:`.StoreAsked`.
    weights : ``Out(stream(stream_bits))``, of an engine that takes weights while it is at work.

    Parameters
    ----------
    params : of the port to memory.
    engine : whose port it is.
    """

    def __init__(self, params: SystemParams, engine: Engine) -> None:
        rows = stream.Signature(engine.row_bits)
        request = In(stream.Signature(write_request_layout(params)))
        asked: dict[str, Any] = {
            "in_request": request,
            "out_request": request,
            "out_busy": In(1),
            "out_mask": In(params.beat_bytes),
        }
        weights = {"weights": Out(stream.Signature(engine.stream_bits))}
        super().__init__({
            "cmd": Out(stream.Signature(engine.command)),
            "running": In(1),
            "lost": In(1),
            "pass_number": In(PASS_BITS),
            "pass_drains": In(1),
            "in_start": Out(1),
            "in_rows": Out(rows_in_layout(params)),
            "in_busy": In(1),
            "in_lost": In(1),
            "rows_in": Out(rows),
            "out_start": Out(1),
            "out_rows": Out(rows_out_layout(params)),
            "rows_out": In(rows),
            **(asked if engine.asks else {}),
            **(weights if engine.stream_bits else {}),
        })
