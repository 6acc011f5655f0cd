"""What integrators expect beside the Verilog of a chip: FuseSoC, constraints, waivers, SRAMs."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping

from zeroskip.hw.common.sram import SRAM_MODULES

__all__ = ["SLANG_OPTIONS", "WAIVERS", "design_srams", "integration_files", "sram_table"]

WAIVERS: Mapping[str, str] = {
    "CASEINCOMPLETE": "what no case names keeps the value assigned before it",
    "DECLFILENAME": "one file has all modules",
    "PROCASSINIT": "registers have values at power-up, for FPGAs, besides those of a reset",
    "SYMRSVDWORD": "a signal has the name of a function of C, which no design calls",
    "UNSIGNED": "comparisons with sizes that are 0 or all ones in this array are constant",
    "UNUSEDSIGNAL": "units take whole records, and look at some of their fields",
    "VARHIDDEN": "module, instance and signal may have one name",
    "WIDTHEXPAND": "Yosys lets operands grow to the width of the result, as Verilog does",
    "WIDTHTRUNC": "Yosys lets the upper bits of a shift go without writing a part select",
}
"""Rules of Verilator's -Wall that are off for generated Verilog, each with the reason."""

SLANG_OPTIONS: Mapping[str, str] = {
    "--relax-string-conversions": "file names are vectors, as Verilog-2005 has no strings",
}
"""Options that slang and pyslang need, each with the reason."""

_PERIOD_NS = 10.0
_CLOCKS = ("aclk", "clk_i")
_INSTANCE = re.compile(r"^  (\w+) (?:#\(\s*(.*?)\)\s*)?(\w+) \($", re.MULTILINE | re.DOTALL)
_MODULE = re.compile(r"^module (\w+)\b.*?^endmodule$", re.MULTILINE | re.DOTALL)
_PARAMETER = re.compile(r"\.(\w+)\(32'd(\d+)\)")


def integration_files(
    name: str, verilog: str, version: str, ports: Mapping[str, str], testbench: str
) -> dict[str, str]:
    """Write the files beside a chip's Verilog.

    Parameters
    ----------
    name : of the top module, and of its file.
    verilog : text of that file.
    version : of this program.
    ports : direction of the top's ports.
    testbench : its text.

    Returns
    -------
    Contents by name of the file: ``_tb.v``, ``.core``, ``.sdc``, ``.vlt``, ``.slang``, and
    ``_srams.csv``.
    """
    return {
        f"{name}_tb.v": testbench,
        f"{name}.core": _core(name, version),
        f"{name}.sdc": _constraints(ports),
        f"{name}.vlt": _waivers(),
        f"{name}.slang": "".join(f"// {why}\n{name}\n" for name, why in SLANG_OPTIONS.items()),
        f"{name}_srams.csv": sram_table(verilog, name),
    }


def _core(name: str, version: str) -> str:
    """Describe the chip as a core of FuseSoC."""
    return f"""CAPI=2:
name: zeroskip:zeroskip:{name}:{version}
description: Sparse-inference chip, {name}

filesets:
  rtl:
    files:
      - {name}.sv
    file_type: systemVerilogSource
  header:
    files:
      - {name}.vh: {{is_include_file: true}}
    file_type: verilogSource
  constraints:
    files:
      - {name}.sdc
    file_type: SDC
  waivers:
    files:
      - {name}.vlt
    file_type: vlt
  testbench:
    files:
      - {name}_tb.v
    file_type: verilogSource

targets:
  default: &default
    filesets: [rtl, header]
    toplevel: {name}
  lint:
    <<: *default
    filesets: [waivers, rtl, header]
    flow: lint
    flow_options:
      tool: verilator
      verilator_options: [-Wall]
  synth:
    <<: *default
    filesets: [rtl, header, constraints]
  sim:
    <<: *default
    filesets: [rtl, header, testbench]
    toplevel: {name}_tb
    flow: sim
    flow_options:
      tool: icarus
      iverilog_options: [-g2005]
    parameters: [image]

parameters:
  image:
    datatype: str
    description: Folder that zeroskip system IMAGE --input X.npy -o wrote
    paramtype: plusarg
"""


def _constraints(ports: Mapping[str, str]) -> str:
    """Write timing constraints: one clock, and a fifth of its period outside the chip."""
    (clock,) = (port for port in ports if port in _CLOCKS)
    lines = [
        f"# One clock of {_PERIOD_NS:g} ns: put yours here. All ports are synchronous to it.",
        f"create_clock -name {clock} -period {_PERIOD_NS} [get_ports {clock}]",
    ]
    for direction, command in (("input", "set_input_delay"), ("output", "set_output_delay")):
        names = " ".join(port for port, way in ports.items() if way == direction and port != clock)
        lines.append(f"{command} -clock {clock} {_PERIOD_NS / 5} [get_ports {{{names}}}]")
    return "\n".join(lines) + "\n"


def _waivers() -> str:
    lines = ["`verilator_config"]
    for rule, why in WAIVERS.items():
        lines += [f"// {why}", f'lint_off -rule {rule} -file "*"']
    return "\n".join(lines) + "\n"


def sram_table(verilog: str, top: str) -> str:
    """List the SRAMs of a design, as CSV: ports, rows, width, how many, and the first's path."""
    count: Counter[tuple[str, int, int]] = Counter()
    first: dict[tuple[str, int, int], str] = {}
    for path, kind, values in design_srams(verilog, top):
        macro = kind, values["DEPTH"], values["WIDTH"]
        count[macro] += 1
        first.setdefault(macro, ".".join(path))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["module", "read_write_ports", "read_ports", "write_ports", "rows", "bits",
                    "count", "first_instance"])  # fmt: skip
    for (kind, rows, bits), number in sorted(count.items()):
        shared = kind == "sram_1rw"
        ports = (1, 0, 0) if shared else (0, 1, 1)
        table.writerow([kind, *ports, rows, bits, number, first[kind, rows, bits]])
    return text.getvalue()


def design_srams(verilog: str, top: str) -> Iterator[tuple[tuple[str, ...], str, dict[str, int]]]:
    """Give the SRAMs of a design's modules: path inside the top, module, and parameters."""
    return _srams({found[1]: found[0] for found in _MODULE.finditer(verilog)}, top, ())


def _srams(
    modules: Mapping[str, str], module: str, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], str, dict[str, int]]]:
    """Give the SRAMs below a module: path, kind, and parameters."""
    for kind, given, instance in _INSTANCE.findall(modules[module]):
        here = (*path, instance)
        if kind in SRAM_MODULES:
            yield here, kind, {name: int(value) for name, value in _PARAMETER.findall(given)}
        elif kind in modules:
            yield from _srams(modules, kind, here)
