"""A convolution from memory to memory: weights and inputs in, outputs back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.fixed import run_layer
from zeroskip.compiler.ir.graph import INPUT, QuantGraph
from zeroskip.compiler.scnn.moves import run_moves
from zeroskip.compiler.scnn.run import ScnnRun
from zeroskip.compiler.system.bytes import words_bytes
from zeroskip.compiler.system.lists import command_list
from zeroskip.compiler.system.moves import Load, RowsIn, RowsOut, RowTensor, Weights
from zeroskip.compiler.system.moves import Run as RunMove
from zeroskip.hw.system.formats import COMMAND_BYTES
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.scnn.benchmark.layers import ConvLayer
from zeroskip.sim.scnn.benchmark.machines import dense_cycles
from zeroskip.sim.scnn.benchmark.run import CompiledLayer
from zeroskip.sim.scnn.cycles.program import ScnnCycles
from zeroskip.sim.scnn.state import ScnnState
from zeroskip.sim.scnn.transfers import plane_transfer
from zeroskip.sim.system.cycles import Started, TimedArray, count_system
from zeroskip.sim.system.golden import Performed
from zeroskip.sim.system.memory import MemorySettings
from zeroskip.sim.system.state import Cycles, RunCycles

__all__ = ["PORT", "LayerTotal", "dense_total", "total_layer"]

PORT = SystemParams()
"""Of the chip to its memory: 128 bits."""

_ON_CHIP = 2 << 20
"""Bytes of activations that the dense machine keeps on the chip."""

_DENSE_BYTES = 2


@dataclass(frozen=True)
class LayerTotal:
    """What a layer takes from its START to its end.

    Parameters
    ----------
    cycles : a list that loads all it needs, with nothing queued before or behind.
    bytes : read and written, the list among them.
    """

    cycles: int
    bytes: int


class _KnownOutputs(ScnnState):
    """An array whose runs make what is known already."""

    def put_run(self, run: ScnnRun, outputs: NDArray[np.int64]) -> None:
        """Put the outputs of a run, of (K, H, W), where its passes write them."""
        for step, output in zip(run.program, run.outputs, strict=True):
            if output is None:
                continue
            rows = slice(output.y0, output.y0 + output.height)
            columns = slice(output.x0, output.x0 + output.width)
            depth = max(block.stop - block.start for block in output.blocks)
            blocks: list[NDArray[np.int64]] = []
            for block in output.blocks:
                values = np.zeros((depth, output.height, output.width), np.int64)
                values[: block.stop - block.start] = outputs[
                    block.start : block.stop, rows, columns
                ]
                blocks.append(values)
            self.put_outputs(step, blocks)


class _Runs:
    """Counts the cycles of a layer's runs, each as often as it is asked."""

    def __init__(self, compiled: CompiledLayer) -> None:
        self._tensors = {INPUT: compiled.acts}
        # Before each run so far.
        self._models = [ScnnCycles(compiled.params, compiled.runs)]

    def count(
        self, run: int, arrivals: Cycles, begin: int, loaded: int, beats: Cycles
    ) -> RunCycles:
        """Count the cycles of a run, see :data:`.CountRun`."""
        del arrivals, begin, loaded
        while len(self._models) <= run:
            model = self._models[-1].again()
            model.count(len(self._models) - 1, self._tensors)
            self._models.append(model)
        found = self._models[run].again().count(run, self._tensors, arrives=beats)
        return RunCycles(found.cycles, taken=found.taken)


def total_layer(compiled: CompiledLayer) -> LayerTotal:
    """Count the cycles of a layer that loads everything from memory.

    Parameters
    ----------
    compiled : the layer.
    """
    p, conv = compiled.params, compiled.conv
    graph = QuantGraph(conv.in_shape, (conv,), (conv.name,))
    moves = run_moves(graph, compiled.runs, {}, p, PORT)
    outputs, _ = run_layer(conv, compiled.acts[None], acc_bits=p.acc_bits, act_bits=p.act_bits)
    state = _KnownOutputs(p, PORT)
    order = [*moves.setup, *moves.inference]
    # Where it lies does not matter, but for the page that a burst is in.
    address: dict[str, int] = {}
    end = 0
    for one in order:
        if isinstance(one, Load | Weights) and one.name not in address:
            address[one.name] = end
            end += -(-len(words_bytes(one.words, one.width)) // 64) * 64
    for tensor in moves.tensors:
        address[tensor.name] = end
        end += -(-tensor.rows * PORT.beat_bytes // 64) * 64
    sizes = {(0, tensor.name): PORT.beat_bytes for tensor in moves.tensors}
    commands = list(command_list(order, address, sizes, in_place=moves.in_place))
    performed: list[Performed] = []
    number = 0
    for command, move in zip(commands, [*order, None], strict=True):
        moved = None
        match move:
            case Load():
                state.load(move.space, move.pe, 0, move.words)
            case RowsIn():
                moved = state.take_rows(0, _rows(compiled.acts, moves.tensors[0]))
            case RowsOut():
                before = _rows(outputs[0] * 0, moves.tensors[-1])
                _, moved = state.give_rows(0, before, destination=False)
            case RunMove():
                state.put_run(compiled.runs[number], outputs[0])
                moved, number = number, number + 1
            case None:
                pass
        fields = {
            name: int(getattr(command, name))
            for name in ("space", "wait", "pe", "engine", "row", "addr", "count")
        }
        performed.append(Performed(command.op, fields, moved))
    array = TimedArray(
        state, _Runs(compiled).count, lambda moved: plane_transfer(p, state.lanes, moved)
    )
    started = Started(0, end, len(commands) * COMMAND_BYTES, performed)
    found = count_system([array], PORT, MemorySettings(), [started])
    beats = found.read_beats + found.write_beats
    return LayerTotal(found.cycles[0], beats * PORT.beat_bytes)


def _rows(values: NDArray[np.int64], tensor: RowTensor) -> NDArray[np.int64]:
    """Lay a tensor out as rows of a beat."""
    flat = np.zeros(tensor.rows * tensor.lanes, np.int64)
    flat[tensor.positions] = values.reshape(-1)
    return flat.reshape(-1, tensor.lanes)


def dense_total(layer: ConvLayer) -> int:
    """Count the cycles of the dense machine behind the same port, overlapped perfectly.

    Weights come through the port, 16 bits each; activations do where 2 MB do not hold them.
    """
    acts = int(np.prod(layer.in_shape) + np.prod(layer.out_shape)) * _DENSE_BYTES
    moved = int(np.prod(layer.weight_shape)) * _DENSE_BYTES
    moved += acts if acts > _ON_CHIP else 0
    return max(dense_cycles(layer), -(-moved // PORT.beat_bytes))
