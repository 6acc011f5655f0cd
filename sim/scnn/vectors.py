"""What the exported testbench of an array reads: SRAMs, beats of weights, and the host's words."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.engine import SramData
from zeroskip.compiler.image.readmem import to_hex
from zeroskip.compiler.scnn.engine import ScnnPart
from zeroskip.compiler.scnn.run import ActStore, ScnnRun
from zeroskip.compiler.scnn.tiles import encode_tiles
from zeroskip.hw.common.control import Command
from zeroskip.hw.scnn.array import ARRAY_MODULE
from zeroskip.hw.scnn.formats import VERSION, Space, StallClass, counter_row, host_bits
from zeroskip.hw.scnn.packing import Packing
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.bench_files import HostRun, run_files
from zeroskip.sim.rtl.runs import host_writes
from zeroskip.sim.scnn.loads import block_members, encode_loads, members
from zeroskip.sim.scnn.room import Room, count_words, made_layout, made_planes
from zeroskip.sim.scnn.rtl_build import scnn_sram_instances
from zeroskip.sim.scnn.rtl_files import scnn_place

__all__ = ["bench_files"]

Words = NDArray[np.uint64]
Tensors = Mapping[str, NDArray[np.int64]]


def bench_files(
    part: ScnnPart, tensors: Tensors, run_cycles: NDArray[np.int64]
) -> Mapping[str, bytes]:
    """Write files for ``$readmemh`` by name, which ``zeroskip/flow/testbench.v`` reads.

    The contents of an SRAM have the name of its path inside the array, with dots.

    Parameters
    ----------
    part : of a compiled network, with room for all that the inputs make.
    tensors : (n, C, H, W) int64 by name, all that its runs load and make.
    run_cycles : (n, runs) that the model says.
    """
    p = part.params
    srams = [dict(run.srams) for run in part.runs]
    beats, places = _beats([contents.pop("weights", None) for contents in srams])
    replaced = {name for contents in srams[1:] for name in contents}
    again = {name: sram for name, sram in srams[0].items() if name in replaced}
    found: list[HostRun] = []
    for sample, cycles in enumerate(run_cycles.tolist()):
        here = {name: tensor[sample] for name, tensor in tensors.items()}
        room = Room(p)
        for number, run in enumerate(part.runs):
            # The first run's SRAMs are filled from the start.
            anew = srams[number] if number else again if sample else {}
            found.append(
                HostRun(
                    clearing=Command.CLEAR_COUNTERS if number else Command.CLEAR,
                    start=Command.START,
                    cycles=cycles[number],
                    writes=_joined([host_writes(anew, scnn_place), *_loads(p, run, here)]),
                    reads=_joined([*_stores(p, run, here, room)]),
                    beats=places[number],
                )
            )
    files = {
        f"{instance.removeprefix(f'{ARRAY_MODULE}.')}.hex": to_hex(sram.words, sram.width)
        for name, sram in srams[0].items()
        for instance in scnn_sram_instances(p, name)
    }
    # A clearing goes through accumulators and counters.
    sweep = max(1 << p.acc_addr_bits, counter_row(p.num_descriptors, len(StallClass)))
    return {
        **files,
        "weights.hex": to_hex(beats, Packing.of(p).beat),
        **run_files(
            found,
            version=VERSION | p.num_pes << 16,
            data_bits=host_bits(p),
            most=2 * int(run_cycles.max()) + 2 * sweep + 1000,
            own=len(beats),
        ),
    }


def _beats(streamed: list[SramData | None]) -> tuple[Words, list[tuple[int, int]]]:
    """Put the weights of all runs behind one another; return first and number of each run's.

    A run that has none of its own is given those of the run before.
    """
    parts: list[Words] = []
    places: list[tuple[int, int]] = []
    total = 0
    for sram in streamed:
        if sram is not None:
            parts.append(sram.words)
            places.append((total, len(sram.words)))
            total += len(sram.words)
        else:
            places.append(places[-1])
    return np.concatenate(parts), places


def _loads(p: ScnnParams, run: ScnnRun, tensors: Tensors) -> Iterator[Words]:
    """Give what the host writes to activation RAMs and directories, (words, 3 + limbs)."""
    for load, tiles, blocks in encode_loads(p, run.loads, tensors):
        directory = tiles.directory(p)
        for pe, place in members(p, load.layout, blocks):
            first = int(tiles.starts[place, 0])
            yield _words(Space.ACT, pe, first, tiles.words[place])
            yield _words(Space.DIRECTORY, pe, load.base, directory[place][:, None])


def _stores(p: ScnnParams, run: ScnnRun, tensors: Tensors, room: Room) -> Iterator[Words]:
    """Give what the host reads after a run, as the encoder makes it of golden's outputs.

    Parameters
    ----------
    room : of the outputs of this sample's runs so far.
    """
    # Where outputs begin in each PE is up to what was written before.
    starts: dict[int, NDArray[np.int64]] = {}
    for step, output in zip(run.program, run.outputs, strict=True):
        if output is not None:
            words = count_words(p, made_layout(step), made_planes(output, tensors))
            room.take(words, step.dst_word, step.dst_limit, append=bool(step.append))
            starts[step.dst_base] = room.start
    for store in run.stores:
        yield from _store(p, store, tensors, starts[store.base])


def _store(
    p: ScnnParams, store: ActStore, tensors: Tensors, start: NDArray[np.int64]
) -> Iterator[Words]:
    layout = store.layout
    for number, block in enumerate(store.blocks):
        if block.start == block.stop:
            continue
        values = tensors[block.tensor][block.start : block.stop]
        inside = [(pe, place) for at, pe, place in block_members(p, layout) if at == number]
        first = np.zeros(1 << layout.block_x + layout.block_y, np.int64)
        for pe, place in inside:
            first[place] = start[pe]
        tiles = encode_tiles(p, layout, values, first)
        directory = tiles.directory(p)
        for pe, place in inside:
            yield _words(Space.DIRECTORY, pe, store.base, directory[place][:, None])
            yield _words(Space.ACT, pe, int(first[place]), tiles.words[place])


def _words(space: Space, pe: int, row: int, words: Words) -> Words:
    """Put space, PE and row before each of words that are in rows from ``row`` on."""
    found = np.empty((len(words), 3 + words.shape[1]), np.uint64)
    found[:, 0], found[:, 1] = space.value, pe
    found[:, 2] = row + np.arange(len(words))
    found[:, 3:] = words
    return found


def _joined(parts: list[Words]) -> Words:
    """Join words of several widths."""
    widest = max((part.shape[1] for part in parts), default=4)
    return np.concatenate([
        np.zeros((0, widest), np.uint64),
        *(np.pad(part, ((0, 0), (0, widest - part.shape[1]))) for part in parts),
    ])
