"""A processor beside the chip: its firmware runs two CNNs, and survives a failing memory."""

import hashlib
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from tests.cosim.test_tops import PORT, top_text
from zeroskip import EieParams, compile
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.system.build import build_system
from zeroskip.flow.driver.generate import driver_files
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.hw.system.formats import Error
from zeroskip.sim.rtl.build import build_design
from zeroskip.sim.rtl.launch import launch
from zeroskip.sim.run import quantize
from zeroskip.sim.system.inferences import count_inferences

pytest.importorskip("systemrdl")
pytest.importorskip("ziglang")
pytestmark = [pytest.mark.cosim, pytest.mark.long("builds a simulator with a processor")]

EXAMPLE = Path(__file__).parents[2] / "examples" / "soc"
ARRAYS = {
    "scnn": replace(PRESETS["board"], act_words=128, num_channels=16, num_descriptors=4),
    "eie": EieParams(
        num_pes=2,
        queue_depth=2,
        act_bits=8,
        weight_bits=8,
        acc_bits=24,
        word_bits=16,
        spmat_words=512,
        num_pointers=128,
        num_acts=32,
        num_accs=16,
        num_biases=16,
        num_descriptors=4,
        counters=False,
    ),
}
"""The smallest that the networks fit."""

BASES = (0x40000, 0x80000)
FLAGS = (
    "-target", "riscv32-freestanding", "-mcpu=generic_rv32+zicsr", "-O2", "-std=c99",
    "-ffreestanding", "-fno-builtin", "-nostdlib", "-Wall", "-Wextra", "-Werror",
)  # fmt: skip


def zig(folder: Path, *arguments: str | Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "ziglang", "cc", *FLAGS, *arguments], cwd=folder, check=True
    )


def digits_cnn(kernels: int) -> tuple[Image, np.ndarray]:
    """Make a CNN that reads digits, and three of them in fixed point.

    Its kernels are drawn, and its Linear layer has the weights of least squares behind them, held
    small: features that hardly differ would else get large ones, which differ from call to call.
    """
    pixels, labels = load_digits(return_X_y=True)
    x = torch.tensor(pixels.reshape(-1, 1, 8, 8) / 16, dtype=torch.float32)
    torch.manual_seed(kernels)
    head = [nn.Conv2d(1, kernels, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    linear = nn.Linear(9 * kernels, 10)
    with torch.no_grad():
        features = nn.Sequential(*head)(x)
        ones = torch.ones(len(x), 1)
        wanted = torch.nn.functional.one_hot(torch.tensor(labels)).float()
        inputs = torch.hstack([features, ones]).double()
        gram = inputs.T @ inputs + torch.eye(inputs.shape[1])
        found = torch.linalg.solve(gram, inputs.T @ wanted.double())
        linear.weight[:], linear.bias[:] = found[:-1].T, found[-1]
    image = compile(nn.Sequential(*head, linear), x[:1], x[:200], list(ARRAYS.values()), share=True)
    return image, quantize(image, x[:3].numpy())[0]


def compile_firmware(folder: Path, drawn: list[tuple[Image, np.ndarray]]) -> bytes:
    """Compile the example's program with networks in it; return its memory."""
    entries, arrays = "", ""
    for number, (image, planes) in enumerate(drawn):
        system = build_system(image, PORT, base=BASES[number])
        for name, contents in driver_files(image, system).items():
            (folder / name).write_bytes(contents)
        rename = f"-Dzeroskip_image=zeroskip_image_{number}"
        zig(folder, rename, "-c", "zeroskip_image.c", "-o", f"image_{number}.o")
        words = np.frombuffer(system.memory + bytes(-len(system.memory) % 4), "<u4").tolist()
        values = planes.reshape(-1).tolist()
        arrays += (
            f"extern const zeroskip_image_t zeroskip_image_{number};\n"
            f"static const uint32_t bytes_{number}[] = {{{', '.join(map(str, words))}}};\n"
            f"static const int32_t inputs_{number}[] = {{{', '.join(map(str, values))}}};\n"
        )
        entries += (
            f'  {{"network {number}", &zeroskip_image_{number}, bytes_{number}, '
            f"inputs_{number}, {len(planes)}}},\n"
        )
    most = max(image.graph.shape(image.graph.outputs[0])[0] for image, _ in drawn)
    (folder / "networks.h").write_text(f"""#include "zeroskip.h"

#define NETWORKS {len(drawn)}
#define MOST_OUTPUTS {most}

typedef struct {{
  const char *name;
  const zeroskip_image_t *image;
  const void *bytes;
  const int32_t *inputs;
  uint32_t count;
}} network_t;

{arrays}
static const network_t networks[] = {{
{entries}}};
""")
    sources = [EXAMPLE / "start.S", EXAMPLE / "main.c", "zeroskip.c"]
    objects = [f"image_{number}.o" for number in range(len(drawn))]
    zig(folder, "-I.", "-T", EXAMPLE / "link.ld", *sources, *objects, "-o", "firmware.elf")
    return loaded((folder / "firmware.elf").read_bytes())


def loaded(elf: bytes) -> bytes:
    """Return the memory, from address 0 up, that an ELF file for 32 bits describes."""
    first, size, count = (
        int.from_bytes(elf[at : at + width], "little") for at, width in ((28, 4), (42, 2), (44, 2))
    )
    memory = bytearray()
    for number in range(count):
        header = elf[first + number * size : first + (number + 1) * size]
        kind, offset, _, address, length = np.frombuffer(header[:20], "<u4").tolist()
        if kind == 1 and length:
            memory.extend(bytes(max(0, address + length - len(memory))))
            memory[address : address + length] = elf[offset : offset + length]
    return bytes(memory)


def build_soc() -> Path:
    """Build the example's system, with the text of the Wishbone top and a processor."""
    import pythondata_cpu_vexriscv as vexriscv

    processor = Path(vexriscv.data_location) / "VexRiscv_Min.v"
    texts: Mapping[str, str] = {
        "chip.v": top_text("wishbone", ARRAYS),
        "cpu.v": "/* verilator lint_off WIDTH */\n" + processor.read_text(),
        "soc.v": (EXAMPLE / "soc.v").read_text(),
    }
    digest = hashlib.sha256("".join(texts.values()).encode()).hexdigest()
    return build_design("soc", {"texts": digest}, (), lambda: texts, "soc", (), optimize=False)


def test_firmware(tmp_path: Path) -> None:
    drawn = [digits_cnn(kernels) for kernels in (6, 4)]
    memory = compile_firmware(tmp_path, drawn)
    words = np.frombuffer(memory + bytes(-len(memory) % 4), "<u4")
    (tmp_path / "firmware.hex").write_text("".join(f"{word:08x}\n" for word in words.tolist()))
    program = build_soc()
    launch(
        program,
        "tests.support.tb_soc",
        tmp_path / "run",
        env={"ZEROSKIP_JOB": str(tmp_path)},
        plusargs=(f"+firmware={tmp_path / 'firmware.hex'}",),
    )
    classes = [
        count_inferences(image, planes, PORT).outputs.argmax(axis=1).tolist()
        for image, planes in drawn
    ]
    *lines, last = (tmp_path / "sent.txt").read_text().splitlines()
    assert lines == [
        f"network {number}: {' '.join(f'{one:x}' for one in found)}"
        for number, found in enumerate(classes)
    ]
    assert last == f"error {Error.READ.value:x}, then {classes[-1][0]:x}"
    # The first digits of the data set are 0, 1 and 2.
    assert classes[0] == [0, 1, 2]
