"""Zeroskip: from a pruned, weight-shared PyTorch network to bit-exact sparse-inference RTL.

>>> import zeroskip as zs
>>> image = zs.compile(model, example_input, calibration)
>>> zs.verify(image, calibration).ok
True

Names below are imported when they are used: whoever only reads an image needs NumPy only.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zeroskip.base.errors import (
        CompileError,
        ImageError,
        InputError,
        SimulationError,
        ToolError,
        ZeroskipError,
    )
    from zeroskip.compiler.api import compile, compile_file
    from zeroskip.compiler.compress.api import compress
    from zeroskip.compiler.image.image import Image, load
    from zeroskip.hw.eie.params import EieParams
    from zeroskip.hw.scnn.params import ScnnParams
    from zeroskip.sim.energy.measure import Energy, energy
    from zeroskip.sim.explore.explore import explore
    from zeroskip.sim.result import Result
    from zeroskip.sim.run import run
    from zeroskip.sim.verify import VerifyResult, verify

__all__ = [
    "CompileError",
    "EieParams",
    "Energy",
    "Image",
    "ImageError",
    "InputError",
    "Result",
    "ScnnParams",
    "SimulationError",
    "ToolError",
    "VerifyResult",
    "ZeroskipError",
    "compile",
    "compile_file",
    "compress",
    "energy",
    "explore",
    "load",
    "run",
    "verify",
]

_HOMES = {
    "CompileError": "zeroskip.base.errors:CompileError",
    "EieParams": "zeroskip.hw.eie.params:EieParams",
    "Energy": "zeroskip.sim.energy.measure:Energy",
    "Image": "zeroskip.compiler.image.image:Image",
    "ImageError": "zeroskip.base.errors:ImageError",
    "InputError": "zeroskip.base.errors:InputError",
    "Result": "zeroskip.sim.result:Result",
    "ScnnParams": "zeroskip.hw.scnn.params:ScnnParams",
    "SimulationError": "zeroskip.base.errors:SimulationError",
    "ToolError": "zeroskip.base.errors:ToolError",
    "VerifyResult": "zeroskip.sim.verify:VerifyResult",
    "ZeroskipError": "zeroskip.base.errors:ZeroskipError",
    "compile": "zeroskip.compiler.api:compile",
    "compile_file": "zeroskip.compiler.api:compile_file",
    "compress": "zeroskip.compiler.compress.api:compress",
    "energy": "zeroskip.sim.energy.measure:energy",
    "explore": "zeroskip.sim.explore.explore:explore",
    "load": "zeroskip.compiler.image.image:load",
    "run": "zeroskip.sim.run:run",
    "verify": "zeroskip.sim.verify:verify",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
