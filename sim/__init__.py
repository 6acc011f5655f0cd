"""Run compiled images: on the golden model, the cycle model, and the RTL under Verilator."""

import os

# A simulator starts this package's benches, which need none of what follows: it would take
# longer to import than a small simulation takes to run.
if "COCOTB_TEST_MODULES" not in os.environ:
    from sim.api import run, verify
    from sim.errors import SimulationError, ToolError
    from sim.result import RunResult
    from sim.scnn.result import CnnResult
    from sim.scnn.verify import CnnVerifyResult
    from sim.verify import VerifyResult

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
