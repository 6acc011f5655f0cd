"""``zeroskip layout``: a unit placed and routed, with its wires' delays, checked."""

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.base.errors import ParameterError
from zeroskip.cli.arrays import DEFAULT_ENGINE, PresetOption, SetOption, choose_arrays
from zeroskip.cli.options import JsonOption, number, whole_number
from zeroskip.cli.output import Steps, print_json, print_line, print_report

__all__ = ["EXAMPLES", "lay_out_unit"]

EXAMPLES = """Examples:

zeroskip layout --unit act_queue --preset paper -o out/act_queue

zeroskip layout --unit eie-pe --preset paper -o out/eie_pe

zeroskip layout --unit scnn-act_read --preset tile -o out/act_read --json
"""


def lay_out_unit(
    unit: Annotated[
        str,
        typer.Option(
            "--unit",
            metavar="[ENGINE-]UNIT",
            help="A unit of a PE, as 'zeroskip area' calls it, or around the PEs, with dots before "
            f"those in others; or pe. Of {DEFAULT_ENGINE} unless an engine is named.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Folder to write; ours is replaced."),
    ],
    preset: PresetOption = None,
    settings: SetOption = None,
    clock_ps: Annotated[
        int,
        typer.Option("--clock-ps", metavar="N", parser=whole_number, help="Delay to map for."),
    ] = 3000,
    metals: Annotated[
        int,
        typer.Option(
            "--metals", metavar="N", parser=whole_number, help="Metals that wires may take."
        ),
    ] = 6,
    utilization: Annotated[
        float,
        typer.Option(
            "--utilization", metavar="SHARE", parser=number, help="Of the rows, that cells take."
        ),
    ] = 0.92,
    seed: Annotated[
        int,
        typer.Option("--seed", metavar="N", parser=whole_number, help="Of the placer's chance."),
    ] = 1,
    as_json: JsonOption = False,
) -> int:
    """Place and route a unit on cells of 180 nm, time it with its wires, and check it.

    Needs programs of Debian, which are named if they are missing. Writes the netlist, DEF, GDS,
    resistances and capacitances, a picture and a summary. Exits with 1 if a net is not routed,
    a rule of the process is broken, the layout is not the netlist, or hold is missed.
    """
    from zeroskip.flow.flow import flow
    from zeroskip.flow.layout.layout import lay_out
    from zeroskip.flow.layout.report import layout_report
    from zeroskip.flow.layout.unit import unit_name

    named = unit_name(unit, DEFAULT_ENGINE)
    design = flow(named.engine)
    arrays = choose_arrays(preset, settings, design.arrays)
    params = design.params({name: array.params for name, array in arrays.items()})
    for field, value, most in (("clock_ps", clock_ps, 1_000_000), ("seed", seed, 1_000_000)):
        if not 1 <= value <= most:
            raise ParameterError(field, value, f"from 1 to {most}")
    if not 0.5 <= utilization <= 1:
        raise ParameterError("utilization", utilization, "from 0.5 to 1")
    with Steps() as steps:
        found = lay_out(
            named,
            " + ".join(array.name for array in arrays.values()),
            params,
            output,
            clock_ps=clock_ps,
            metals=metals,
            utilization=utilization,
            seed=seed,
            progress=steps,
        )
    if as_json:
        print_json({**found.to_dict(), "folder": str(output)})
    else:
        print_report(layout_report(found))
        print_line(f"layout in {output}")
    return int(not found.sound)
