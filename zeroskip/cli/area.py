"""``zeroskip area``: gates and SRAMs of an engine, its longest paths, beside the papers'."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from zeroskip.base.errors import InputError, ParameterError
from zeroskip.base.staging import check_output_file, replaced_file
from zeroskip.cli.arrays import DEFAULT_ENGINE, ENGINES, PresetOption, SetOption, choose_arrays
from zeroskip.cli.options import JsonOption, whole_number
from zeroskip.cli.output import Steps, print_json, print_report

__all__ = ["EXAMPLES", "measure_area"]

EXAMPLES = """Examples:

zeroskip area --preset paper

zeroskip area --preset paper --check

zeroskip area --engine scnn

zeroskip area --engine eie_system --preset best

zeroskip area --preset paper --liberty sg13g2_typ.lib.gz --json
"""


def measure_area(
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            metavar="ENGINE",
            help=f"One of {', '.join(ENGINES)}; or system: what is between a memory and arrays; "
            "with the names of some and _ before it, of these.",
        ),
    ] = DEFAULT_ENGINE,
    preset: PresetOption = None,
    settings: SetOption = None,
    liberty: Annotated[
        Path | None,
        typer.Option(
            "--liberty",
            metavar="FILE",
            help="A standard-cell library, .lib or .lib.gz; the project's gate equivalents unless "
            "given.",
        ),
    ] = None,
    clock_ps: Annotated[
        int,
        typer.Option(
            "--clock-ps",
            metavar="N",
            parser=whole_number,
            help="Delay to map for, with libraries that have delays.",
        ),
    ] = 1150,
    check: Annotated[
        bool,
        typer.Option("--check", help="Run the netlists of gates, and compare every bit."),
    ] = False,
    netlists: Annotated[
        Path | None,
        typer.Option("--netlists", metavar="FOLDER", help="Leave the netlists in this folder."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Also write the JSON document here."),
    ] = None,
    baseline: Annotated[
        bool,
        typer.Option(
            "--baseline",
            help="Exit with 1 if a unit grew by over 2 % beside the baseline (area-baseline.json).",
        ),
    ] = False,
    renew: Annotated[
        bool,
        typer.Option("--renew-baseline", help="Make these figures the baseline, on purpose."),
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Synthesize an engine; show its area by unit, its longest path, and the paper's figures.

    Areas of SRAMs are estimates. Exits with 1 if a netlist differs from the models or a unit has
    outgrown the baseline.
    """
    from zeroskip.flow.flow import flow
    from zeroskip.flow.synth.baseline import agreed_gates, growth, renew_baseline
    from zeroskip.flow.synth.measure import area_document, area_tables, measure_area
    from zeroskip.sim.gates import check_size, passed_gates
    from zeroskip.sim.machine import machine

    design = flow(engine)
    arrays = choose_arrays(preset, settings, design.arrays)
    params = design.params({name: array.params for name, array in arrays.items()})
    if engine not in arrays and (check or renew):
        raise InputError(f"gates of {engine} are not run: leave --check and --renew-baseline out")
    if not 1 <= clock_ps <= 1_000_000:
        raise ParameterError("clock_ps", clock_ps, "from 1 to 1000000")
    own = liberty is None
    wanted = {"--check": check, "--baseline": baseline, "--renew-baseline": renew}
    _check_comparable([option for option, is_given in wanted.items() if is_given], own, settings)
    if check:
        check_size(engine, design.num_pes(params))
    if output is not None:
        check_output_file(output)
    if netlists is not None:
        _make_folder(netlists)
    with Steps() as steps:
        made = measure_area(
            engine,
            " + ".join(array.name for array in arrays.values()),
            params,
            liberty=liberty,
            clock_ps=clock_ps,
            progress=steps,
        )
        report = made.report
        if own:
            gates = (
                machine(engine).check_gates(made.params, made.netlists, progress=steps)
                if check
                else passed_gates(report.netlists) or agreed_gates(report)
            )
            report = dataclasses.replace(report, gates=gates)
    if renew and (report.gates is None or not report.gates["passed"]):
        raise InputError("the baseline is of netlists that passed: give --check, too")
    outgrown = growth(report) if baseline else []
    if renew:
        renew_baseline(report)
    document = {**area_document(report), "outgrown": outgrown}
    texts = {} if netlists is None else {netlists / name: t for name, t in made.verilog.items()}
    if output is not None:
        texts[output] = json.dumps(document, indent=1) + "\n"
    for path, text in texts.items():
        with replaced_file(path) as file:
            file.write(text)
    agreed = ["no unit outgrew the baseline by over 2 %"] if baseline and not outgrown else []
    renewed = ["the baseline is renewed"] if renew else []
    if as_json:
        print_json(document)
    else:
        tables = area_tables(report, own=own, ran=check)
        print_report([*tables, *outgrown, *agreed, *renewed])
    differs = report.gates is not None and not report.gates["passed"]
    return int(bool(outgrown) or differs)


def _check_comparable(given: Sequence[str], own: bool, settings: Sequence[str] | None) -> None:
    """Refuse options that compare with what is known of the project's own cells and presets."""
    for option in given:
        if not own:
            raise InputError(f"{option} is for the project's own cells: leave --liberty out")
        if settings and option != "--check":
            raise InputError(f"{option} is for presets as they are: leave --set out")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"folder {folder} cannot be made: {error.strerror or error}") from error
