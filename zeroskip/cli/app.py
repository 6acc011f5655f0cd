"""The command line: ``zeroskip compress | compile | run | verify | info | engines ...``."""

from typing import Annotated

import typer

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

app = typer.Typer(
    name="zeroskip",
    help="From a pruned, weight-shared PyTorch network to bit-exact sparse-inference RTL.",
    epilog="Exit codes: 0 done, 1 the RTL differs or hangs, 2 bad input or missing tool, 3 the "
    "clock of a bitstream is not met.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(compress.app, name="compress")
app.command("decompress", cls=Command, epilog=decompress.EXAMPLES)(decompress.decompress_model)
app.command("demo", cls=Command, epilog=demo.EXAMPLES)(demo.run_demo)
app.command("compile", cls=Command, epilog=compile.EXAMPLES)(compile.compile_model)
app.command("import", cls=Command, epilog=import_file.EXAMPLES)(import_file.import_file)
app.command("explore", cls=Command, epilog=explore.EXAMPLES)(explore.explore_model)
app.command("compare", cls=Command, epilog=compare.EXAMPLES)(compare.compare_model)
app.command("run", cls=Command, epilog=run_command.EXAMPLES)(run_command.run_image)
app.command("verify", cls=Command, epilog=verify.EXAMPLES)(verify.verify_image)
app.command("info", cls=Command, epilog=info.EXAMPLES)(info.show_image)
app.command("energy", cls=Command, epilog=energy.EXAMPLES)(energy.measure_energy)
app.command("report", cls=Command, epilog=report.EXAMPLES)(report.write_report)
app.command("engines", cls=Command, epilog=engines.EXAMPLES)(engines.show_engines)
app.command("area", cls=Command, epilog=area.EXAMPLES)(area.measure_area)
app.command("layout", cls=Command, epilog=layout.EXAMPLES)(layout.lay_out_unit)
app.command("verilog", cls=Command, epilog=verilog.EXAMPLES)(verilog.write_verilog)
app.command("bitstream", cls=Command, epilog=bitstream.EXAMPLES)(bitstream.make_bitstream)
app.command("patch", cls=Command, epilog=patch.EXAMPLES)(patch.patch_bitstream)
app.command("bench", cls=Command, epilog=bench.EXAMPLES)(bench.run_evaluation)
app.command("system", cls=Command, epilog=system.EXAMPLES)(system.show_system)
app.command("driver", cls=Command, epilog=driver.EXAMPLES)(driver.write_driver)
app.command("sweep", cls=Command, epilog=sweep.EXAMPLES)(sweep.sweep_arrays)
app.add_typer(host.app, name="host")
app.add_typer(plot.app, name="plot")


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
