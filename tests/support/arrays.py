"""The arrays whose simulators the short tier builds: one of each engine, and the chips.

A simulator takes up to a minute to build, so tests share these; the long tier has others.
"""

from dataclasses import replace

from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import PRESETS

__all__ = ["CHIP_EIE", "CHIP_SCNN", "EIE", "SCNN", "SHARED"]

EIE = EieParams(
    num_pes=2,
    queue_depth=4,
    spmat_words=256,
    num_pointers=128,
    num_acts=32,
    num_accs=16,
    num_biases=64,
    num_descriptors=8,
    pointers_first=True,
    skip_padding=True,
)
"""Small enough that drawn networks are cut to segments."""

SCNN = replace(PRESETS["tiny"], num_streams=4)
"""With blocks of 2 x 2, 2 x 1, 1 x 2 and single PEs; layers are cut in every way."""

CHIP_SCNN = replace(PRESETS["tile"], pes_x=2, pes_y=2, num_streams=4, mult_f=2, mult_i=2, banks=16)
CHIP_EIE = EieParams(num_pes=4)

SHARED = {
    "tests/cosim/test_array.py": "EIE",
    "tests/cosim/test_recover.py": "EIE",
    "tests/e2e/test_cli.py": "EIE",
    "tests/e2e/test_damage.py": "EIE",
    "tests/cosim/test_system.py": "system",
    "tests/cosim/test_system_errors.py": "system",
    "tests/cosim/test_scnn_layers.py": "SCNN",
    "tests/cosim/test_scnn_networks.py": "SCNN",
    "tests/cosim/test_scnn_recover.py": "SCNN",
    "tests/cosim/test_scnn_pools.py": "chip",
    "tests/e2e/test_cnn_cli.py": "chip",
    "tests/e2e/test_tables.py": "chip",
}
"""Files that use one simulator: one process runs them, so that no other waits for its build."""
