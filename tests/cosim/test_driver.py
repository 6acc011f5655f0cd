"""The driver in C: on the simulated chip through a shim, and for a processor without a library."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cosim.test_system import DrawNetwork, draw
from tests.cosim.test_tops import PORT, build_top
from tests.support.arrays import SYSTEM
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.system.build import build_system
from zeroskip.flow.driver.generate import driver_files
from zeroskip.sim.rtl.launch import launch
from zeroskip.sim.run import quantize
from zeroskip.sim.system.inferences import count_inferences

pytest.importorskip("systemrdl")
pytestmark = pytest.mark.cosim

PROGRAM = Path(__file__).parents[1] / "support" / "driver"
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-O2")


def write_driver(folder: Path, image: Image) -> None:
    system = build_system(image, PORT)
    for name, contents in driver_files(image, system).items():
        (folder / name).write_bytes(contents)


@pytest.mark.long("builds a simulator, which test_tops shares")
def test_on_the_simulated_chip(draw_network: DrawNetwork, tmp_path: Path) -> None:
    image, x, _ = draw(draw_network, 4)
    planes = quantize(image, x)[0]
    assert len(planes) > 2
    write_driver(tmp_path, image)
    image.save(tmp_path / "image")
    np.save(tmp_path / "inputs.npy", x)
    expected = count_inferences(image, planes, PORT).outputs
    np.savez(
        tmp_path / "network.npz",
        allow_pickle=False,
        inputs=planes.reshape(len(planes), -1),
        outputs=expected,
    )
    sources = [*(PROGRAM / name for name in ("program.c", "shim.c"))]
    subprocess.run(
        ["gcc", *STRICT, "-shared", "-fPIC", "-include", PROGRAM / "program.h", f"-I{PROGRAM}",
         "-I.", *sources, "zeroskip.c", "zeroskip_image.c", "-o", "program.so"],
        cwd=tmp_path,
        check=True,
    )  # fmt: skip
    program = build_top("axi", "eie", SYSTEM)
    launch(
        program, "tests.support.tb_driver", tmp_path / "run", env={"ZEROSKIP_JOB": str(tmp_path)}
    )


def test_it_needs_memcpy_and_nothing_else(draw_network: DrawNetwork, tmp_path: Path) -> None:
    write_driver(tmp_path, draw(draw_network, 3)[0])
    subprocess.run(
        ["gcc", *STRICT, "-ffreestanding", "-c", "zeroskip.c", "zeroskip_image.c"],
        cwd=tmp_path,
        check=True,
    )
    listed = subprocess.run(
        ["nm", "-u", "zeroskip.o", "zeroskip_image.o"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert set(re.findall(r"^ +U (\w+)$", listed, re.MULTILINE)) <= {"memcpy"}


@pytest.mark.long("compiles with another compiler")
def test_it_compiles_for_a_processor_without_a_system(
    draw_network: DrawNetwork, tmp_path: Path
) -> None:
    pytest.importorskip("ziglang")
    write_driver(tmp_path, draw(draw_network, 3)[0])
    for name in ("zeroskip", "zeroskip_image"):
        subprocess.run(
            [sys.executable, "-m", "ziglang", "cc", "-target", "riscv32-freestanding",
             "-mcpu=generic_rv32", *STRICT, "-c", f"{name}.c", "-o", f"{name}.o"],
            cwd=tmp_path,
            check=True,
        )  # fmt: skip
        # A relocatable file for RISC-V: e_type 1, e_machine 243.
        header = (tmp_path / f"{name}.o").read_bytes()[:20]
        assert header[:4] == b"\x7fELF"
        assert (header[16], header[18]) == (1, 243)
