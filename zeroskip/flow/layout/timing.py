"""Time a block with opensta: without wires, and with those that were routed."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from zeroskip.base.errors import ToolError
from zeroskip.flow.layout.clock import CLOCK
from zeroskip.flow.layout.floor import Floor
from zeroskip.flow.layout.programs import run_program
from zeroskip.flow.layout.wires import End, Tree
from zeroskip.flow.synth.liberty import Liberty

__all__ = ["TimedPath", "Timing", "spef", "time_block"]

_LOAD_PF = 0.02
_CLOCK_EDGE_NS = 0.1
_PERIOD_NS = 1000.0

_SCRIPT = """\
read_liberty cells.lib
read_verilog {name}.v
link_design {name}
create_clock -name clk -period {period} [get_ports {clock}]
create_clock -name outside -period {period}
set_clock_transition {edge} [get_clocks clk]
foreach port [list {inputs}] {{
  set_input_delay 0 -clock outside [get_ports $port]
  set_driving_cell -lib_cell {buffer} [get_ports $port]
}}
foreach port [list {outputs}] {{
  set_output_delay 0 -clock outside [get_ports $port]
  set_load {load} [get_ports $port]
}}
proc worst {{wires kind args}} {{
  puts "== $wires $kind"
  report_checks -path_delay max -digits 4 {{*}}$args
}}
proc all_paths {{wires}} {{
  worst $wires registers -from [all_registers -clock_pins] -to [all_registers -data_pins]
{srams}
  worst $wires all
}}
all_paths without
read_spef -quiet {name}.spef
# The clock comes through its tree; what is outside has it as late as flip-flops here.
set_propagated_clock [get_clocks clk]
set_input_transition {edge} [get_ports {clock}]
set_clock_latency {latency} [get_clocks outside]
puts "== clock skew"
report_clock_skew -setup -clock clk -digits 4
all_paths with
puts "== hold all"
report_checks -path_delay min -digits 4 -from [all_registers -clock_pins] \
-to [all_registers -data_pins]
puts "== end"
exit
"""


@dataclass(frozen=True)
class TimedPath:
    """The longest path of a kind.

    Parameters
    ----------
    ns : clock period that it takes: from the clock to the output of its first register, to the
        set-up of its last.
    start, end : registers or pins.
    cells : on it.
    """

    ns: float
    start: str
    end: str
    cells: int


@dataclass(frozen=True)
class Timing:
    """What opensta says of a block.

    Parameters
    ----------
    paths : the longest, ``without`` wires and ``with`` them, by kind; ``hold``: how much later than
        the clock's edge the first datum comes. Kinds are ``registers``: from register to register;
        ``from_srams`` and ``to_srams``: from and to pins at which SRAMs are, whose own time is not
        known; ``all``, with other pins. What comes from outside is there with the clock's edge.
    clock_ns : when the edge comes to the first flip-flop, and to the last, after it came to the
        block; without wires it is everywhere at once.
    """

    paths: Mapping[str, Mapping[str, TimedPath]]
    clock_ns: tuple[float, float]


def time_block(floor: Floor, liberty: Liberty, trees: Mapping[str, Tree], folder: Path) -> Timing:
    """Time a block.

    Raises
    ------
    ToolError
        If opensta fails, or sees no path.
    """
    block = floor.block
    (folder / "cells.lib").write_text(liberty.text)
    (folder / f"{block.name}.v").write_text(block.verilog())
    (folder / f"{block.name}.spef").write_text("\n".join(spef(floor, trees)) + "\n")
    clock_ns = 0.0, 0.0
    texts: dict[str, str] = {}
    # How late the edge is inside must be known before anything outside can be as late.
    for _ in range(2):
        (folder / "sta.tcl").write_text(_script(floor, liberty, sum(clock_ns) / 2))
        run_program("sta", ["-no_init", "-no_splash", "-exit", "sta.tcl"], folder)
        text = (folder / "sta.log").read_text(errors="replace")
        if "== end" not in text:
            last = text.strip().splitlines()[-1:] or ["it printed nothing"]
            raise ToolError(f"opensta did not come to its end: {last[0]}")
        texts = dict(re.findall(r"^== ([^\n]+)\n(.*?)(?=^== )", text, re.MULTILINE | re.DOTALL))
        clock_ns = _clock(texts["clock skew"])
    found: dict[str, dict[str, TimedPath]] = {}
    for title, body in texts.items():
        wires, kind = title.split()
        if wires != "clock" and (path := _path(body, hold=wires == "hold")):
            found.setdefault(wires, {})[kind] = path
    for wires in ("without", "with"):
        if "all" not in found.get(wires, {}):
            raise ToolError("opensta sees no path that a clock could time")
    return Timing(found, clock_ns)


def _script(floor: Floor, liberty: Liberty, latency: float) -> str:
    block, srams = floor.block, []
    for kind, option, pins in (
        ("from_srams", "-from", [pin for pin in block.inputs if pin in block.sram_pins]),
        ("to_srams", "-to", [pin for pin in block.outputs if pin in block.sram_pins]),
    ):
        if pins:
            srams.append(f"  worst $wires {kind} {option} [get_ports [list {' '.join(pins)}]]")
    return _SCRIPT.format(
        name=block.name,
        period=_PERIOD_NS,
        clock=CLOCK,
        edge=_CLOCK_EDGE_NS,
        latency=latency,
        inputs=" ".join(pin for pin in block.inputs if pin != CLOCK),
        outputs=" ".join(block.outputs),
        buffer=liberty.buffer,
        load=_LOAD_PF,
        srams="\n".join(srams),
    )


def _clock(text: str) -> tuple[float, float]:
    """Return when the clock's edge comes to the two flip-flops that it is most apart at."""
    found = sorted(map(float, re.findall(r"^ +(-?[\d.]+)", text, re.MULTILINE)))
    return (found[0], found[-1]) if found else (0.0, 0.0)


def _path(text: str, *, hold: bool) -> TimedPath | None:
    start = re.search(r"^Startpoint: (\S+)", text, re.MULTILINE)
    end = re.search(r"^Endpoint: (\S+)", text, re.MULTILINE)
    slack = re.search(r"^\s*(-?[\d.]+)\s+slack", text, re.MULTILINE)
    if not (start and end and slack):
        return None
    cells = len(re.findall(r"^\s*-?[\d.]+\s+-?[\d.]+ [v^] \S+/\S+ ", text, re.MULTILINE))
    ns = float(slack[1]) if hold else round(_PERIOD_NS - float(slack[1]), 4)
    return TimedPath(ns, start[1].removeprefix("r_"), end[1].removeprefix("r_"), cells)


def spef(floor: Floor, trees: Mapping[str, Tree]) -> Iterator[str]:
    """Give lines of SPEF: resistances and capacitances of all nets."""
    yield '*SPEF "IEEE 1481-1998"'
    yield f'*DESIGN "{floor.block.name}"'
    yield from ('*DATE ""', '*VENDOR ""', '*PROGRAM ""', '*VERSION ""', '*DESIGN_FLOW ""')
    yield from ("*DIVIDER /", "*DELIMITER :", "*BUS_DELIMITER [ ]")
    yield from ("*T_UNIT 1 NS", "*C_UNIT 1 PF", "*R_UNIT 1 OHM", "*L_UNIT 1 HENRY")
    for net, tree in trees.items():
        yield from _net(floor, net, tree)


def _net(floor: Floor, net: str, tree: Tree) -> Iterator[str]:
    names = {number: f"{net}:{number}" for number in range(1, len(tree.pf))}
    names[0] = _name(tree.driver)
    yield f"*D_NET {net} {sum(tree.pf):.6g}"
    yield "*CONN"
    taken = {0}
    joined = []
    for end, node in tree.loads.items():
        if end[0] == "PIN":
            yield f"*P {end[1]} {'I' if end[1] in floor.inputs else 'O'}"
        else:
            yield f"*I {_name(end)} {'O' if end == tree.driver else 'I'}"
        if node not in taken:
            taken.add(node)
            names[node] = _name(end)
        elif end != tree.driver:
            joined.append(f"{names[node]} {_name(end)} 0.01")
    yield "*CAP"
    farads = [f"{names[number]} {pf:.6g}" for number, pf in enumerate(tree.pf) if pf]
    yield from (f"{number} {line}" for number, line in enumerate(farads, 1))
    yield "*RES"
    ohms = [f"{names[one]} {names[two]} {ohm:.6g}" for one, two, ohm in tree.ohms]
    yield from (f"{number} {line}" for number, line in enumerate([*ohms, *joined], 1))
    yield "*END"


def _name(end: End) -> str:
    return end[1] if end[0] == "PIN" else f"{end[0]}:{end[1]}"
