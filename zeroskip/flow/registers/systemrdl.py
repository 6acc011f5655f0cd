"""SystemRDL of a description of registers, and what PeakRDL makes of it."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from zeroskip.hw.bus.register_map import Access, Field, RegisterMap

__all__ = ["compile_rdl", "register_files", "to_rdl"]

_LEFT_OUT = (".eot", ".svg", ".ttf", ".woff", ".bat")
"""Of what PeakRDL writes beside its pages, fonts for old browsers and launchers."""

_ASSERTS = "#ifndef __cplusplus\n#define static_assert _Static_assert\n#endif"
"""What a freestanding compiler needs of ``assert.h``, which it does not have."""

_PROPERTIES: Mapping[Access, str] = {
    Access.READ_WRITE: "sw = rw; hw = r;",
    Access.READ: "sw = r; hw = w;",
    Access.CONSTANT: "sw = r; hw = na;",
    Access.SET: "sw = rw; hw = w; onwrite = woset;",
    Access.PULSE: "sw = w; hw = r; singlepulse;",
    Access.CLEAR_ON_READ: "sw = r; hw = w; onread = rclr; hwset;",
    Access.TOGGLE: "sw = rw; hw = w; onwrite = wot; hwset;",
}


def to_rdl(description: RegisterMap) -> str:
    """Write registers in SystemRDL 2.0."""
    lines = [
        f"addrmap {description.name} {{",
        f'  name = "{description.title}";',
        "  default regwidth = 32;",
        "  default accesswidth = 32;",
    ]
    for register in description.registers:
        lines += ["  reg {", f'    name = "{register.name}";', f'    desc = "{register.about}";']
        for field in register.fields:
            lines += [f"    {line}" for line in _field(field)]
        lines.append(f"  }} {register.name} @ {register.address:#x};")
    return "\n".join([*lines, "};"]) + "\n"


def _field(field: Field) -> list[str]:
    about = f"{field.about}; not written while busy" if field.guarded else field.about
    # What the hardware drives has no value of its own after a reset.
    driven = field.access in (Access.READ, Access.SET)
    reset = "" if driven else f" = {field.width}'h{field.reset:x}"
    high = field.low + field.width - 1
    return [
        f'field {{ {_PROPERTIES[field.access]} desc = "{about}"; }}',
        f"  {field.name}[{high}:{field.low}]{reset};",
    ]


def compile_rdl(path: Path) -> Any:
    """Read a file of SystemRDL; return the compiler's node of its address map."""
    from systemrdl.compiler import RDLCompiler

    compiler = RDLCompiler()
    compiler.compile_file(str(path))
    return compiler.elaborate().top


def register_files(description: RegisterMap) -> dict[str, bytes]:
    """Make a C header, a page in Markdown, and pages in HTML of registers.

    Returns
    -------
    Contents by path: the description itself as ``NAME.rdl``, ``NAME_registers.h``,
    ``registers.md``, and ``html/``.
    """
    from peakrdl_cheader.exporter import CHeaderExporter
    from peakrdl_html import HTMLExporter
    from peakrdl_markdown import MarkdownExporter

    name = description.name
    with TemporaryDirectory() as made:
        folder = Path(made)
        source = folder / f"{name}.rdl"
        source.write_text(to_rdl(description))
        top = compile_rdl(source)
        CHeaderExporter().export(top, str(folder / f"{name}_registers.h"))
        MarkdownExporter().export(top, str(folder / "registers.md"))
        HTMLExporter().export(top, str(folder / "html"))
        header = folder / f"{name}_registers.h"
        header.write_text(header.read_text().replace("#include <assert.h>", _ASSERTS))
        found = {
            path.relative_to(folder): path
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix not in _LEFT_OUT
        }
        return {
            str(place): path.read_bytes()
            for place, path in found.items()
            if not any(part.startswith(".") for part in place.parts)
        }
