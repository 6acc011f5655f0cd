"""``zeroskip plot``: pictures of sweeps and of runs."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zeroskip.base.staging import check_output_file
from zeroskip.cli.command import Command
from zeroskip.cli.files import read_npy
from zeroskip.cli.options import ImageArgument, InputOption, JsonOption
from zeroskip.cli.output import Steps, print_json, print_line
from zeroskip.compiler.image.image import load
from zeroskip.sim.evaluation import Evaluation
from zeroskip.sim.machine import MACHINES
from zeroskip.sim.run import run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EXAMPLES", "app"]

EXAMPLES = """Examples:

zeroskip sweep --set queue_depth=1,2,4,8,16,32,64,128,256 -o depth.parquet

zeroskip plot fig8 depth.parquet -o fig8.png

zeroskip sweep --engine scnn --set density=0.1,0.2,0.5,1 -o density.csv

zeroskip plot density density.csv -o density.png

zeroskip plot heat out/model --input x.npy -o heat.svg

zeroskip plot area -o area.svg
"""

app = typer.Typer(
    help="Draw sweeps and runs, as PNG or SVG.", epilog=EXAMPLES, no_args_is_help=True
)

OutputOption = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="FILE", help="A .png or .svg file; one is replaced."),
]
TableArgument = Annotated[Path, typer.Argument(metavar="TABLE", help="Written by zeroskip sweep.")]


def _figure(evaluation: Evaluation, name: str) -> Callable[..., None]:
    def draw(table: TableArgument, output: OutputOption, as_json: JsonOption = False) -> None:
        _draw(name, lambda: evaluation.draw(name, table), output, as_json=as_json)

    return draw


for _machine in MACHINES.all().values():
    if _machine.evaluation is not None:
        for _name, _about in _machine.evaluation.figures.items():
            app.command(_name, cls=Command, epilog=EXAMPLES, help=_about)(
                _figure(_machine.evaluation, _name)
            )


@app.command("heat", cls=Command, epilog=EXAMPLES)
def plot_heat(
    image: ImageArgument,
    inputs: InputOption,
    output: OutputOption,
    as_json: JsonOption = False,
) -> None:
    """Show what every PE did in how many of its cycles, layer by layer, on the cycle model.

    Cycles are sums over all inputs. Arrays follow each other as they run.
    """

    def make() -> "Figure":
        from zeroskip.sim.plots.heat import draw_heat, heat_maps

        compiled = load(image)
        x = read_npy(inputs, "input")
        with Steps() as steps:
            maps = heat_maps(run(compiled, x, "cycles", progress=steps))
        return draw_heat(compiled.name, maps)

    _draw("heat", make, output, as_json=as_json)


@app.command("area", cls=Command, epilog=EXAMPLES)
def plot_area(output: OutputOption, as_json: JsonOption = False) -> None:
    """Show how the area of each design went, from the versions of the baseline in git."""

    def make() -> "Figure":
        from zeroskip.sim.plots.area import draw_area, read_history

        return draw_area(read_history())

    _draw("area", make, output, as_json=as_json)


def _draw(name: str, make: Callable[[], "Figure"], output: Path, *, as_json: bool) -> None:
    """Draw a picture to a file; the libraries take a second to import, so options come first."""
    from zeroskip.sim.plots.style import check_picture, save

    check_picture(output)
    check_output_file(output)
    save(make(), output)
    if as_json:
        print_json({"figure": name, "picture": str(output)})
    else:
        print_line(f"{name} in {output}")
