"""``zeroskip engines``: engines, their named arrays, and what of them can be set."""

from typing import Annotated, Any

import typer

from zeroskip.cli.arrays import ENGINES, Array, PresetOption, choose_array, show_value
from zeroskip.cli.options import JsonOption
from zeroskip.cli.output import print_json, print_line
from zeroskip.compiler.engine import Engine

__all__ = ["EXAMPLES", "show_engines"]

EXAMPLES = """Examples:

zeroskip engines

zeroskip engines eie --preset best
"""


def show_engines(
    engine: Annotated[
        str | None, typer.Argument(metavar="[ENGINE]", help="Show its presets and fields.")
    ] = None,
    preset: PresetOption = None,
    as_json: JsonOption = False,
) -> None:
    """List engines; of one, its presets, and all fields with range and value in the preset."""
    names = list(ENGINES) if engine is None else [engine]
    arrays = [choose_array(name, preset if engine else None, None) for name in names]
    if as_json:
        print_json({"engines": [_document(array) for array in arrays]})
        return
    for array in arrays:
        _print_presets(array.engine)
    if engine is not None:
        _print_fields(arrays[0])
    else:
        print_line("'zeroskip engines ENGINE' lists the fields that --set changes")


def _document(array: Array) -> dict[str, Any]:
    engine, values = array.engine, array.values()
    return {
        "name": engine.name,
        "about": engine.about,
        "preset": array.name,
        "presets": {name: preset.about for name, preset in engine.presets.items()},
        "fields": [
            {
                "name": field.name,
                "choices": list(field.choices),
                "value": values[field.name],
                "about": field.about,
            }
            for field in engine.fields.values()
        ],
    }


def _print_presets(engine: Engine[Any, Any]) -> None:
    print_line(f"{engine.name}: {engine.about}")
    for name, preset in engine.presets.items():
        print_line(f"  --preset {name:14} {preset.about}")
    print_line()


def _print_fields(array: Array) -> None:
    engine, values = array.engine, array.values()
    print_line(f"  {'field':15} {'from .. to':15} {array.name:>11}")
    for name, field in engine.fields.items():
        first, *_, last = field.choices
        ends = "yes, no" if isinstance(first, bool) else f"{first} .. {last}"
        if isinstance(first, str):
            ends = "see right"
        print_line(f"  {name:15} {ends:15} {show_value(values[name]):>11}  {field.about}")
