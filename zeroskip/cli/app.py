"""The command line: ``zeroskip compile | run | verify | info | engines ...``."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from zeroskip.cli import (
    area,
    bench,
    bitstream,
    compare,
    compile,
    compress,
    decompress,
    demo,
    driver,
    energy,
    engines,
    explore,
    host,
    import_file,
    info,
    layout,
    patch,
    plot,
    report,
    sweep,
    system,
    verify,
    verilog,
)
from zeroskip.cli import (
    run as run_command,
)
from zeroskip.cli.command import Command
from zeroskip.cli.guard import exit_with
from zeroskip.compiler.image.manifest import zeroskip_version

__all__ = ["app", "run"]


class _Root(TyperGroup):
    """The command line, whose help has commands in the order in which they are used."""

    def list_commands(self, ctx: Any) -> list[str]:
        del ctx
        return [name for commands in _COMMANDS.values() for name in commands]


app = typer.Typer(
    name="zeroskip",
    cls=_Root,
    help="From a pruned, weight-shared PyTorch network to bit-exact sparse-inference RTL.",
    epilog="Exit codes: 0 done, 1 the RTL differs or hangs, 2 bad input or missing tool, 3 the "
    "clock of a bitstream is not met.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_COMMANDS = {
    "Networks": {
        "import": (import_file.import_file, import_file.EXAMPLES),
        "explore": (explore.explore_model, explore.EXAMPLES),
        "compress": compress.app,
        "decompress": (decompress.decompress_model, decompress.EXAMPLES),
        "compile": (compile.compile_model, compile.EXAMPLES),
    },
    "Images, which are compiled networks": {
        "info": (info.show_image, info.EXAMPLES),
        "run": (run_command.run_image, run_command.EXAMPLES),
        "verify": (verify.verify_image, verify.EXAMPLES),
        "report": (report.write_report, report.EXAMPLES),
        "energy": (energy.measure_energy, energy.EXAMPLES),
        "system": (system.show_system, system.EXAMPLES),
        "driver": (driver.write_driver, driver.EXAMPLES),
    },
    "Hardware": {
        "engines": (engines.show_engines, engines.EXAMPLES),
        "verilog": (verilog.write_verilog, verilog.EXAMPLES),
        "area": (area.measure_area, area.EXAMPLES),
        "layout": (layout.lay_out_unit, layout.EXAMPLES),
        "bitstream": (bitstream.make_bitstream, bitstream.EXAMPLES),
        "patch": (patch.patch_bitstream, patch.EXAMPLES),
        "host": host.app,
    },
    "Evaluations": {
        "demo": (demo.run_demo, demo.EXAMPLES),
        "bench": (bench.run_evaluation, bench.EXAMPLES),
        "compare": (compare.compare_model, compare.EXAMPLES),
        "sweep": (sweep.sweep_arrays, sweep.EXAMPLES),
        "plot": plot.app,
    },
}
"""By heading of the help: what a command runs and its examples, or the commands below it."""


def _add_commands() -> None:
    """Add all commands, those of a heading one after the other."""
    for heading, commands in _COMMANDS.items():
        for name, found in commands.items():
            if isinstance(found, typer.Typer):
                app.add_typer(found, name=name, rich_help_panel=heading)
            else:
                function, examples = found
                app.command(name, cls=Command, epilog=examples, rich_help_panel=heading)(function)


_add_commands()


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"zeroskip {zeroskip_version()}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    del version


def run() -> None:
    """Run the command line and exit."""
    exit_with(app, "zeroskip")
