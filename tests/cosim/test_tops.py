"""Whole networks on the exported tops, through buses that others define: bytes and counters."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cosim.scnn_draw import draw_graph, draw_planes
from tests.cosim.test_system import DrawNetwork, draw
from tests.support.arrays import SCNN, SYSTEM
from tests.support.images import scnn_image
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.scnn.program import build
from zeroskip.compiler.system.relative import relative_list
from zeroskip.flow.bus.files import WAIVERS
from zeroskip.flow.bus.top import TopFlow, chip_of
from zeroskip.flow.export import export
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import array_id, engine_sizes
from zeroskip.sim.rtl.build import build_design
from zeroskip.sim.rtl.launch import launch
from zeroskip.sim.run import quantize
from zeroskip.sim.system.inferences import Inferences

pytestmark = pytest.mark.cosim

PORT = SystemParams(data_bits=64)


def write_job(folder: Path, drawn: list[tuple[Image, np.ndarray]], params: Any) -> int:
    """Write what golden does with drawn networks; return the beats that they move."""
    described: list[dict[str, Any]] = []
    done = beats = 0
    for number, (image, planes) in enumerate(drawn):
        found = Inferences(image, planes, PORT)
        entry = found.system.map
        arrays: dict[str, Any] = {"memory": np.frombuffer(found.system.memory, np.uint8)}
        groups: list[dict[str, Any]] = []
        for place, group in enumerate(found.groups):
            names = [(at, f"input_{place}_{k}") for k, (at, _) in enumerate(group.inputs)]
            arrays |= {name: rows for (_, name), (_, rows) in zip(names, group.inputs, strict=True)}
            arrays[f"after_{place}"] = group.after
            done += len(group.lists)
            moved = [
                entry.traffic(one.name) for one in entry.lists
                if (one.address, one.bytes) in group.lists
            ]  # fmt: skip
            groups.append({
                "inputs": names,
                "lists": group.lists,
                "done": done,
                "beats_read": sum(one["read"] for one in moved) // PORT.beat_bytes,
                "beats_written": sum(one["written"] for one in moved) // PORT.beat_bytes,
            })
            beats += groups[-1]["beats_read"] + groups[-1]["beats_written"]
        np.savez(folder / f"network_{number}.npz", allow_pickle=False, **arrays)
        number_of = array_id(PORT, engine_sizes(image.parts[0].engine, params))
        described.append({"array": number_of, "bytes": entry.bytes, "groups": groups})
    (folder / "job.json").write_text(json.dumps({"networks": described}))
    return beats


def top_text(top: str, arrays: Mapping[str, Any]) -> str:
    """Return the text that ``zeroskip verilog --top`` writes, with its waivers."""
    exported = export(TopFlow(chip_of(arrays), top, PORT), arrays, "test")
    (name,) = exported.ports
    off = "".join(f"/* verilator lint_off {rule} */\n" for rule in WAIVERS)
    return off + exported.files[f"{name}.sv"]


def build_top(top: str, engine: str, params: Any) -> Path:
    """Build a top."""
    name, text = f"{engine}_{top}", top_text(top, {engine: params})
    return build_design(
        name,
        {**asdict(params), "text": hashlib.sha256(text.encode()).hexdigest()},
        (),
        lambda: {f"{name}.sv": text},
        name,
        (),
        optimize=False,
    )


def run_on(top: str, engine: str, params: Any, folder: Path) -> None:
    """Run a job on a top."""
    program = build_top(top, engine, params)
    launch(
        program, f"tests.support.tb_{top}_top", folder / "run", env={"ZEROSKIP_JOB": str(folder)}
    )


@pytest.mark.long("builds another simulator")
@pytest.mark.parametrize("top", ["axi", "wishbone"])
def test_eie(top: str, draw_network: DrawNetwork, tmp_path: Path) -> None:
    drawn = [(image, quantize(image, x)[0]) for image, x, _ in
             (draw(draw_network, seed) for seed in range(3, 6))]  # fmt: skip
    assert write_job(tmp_path, drawn, SYSTEM) > 1000
    run_on(top, "eie", SYSTEM, tmp_path)


@pytest.mark.long("builds another simulator")
def test_streams(draw_network: DrawNetwork, tmp_path: Path) -> None:
    """Of a network that reads its input once: a packet in, a packet out."""
    image, x, _ = draw(draw_network, 5)
    found = Inferences(image, quantize(image, x)[0], PORT, queued=1)
    entry, code = found.system.map, relative_list(found.system)
    memory = bytearray(entry.bytes)
    memory[: len(found.system.memory)] = found.system.memory
    block, traffic = entry.block("output_0"), entry.traffic("infer_0")
    assert traffic["reads"]["input_0"] == entry.block("input_0").bytes
    assert traffic["writes"]["output_0"] == block.bytes
    setup, *groups = found.groups
    (place,) = setup.lists
    np.savez(
        tmp_path / "network.npz",
        allow_pickle=False,
        memory=np.frombuffer(bytes(memory) + code, np.uint8),
        setup=place,
        list=(len(memory), len(code)),
        inputs=np.array([rows.reshape(-1) for group in groups for _, rows in group.inputs]),
        outputs=np.array([
            group.after[block.address : block.address + block.bytes] for group in groups
        ]),
    )
    run_on("axi_stream", "eie", SYSTEM, tmp_path)


@pytest.mark.long("builds another simulator")
def test_scnn(tmp_path: Path) -> None:
    drawn: list[tuple[Image, np.ndarray]] = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        graph = draw_graph(rng, SCNN, 2, channels=4)
        planes = draw_planes(rng, graph.input_shape, 2, SCNN, low=SCNN.min_act)
        drawn.append((scnn_image("net", graph, SCNN, build(graph, SCNN)), planes))
    assert write_job(tmp_path, drawn, SCNN) > 1000
    run_on("axi", "scnn", SCNN, tmp_path)
