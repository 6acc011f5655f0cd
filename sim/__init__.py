"""Run compiled images: on the golden model, and on the RTL under Verilator."""

import os

# A simulator starts this package's benches, which need none of what follows: it would take
# longer to import than a small simulation takes to run.
if "COCOTB_TEST_MODULES" not in os.environ:
    from sim.errors import SimulationError, ToolError
    from sim.run import RunResult, VerifyResult, run, verify

    __all__ = ["RunResult", "SimulationError", "ToolError", "VerifyResult", "run", "verify"]
