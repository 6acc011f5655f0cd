"""Tell people what became of a unit that was laid out."""

from collections.abc import Iterator

from zeroskip.base.tables import Report, Table, percent
from zeroskip.flow.layout.result import SCALED_NM, UNCHECKED, Layout

__all__ = ["layout_report"]

_KINDS = {
    "registers": "register to register",
    "from_srams": "from SRAMs",
    "to_srams": "to SRAMs",
    "all": "all, with other pins",
}


def layout_report(layout: Layout) -> Report:
    """Give tables and sentences of a layout."""
    return list(_report(layout))


def _report(layout: Layout) -> Iterator[Table | str]:
    floor, block = layout.floor, layout.floor.block
    yield Table(
        f"{block.name}, preset {layout.preset}, {floor.technology.about}",
        ("", ""),
        [
            ("cells", f"{len(block.instances):,}"),
            ("flip-flops", f"{layout.flip_flops:,}"),
            ("SRAMs outside", len(block.srams)),
            ("cells, um2", f"{floor.cell_um2:,.0f}"),
            ("rows", len(floor.placement.rows)),
            ("all, um", " x ".join(f"{edge:.0f}" for edge in floor.die)),
            ("rows full", percent(floor.utilization)),
            ("nets", f"{len(block.nets):,}"),
            ("nets failed", layout.failed),
            ("wire, um", f"{sum(layout.wires_um.values()):,.0f}"),
            ("vias", f"{layout.vias:,}"),
            ("rules broken", layout.checks.drc),
            ("is the netlist", "yes" if layout.checks.lvs else "NO"),
        ],
    )
    paths = layout.timing.paths
    without, wired = paths["without"], paths["with"]
    yield Table(
        "Longest paths, ns, with clock-to-output and set-up",
        ("path", "without wires", "with wires", "cells", "begins", "ends"),
        [
            (name, f"{without[kind].ns:.2f}", f"{path.ns:.2f}", path.cells, path.start, path.end)
            for kind, name in _KINDS.items()
            if (path := wired.get(kind)) is not None
        ],
    )
    first, last = layout.timing.clock_ns
    hold = f"{'met' if layout.hold_ns >= 0 else 'MISSED'} by {abs(layout.hold_ns):.2f} ns"
    yield f"the clock's edge comes to flip-flops after {first:.2f} to {last:.2f} ns; hold is {hold}"
    took, used = map(sum, zip(*layout.seconds.values(), strict=True))
    yield f"{took:.0f} s, of processors {used:.0f} s"
    for rule, count in layout.checks.rules.items():
        yield f"rule broken {count} times: {rule}"
    if (array := layout.array) is not None:
        paper = f"; the paper has {array['paper_mm2']:.1f}" if array["paper_mm2"] else ""
        yield (
            f"estimate at {SCALED_NM} nm: a PE takes {array['pe_logic_um2']:,.0f} um2 of logic, "
            f"this layout scaled, and {array['pe_sram_um2']:,.0f} of SRAMs; {array['pes']} PEs "
            f"and {array['around_um2']:,.0f} um2 around them take {array['mm2']:.1f} mm2{paper}"
        )
    yield "not checked: " + "; ".join(UNCHECKED)
