"""Run compiled images: on the golden model, the cycle model, and the RTL under Verilator.

Names below are imported when they are used: a simulator starts this package's benches, which need
none of them, and they would take longer to import than a small simulation takes to run.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.api import run, verify
    from sim.eie_verify import VerifyResult
    from sim.errors import SimulationError, ToolError
    from sim.result import RunResult
    from sim.scnn.result import CnnResult
    from sim.scnn.verify import CnnVerifyResult

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
    "CnnResult": "sim.scnn.result",
    "CnnVerifyResult": "sim.scnn.verify",
    "RunResult": "sim.result",
    "SimulationError": "sim.errors",
    "ToolError": "sim.errors",
    "VerifyResult": "sim.eie_verify",
    "run": "sim.api",
    "verify": "sim.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
