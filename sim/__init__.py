"""Run compiled images: on the golden model, the cycle model, and the RTL under Verilator.

Names below are imported when they are used: a simulator starts this package's benches, which need
none of them, and they would take longer to import than a small simulation takes to run.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zeroskip.base.errors import SimulationError, ToolError
    from zeroskip.sim.api import run, verify
    from zeroskip.sim.eie.result import RunResult
    from zeroskip.sim.eie.verify import VerifyResult
    from zeroskip.sim.scnn.result import CnnResult
    from zeroskip.sim.scnn.verify import CnnVerifyResult

__all__ = [
    "CnnResult",
    "CnnVerifyResult",
    "RunResult",
    "SimulationError",
    "ToolError",
    "VerifyResult",
    "run",
    "verify",
]

_HOMES = {
    "CnnResult": "zeroskip.sim.scnn.result",
    "CnnVerifyResult": "zeroskip.sim.scnn.verify",
    "RunResult": "zeroskip.sim.eie.result",
    "SimulationError": "zeroskip.base.errors",
    "ToolError": "zeroskip.base.errors",
    "VerifyResult": "zeroskip.sim.eie.verify",
    "run": "zeroskip.sim.api",
    "verify": "zeroskip.sim.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
