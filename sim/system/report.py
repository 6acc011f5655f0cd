"""What a memory image is made of, and what inferences take, for people and as JSON."""

from collections.abc import Sequence
from typing import Any

from zeroskip.base.tables import Table
from zeroskip.compiler.system.build import SystemImage
from zeroskip.compiler.system.moves import Load, Weights
from zeroskip.sim.system.inferences import SystemRun
from zeroskip.sim.system.verify import SystemVerified

__all__ = [
    "bound_line",
    "map_tables",
    "run_document",
    "run_lines",
    "system_document",
    "verified_document",
    "verified_lines",
]


def map_tables(system: SystemImage) -> list[Table]:
    """Return the memory map, loads summed up by what they are, and the traffic of an inference."""
    entry = system.map
    loads = {move.name: move.about for move in system.moves if isinstance(move, Load | Weights)}
    rows: dict[str, list[Any]] = {}
    for block in entry.blocks:
        name, _, inside = block.name.partition("/")
        about = block.about.split(",")[0]
        key = f"{name}: {about}" if inside else name
        row = rows.setdefault(key, [name, f"{block.address:#x}", 0, 0, about])
        row[2] += 1
        row[3] += block.bytes
    traffic = entry.traffic("infer_0")
    moved: dict[str, list[Any]] = {}
    for place, kind in enumerate(("reads", "writes"), 1):
        for name, size in traffic[kind].items():
            key = f"{name.split('/')[0]}: {loads[name]}" if name in loads else name
            moved.setdefault(key, [key, 0, 0])[place] += size
    return [
        Table(
            f"Memory of {entry.name!r}: {entry.bytes:,} bytes from {entry.base:#x}",
            ["block", "address", "blocks", "bytes", "what for"],
            list(rows.values()),
        ),
        Table(
            f"Bytes that an inference moves over the port of {entry.port['data_bits']} bits",
            ["tensor", "read", "written"],
            [*moved.values(), ["sum", traffic["read"], traffic["written"]]],
        ),
    ]


def bounds(system: SystemImage) -> dict[str, int]:
    """Return the cycles that an inference takes at least of the port, and of loading words."""
    entry = system.map
    traffic, beat = entry.traffic("infer_0"), entry.port["data_bits"] // 8
    return {
        "port": max(traffic["read"], traffic["written"]) // beat,
        "load": entry.list("infer_0").words,
    }


def bound_line(system: SystemImage, run: SystemRun | None = None) -> str:
    """Say what an inference is bound by."""
    found = dict(bounds(system))
    if run is not None:
        found["compute"] = compute_cycles(run)
    longest = max(found, key=lambda name: found[name])
    listed = ", ".join(f"{name} {cycles:,}" for name, cycles in found.items())
    if run is None:
        what = "'zeroskip system --input' counts compute, too"
    elif system.moves.in_place:
        # Nothing overlaps: inputs and outputs are in RAMs that the array computes with.
        rest = run.inferences[0].cycles[0] - found["compute"]
        what = f"moves and compute take turns, so moving and loading add {rest:,} to compute"
    else:
        what = f"it is bound by {longest}"
    return f"cycles of an inference at least: {listed}; {what}"


def compute_cycles(run: SystemRun, number: int = 0) -> int:
    """Return the cycles of the array's programs in an inference of the first that were queued."""
    return sum(run.cycles for run in run.inferences[0].runs if run.inference == number)


def system_document(system: SystemImage) -> dict[str, Any]:
    """Return a memory image as JSON has it."""
    return {
        "map": system.map.model_dump(mode="json", exclude={"input": {"positions"},
                                                           "output": {"positions"}}),
        "traffic": {entry.name: system.map.traffic(entry.name) for entry in system.map.lists},
        "bounds": bounds(system),
    }  # fmt: skip


def run_document(run: SystemRun) -> dict[str, Any]:
    """Return what inferences take as JSON has it."""
    return {
        "compute_cycles": compute_cycles(run),
        "setup_cycles": run.setup.cycles[0],
        "reruns": list(run.reruns),
        "rooms": {name: {"used": used, "rows": rows} for name, (used, rows) in run.rooms.items()},
        "groups": [
            {
                "starts": list(group.starts),
                "done": list(group.done),
                "cycles": list(group.cycles),
                "compute": [run.cycles for run in group.runs],
                "reruns": list(group.reruns),
                "read_beats": group.read_beats,
                "write_beats": group.write_beats,
            }
            for group in run.inferences
        ],
    }


def run_lines(run: SystemRun) -> list[str]:
    """Say what inferences take, from memory to memory."""
    first, compute = run.inferences[0], compute_cycles(run)
    lines = [
        f"from one START each, with a port to memory of {run.system.map.port['data_bits']} bits:",
        f"loading what stays: {run.setup.cycles[0]:,} cycles, once after a reset",
        (
            f"first inference: {first.cycles[0]:,} cycles from START to its end, {compute:,} of "
            f"them compute ({first.cycles[0] / compute:.3f} x)"
        ),
    ]
    if len(first.done) > 1:
        later, compute = first.done[1] - first.done[0], compute_cycles(run, 1)
        lines.append(
            f"the next, queued behind it: {later:,} cycles later, {compute:,} of them compute "
            f"({later / compute:.3f} x)"
        )
    return [*lines, *_room_lines(run)]


def _room_lines(run: SystemRun) -> list[str]:
    """Say which inferences found no room, and which tensors were closest to it."""
    if not run.rooms:
        return []
    total = sum(len(group.done) for group in run.inferences)
    again = f": {', '.join(map(str, run.reruns))}" if run.reruns else ""
    fullest = sorted(run.rooms.items(), key=lambda one: one[1][0] / max(one[1][1], 1))[-3:]
    shares = ", ".join(f"{name} {used} of {rows}" for name, (used, rows) in reversed(fullest))
    return [
        f"for want of room, {len(run.reruns)} of {total} inferences were done again{again}",
        f"rows of activation RAMs that tensors took, of those that they have: {shares}",
    ]


def verified_document(found: SystemVerified) -> dict[str, Any]:
    """Return a comparison as JSON has it."""
    kinds = ("bytes", "rows", "times")
    return {
        **run_document(found.run),
        "compared": {name: getattr(found, name) for name in kinds},
        "differ": {name: getattr(found, f"{name}_differ") for name in kinds},
        "problems": list(found.problems),
        "exact": found.ok,
    }


def verified_lines(found: SystemVerified) -> Sequence[str]:
    """Say what was compared, and last the verdict."""
    return [
        *found.problems,
        (
            f"{'exact' if found.ok else 'NOT exact'}: {found.bytes:,} bytes of memory, "
            f"{found.rows:,} rows that the array wrote and {found.times:,} times compared with "
            f"the models, {found.bytes_differ} + {found.rows_differ} + {found.times_differ} differ"
        ),
    ]
