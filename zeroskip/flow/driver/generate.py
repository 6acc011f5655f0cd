"""Write the driver of a network: the code, the registers' header, and what the image says."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from zeroskip.compiler.image.image import Image
from zeroskip.compiler.system.build import BUFFERS, SystemImage
from zeroskip.compiler.system.map import MemoryMap
from zeroskip.compiler.system.relative import relative_list
from zeroskip.flow.flow import image_sizes
from zeroskip.flow.registers.systemrdl import register_files
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import SYSTEM_VERSION, array_id, system_registers

__all__ = ["CODE", "driver_files"]

CODE = {name: Path(__file__).with_name(name) for name in ("zeroskip.c", "zeroskip.h")}
"""Files of the driver that are the same for every network."""

_WORDS_A_LINE = 12
_PAGE = 4096


def driver_files(image: Image, system: SystemImage) -> Mapping[str, bytes]:
    """Write a driver for an image that lies in memory.

    Parameters
    ----------
    image : of the network.
    system : its memory image.

    Returns
    -------
    Contents by name: ``zeroskip.c``, ``zeroskip.h``, ``zeroskip_registers.h``,
    ``zeroskip_image.c``, ``zeroskip_image.h``, and the memory's ``memory.bin`` and ``map.json``.
    """
    port = SystemParams(**system.map.port)
    sizes = image_sizes(image)
    header = "zeroskip_registers.h"
    made = register_files(system_registers(port, sizes))
    texts = {
        "zeroskip_image.h": _image_header(system.map),
        "zeroskip_image.c": _image_code(system, port, array_id(port, sizes)),
        "map.json": system.map.model_dump_json(indent=1) + "\n",
    }
    return {
        **{name: path.read_bytes() for name, path in CODE.items()},
        header: made[header],
        **{name: text.encode() for name, text in texts.items()},
        "memory.bin": system.memory,
    }


def _image_header(entry: MemoryMap) -> str:
    again = any(entry.list(f"infer_{pair}").words for pair in range(BUFFERS))
    note = (
        "Inferences load words into the chip: after one failed, call zeroskip_load again."
        if again
        else "Inferences load nothing into the chip: after one failed, the next may start."
    )
    return f"""/* Network {entry.name}, compiled by zeroskip {entry.zeroskip}. {note} */

#ifndef ZEROSKIP_IMAGE_H
#define ZEROSKIP_IMAGE_H

#include "zeroskip.h"

#define ZEROSKIP_INPUTS {entry.input.elements}
#define ZEROSKIP_OUTPUTS {entry.output.elements}

extern const zeroskip_image_t zeroskip_image;

#endif
"""


def _wrapped(values: Sequence[int]) -> str:
    """Write the elements of an array in C, ``_WORDS_A_LINE`` on each line."""
    lines = [
        ", ".join(map(str, values[k : k + _WORDS_A_LINE]))
        for k in range(0, len(values), _WORDS_A_LINE)
    ]
    return ",\n  ".join(lines)


def _image_code(system: SystemImage, port: SystemParams, array: int) -> str:
    entry = system.map

    def listed(name: str) -> str:
        one = entry.list(name)
        return f"{{{one.address - entry.base}, {one.bytes}}}"

    def each(kind: str) -> str:
        return ", ".join(
            str(entry.block(f"{kind}_{pair}").address - entry.base) for pair in range(BUFFERS)
        )

    tables, tensors = "", ""
    for kind, tensor in (("input", entry.input), ("output", entry.output)):
        offsets = tensor.first_bits().tolist()
        table = "0"
        if offsets != [k * tensor.lane_bits for k in range(len(offsets))]:
            table = f"{kind}_offsets"
            tables += f"static const uint32_t {table}[] = {{\n  {_wrapped(offsets)}}};\n\n"
        size = entry.block(f"{kind}_0").bytes
        fields = tensor.elements, tensor.lane_bits, size, tensor.frac, table
        tensors += f"  .{kind} = {{{', '.join(map(str, fields))}}},\n"
    # Of an inference that may be begun again with another list, buffers are where they are.
    anywhere = b"" if entry.bounded else relative_list(system)
    page = -(-entry.bytes // _PAGE) * _PAGE
    if anywhere:
        tables += f"static const uint8_t anywhere_bytes[] = {{\n  {_wrapped(list(anywhere))}}};\n\n"
    infer = ", ".join(listed(f"infer_{pair}") for pair in range(BUFFERS))
    return f"""#include "zeroskip_image.h"

{tables}const zeroskip_image_t zeroskip_image = {{
  .version = {SYSTEM_VERSION},
  .array = {array:#x}u,
  .beat_bytes = {port.beat_bytes},
  .base = {entry.base:#x}u,
  .bytes = {page + _PAGE * -(-len(anywhere) // _PAGE)},
  .loaded_bytes = {len(system.memory)},
  .setup = {listed("setup")},
  .infer = {{{infer}}},
  .anywhere = {{{page}, {len(anywhere)}}},
  .anywhere_bytes = {"anywhere_bytes" if anywhere else "0"},
  .input_offset = {{{each("input")}}},
  .output_offset = {{{each("output")}}},
{tensors}}};
"""
