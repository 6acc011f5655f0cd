"""What the array's memories hold, and what a run makes of it, from the words alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.engine import SramData
from zeroskip.compiler.scnn.run import ActLoad, Channels, PassOutput, ScnnRun, TileLayout
from zeroskip.hw.common.control import Command
from zeroskip.hw.scnn.formats import DESCRIPTOR_WORDS, Space, descriptor_layout, sram_files
from zeroskip.hw.scnn.packing import Packing
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.planes import (
    PLANE_IN,
    PLANE_OUT,
    plane_in_layout,
    plane_out_layout,
    plane_spaces,
    scnn_lanes,
)
from zeroskip.hw.system.formats import ROW_BITS, word_bytes
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.golden.words import LIMB_BITS, Descriptor, read_descriptors, unpack
from zeroskip.sim.scnn.accumulate import Accumulators, Stored, step_words
from zeroskip.sim.scnn.cycles.program import ScnnCycles
from zeroskip.sim.scnn.plane_places import PlaneMove, plane_places
from zeroskip.sim.scnn.room import Room, count_words, made_layout
from zeroskip.sim.scnn.streams import StreamReader, beat_numbers, split_beats

__all__ = ["RunLog", "RunRecord", "ScnnState"]

_PLANES = {PLANE_IN: plane_in_layout, PLANE_OUT: plane_out_layout}


@dataclass(frozen=True, kw_only=True)
class _Brought(ActLoad):
    """A plane that an INPUT brought, with channels as memory has them.

    If memory has the phases of a tensor, each is such a channel. Those of a channel of the tensor
    go to one block, so how many of them a block gets does not follow from how many there are.

    Parameters
    ----------
    most : that a block has entries for.
    shares : that each block gets, if they are dealt.
    """

    most: int
    shares: tuple[int, ...]

    def each(self, blocks: int) -> int:
        return self.most

    def of_block(self, block: int, blocks: int) -> tuple[Channels, ...]:
        if not self.dealt:
            return self.channels
        (every,) = self.channels
        first = sum(self.shares[:block])
        return (replace(every, start=first, stop=first + self.shares[block]),)


@dataclass(eq=False)
class RunRecord:
    """All runs since the reset, as the cycle model counts them, with what they read and make."""

    params: ScnnParams
    runs: list[ScnnRun] = field(default_factory=list)
    tensors: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    models: dict[tuple[int, int], ScnnCycles] = field(default_factory=dict)

    def model(self, number: int) -> tuple[ScnnCycles, int]:
        """Return a cycle model that stands before a run, and the run's number in it.

        It has the runs from one that gets inputs up to the next that does.
        """
        runs = self.runs
        end = next((n for n in range(number + 1, len(runs)) if runs[n].loads), len(runs))
        begin = max((n for n in range(number + 1) if runs[n].loads), default=0)
        if (number, end) not in self.models:
            if number == begin:
                made = ScnnCycles(self.params, runs[begin:end])
            else:
                made, before = self.model(number - 1)
                made.count(before, self.tensors)
            self.models[number, end] = made
        return self.models[number, end].again(), number - begin

    def follow(self, number: int, model: ScnnCycles) -> None:
        """Note a model that stands behind run ``number``."""
        runs = self.runs
        if number + 1 < len(runs) and not runs[number + 1].loads:
            end = next((n for n in range(number + 1, len(runs)) if runs[n].loads), len(runs))
            self.models.setdefault((number + 1, end), model)


@dataclass(frozen=True, eq=False)
class RunLog:
    """A run.

    Parameters
    ----------
    record : that it is in.
    number : of it in there.
    made : of each pass that drains: its number, descriptor, and outputs of each block of PEs.
    used : of each of these, the most rows of an activation RAM that a PE took for it.
    """

    record: RunRecord
    number: int
    made: list[tuple[int, Descriptor, list[NDArray[np.int64]]]]
    used: list[int]

    def words(self) -> list[tuple[int, int, int]]:
        """Return each step of outputs: number of the pass, 0, and word of all PEs."""
        return [
            (number, 0, word)
            for number, descriptor, outputs in self.made
            for word in step_words(self.record.params, descriptor, outputs)
        ]


class ScnnState:
    """The array between commands.

    Parameters
    ----------
    params : of the array.
    port : of the chip to its memory.
    """

    def __init__(self, params: ScnnParams, port: SystemParams) -> None:
        self._p, self._port = params, port
        self._srams: dict[str, NDArray[np.uint64]] = {}
        self._widths: dict[str, int] = {}
        for name, (rows, width) in sram_files(params).items():
            if not name.startswith("pe_") and name != "weights":
                self._srams[name] = np.zeros((rows, -(-width // LIMB_BITS)), np.uint64)
                self._widths[name] = width
        # Rows up to which something has been written.
        self._used: dict[str, int] = {}
        self._planes = {
            space: np.zeros(memory.rows, np.uint64)
            for space, memory in plane_spaces(params).items()
        }
        self._weights = np.zeros((0, self.stream_bits // LIMB_BITS), np.uint64)
        self._acts = Stored(params)
        self._sums = Accumulators(params)
        # Rows of the activation RAMs that loads, and those that passes, have written.
        self._loaded, self._made = Room(params), Room(params)
        self._lost = False
        self._loads: list[ActLoad] = []
        self._record = RunRecord(params)

    @property
    def stream_bits(self) -> int:
        """Width of a beat of weights."""
        return Packing.of(self._p).beat

    def stream(self, words: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Take beats of weights, (n, limbs), for the next run.

        Returns
        -------
        See :func:`.beat_numbers`; with those that fill up the port's last beat.
        """
        self._weights = np.concatenate([self._weights, words])
        most = max(1, self._port.data_bits // self.stream_bits)
        # Beats of 0 are schedules of nothing.
        return np.append(beat_numbers(words, self._p), np.full(-len(words) % most, -1))

    @property
    def lost(self) -> bool:
        """Whether the last run, or the last plane that was brought, found no room."""
        return self._lost

    def forget_weights(self) -> None:
        """Take the beats for a run away."""
        self._weights = self._weights[:0]

    def clear(self) -> None:
        """Be as after a reset, but for what memories hold."""
        self.forget_weights()
        self._sums.clear()
        self._made.clear()
        self._loads.clear()
        self._lost = False

    def word_bits(self, space: int) -> int:
        """Return the width of a word of a space; 0 if nothing can be loaded there."""
        if space in self._planes:
            return LIMB_BITS
        return self._widths.get(self._name(space, 0), 0)

    def reads_ahead(self, space: int) -> bool:
        """Say whether the array reads a space ahead of a run."""
        del space
        return False

    def has_words(self, space: int, pe: int, row: int, count: int) -> bool:
        """Say whether the array has these rows of a memory."""
        if space in self._planes:
            return pe == 0 and row + count <= len(self._planes[space])
        name = self._name(space, pe)
        return name in self._srams and row + count <= len(self._srams[name])

    def _name(self, space: int, pe: int) -> str:
        known = {one.value: one.name.lower() for one in Space}
        name = known.get(space, "")
        if name in self._srams:
            return name if pe == 0 else ""
        return f"stream_{pe}/{name}"

    @property
    def lanes(self) -> int:
        """Values of a row, which is a beat."""
        return scnn_lanes(self._port, self._p)

    @property
    def lane_bits(self) -> int:
        """Width of a value in memory."""
        return 8 * word_bytes(self._p.act_bits)

    @property
    def num_rows(self) -> int:
        """Rows that an INPUT or an OUTPUT can have."""
        return (1 << ROW_BITS) - 1

    def load(self, space: int, pe: int, row: int, words: NDArray[np.uint64]) -> None:
        """Write words, (n, limbs), to a memory from row ``row`` up."""
        if space in self._planes:
            self._planes[space][row : row + len(words)] = words[:, 0]
            return
        name = self._name(space, pe)
        # Runs keep what they have read.
        self._srams[name] = self._srams[name].copy()
        self._srams[name][row : row + len(words)] = words
        self._used[name] = max(self._used.get(name, 0), row + len(words))

    def _fields(self, space: int) -> dict[str, dict[str, int]]:
        """Read where a plane is."""
        layout: Any = _PLANES[space](self._p)
        bits = sum(int(word) << LIMB_BITS * place for place, word in enumerate(self._planes[space]))
        return {
            str(name): unpack(bits >> part.offset & (1 << part.width) - 1, part.shape)
            for name, part in layout
        }

    def take_rows(self, row: int, lanes: NDArray[np.int64]) -> PlaneMove:
        """Bring a plane, whose beats are (n, lanes), into the array."""
        del row
        p, fields = self._p, self._fields(PLANE_IN)
        plane, acts = fields["plane"], self._acts
        layout = _layout(plane, sy=plane["sy"], sx=plane["sx"], dense=bool(plane["dense"]))
        phases = layout.sy * layout.sx
        flat = np.append(lanes.reshape(-1), 0)
        half = 1 << p.act_bits - 1
        counts = self._channels(fields, layout)
        every = plane["channels"] // phases
        blocks: list[NDArray[np.int64]] = []
        known: dict[int, NDArray[np.int64]] = {}
        for number, (place, count) in enumerate(counts):
            places = plane_places(fields, place, count // phases, lanes.shape)
            first = int(places.flat[0]) if places.size else -number - 1
            if first not in known:
                values = np.zeros((every, layout.height, layout.width), np.int64)
                values[: count // phases] = (flat[places] + half & 2 * half - 1) - half
                known[first] = values
            blocks.append(known[first])
        name = f"load_{len(self._record.tensors)}"
        dealt = len(known) > 1
        own = [values[: count // phases] for values, (_, count) in zip(blocks, counts, strict=True)]
        values = np.concatenate(own) if dealt else blocks[0]
        self._record.tensors[name] = values
        channels = Channels(tensor=name, start=0, stop=len(values))
        self._loads.append(
            _Brought(
                channels=(channels,),
                base=plane["base"],
                word=plane["word"],
                limit=plane["limit"],
                dealt=dealt,
                layout=layout,
                most=every,
                shares=tuple(map(len, own)),
            )
        )
        acts.put(layout, plane["base"], blocks)
        room, limit = self._loaded, plane["limit"]
        words = count_words(p, layout, own)
        room.take(words, plane["word"], limit, append=bool(plane["append"]))
        self._lost = room.lost or plane["base"] + plane["channels"] > p.num_channels
        return PlaneMove(
            fields,
            blocks,
            [count for _, count in counts],
            layout,
            len(lanes),
            limit - room.start,
            room.used,
        )

    def _channels(
        self, fields: Mapping[str, Mapping[str, int]], layout: TileLayout
    ) -> list[tuple[tuple[int, int], int]]:
        """List the column and row of each block among blocks, and the entries that it has."""
        spread, most = fields["spread"], fields["plane"]["channels"]
        across = -(-self._p.pes_x >> layout.block_x)
        found: list[tuple[tuple[int, int], int]] = []
        number = 0
        for block in range(self._acts.count_blocks(layout)):
            y, x = divmod(block, across)
            count = 0
            if x < spread["blocks_x"] and y < spread["blocks_y"]:
                full = spread["full_blocks"]
                rest = spread["rem_channels"] if number == full else 0
                count = most if number < full else rest
                number += 1
            found.append(((x, y), count))
        return found

    def give_rows(
        self, row: int, lanes: NDArray[np.int64], *, destination: bool
    ) -> tuple[NDArray[np.int64], PlaneMove]:
        """Fetch a plane into beats, (n, lanes), that hold something before."""
        del row, destination
        fields, acts = self._fields(PLANE_OUT), self._acts
        plane = fields["plane"]
        base, phases = plane["base"], plane["sy"] * plane["sx"]
        stored = acts.entry(base).layout
        layout = _layout(plane, sy=plane["sy"], sx=plane["sx"], dense=stored.dense)
        flat = np.append(lanes.reshape(-1), 0)
        blocks: list[NDArray[np.int64]] = []
        counts = self._channels(fields, layout)
        for block, (place, count) in enumerate(counts):
            values = acts.planes(block, range(base, base + count), layout)
            flat[plane_places(fields, place, count // phases, lanes.shape)] = values
            blocks.append(values)
        return flat[:-1].reshape(lanes.shape), PlaneMove(
            fields,
            blocks,
            [count for _, count in counts],
            layout,
            len(lanes),
        )

    def control(self, command: int) -> RunLog | None:
        """Do what a command does; return what was run, if it starts a run.

        Raises
        ------
        ValueError
            If it is none that command lists have, or memories hold no program.
        """
        action = Command(command)
        if action != Command.START:
            raise ValueError(f"a command list only starts runs, and does not {action!r}")
        loads, self._loads = tuple(self._loads), []
        return self._run(loads)

    def _run(self, loads: tuple[ActLoad, ...]) -> RunLog:
        p, record = self._p, self._record
        srams = {name: words[: self._used.get(name, 0)] for name, words in self._srams.items()}
        program = read_descriptors(srams["program"], descriptor_layout(p), DESCRIPTOR_WORDS)
        srams["weights"] = self._weights
        self.forget_weights()
        readers = [
            StreamReader(beats, f"stream_{number}", p)
            for number, beats in enumerate(split_beats(srams["weights"], p))
        ]
        number = len(record.runs)
        outputs: list[PassOutput | None] = []
        drained: list[tuple[int, Descriptor, list[NDArray[np.int64]]]] = []
        self._lost, used = False, list[int]()
        for index, descriptor in enumerate(program):
            made = self._sums.run(descriptor, srams, readers, self._acts)
            if made is None:
                outputs.append(None)
                continue
            drained.append((index, descriptor, made))
            outputs.append(self._store(descriptor, made, f"run_{number}/pass_{index}"))
            used.append(self._made.used)
            if self._lost:
                # The run ends here.
                break
        passes: Any = program[: len(outputs)]
        record.runs.append(
            ScnnRun(
                program=passes,
                passes=tuple(range(len(passes))),
                srams={
                    name: SramData(words, self._widths.get(name, self.stream_bits))
                    for name, words in srams.items()
                },
                outputs=tuple(outputs),
                loads=loads,
                stores=(),
            )
        )
        return RunLog(record, number, drained, used)

    def put_outputs(self, descriptor: Any, made: list[NDArray[np.int64]]) -> TileLayout:
        """Put what a pass made, (channels, rows, columns) of each block, where it writes."""
        layout = made_layout(descriptor)
        self._acts.put(layout, descriptor.dst_base, made)
        words = count_words(self._p, layout, made)
        self._made.take(
            words, descriptor.dst_word, descriptor.dst_limit, append=bool(descriptor.append)
        )
        entries = len(made[0]) * layout.sy * layout.sx
        self._lost = self._made.lost or descriptor.dst_base + entries > self._p.num_channels
        return layout

    def _store(
        self, descriptor: Descriptor, made: list[NDArray[np.int64]], name: str
    ) -> PassOutput:
        """Put what a pass made where it writes, and note it for the cycle model."""
        layout = self.put_outputs(descriptor, made)
        depth = len(made[0])
        self._record.tensors[name] = np.concatenate(made)
        return PassOutput(
            blocks=tuple(
                Channels(tensor=name, start=block * depth, stop=(block + 1) * depth)
                for block in range(len(made))
            ),
            y0=0,
            x0=0,
            height=layout.height,
            width=layout.width,
        )


def _layout(plane: Mapping[str, int], *, sy: int, sx: int, dense: bool) -> TileLayout:
    """Return the tiles of a plane, which begins at row and column 0."""
    return TileLayout(
        block_x=plane["block_x"],
        block_y=plane["block_y"],
        tile_h=plane["ho"],
        tile_w=plane["wo"],
        sy=sy,
        sx=sx,
        y_stride=plane["y_stride"],
        y0=0,
        x0=0,
        height=plane["full_y"] * plane["ho"] + plane["rem_y"],
        width=plane["full_x"] * plane["wo"] + plane["rem_x"],
        dense=dense,
    )
