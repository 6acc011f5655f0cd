"""The arrays whose simulators the short tier builds: one of each engine, the chips, a system.

A simulator takes up to a minute to build, so tests share these; the long tier has others.
"""

from dataclasses import replace

from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import PRESETS

__all__ = ["CHIP_EIE", "CHIP_SCNN", "EIE", "SCNN", "SHARED", "SYSTEM"]

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

SYSTEM = EieParams(
    num_pes=3,
    act_files=3,
    act_bits=13,
    acc_bits=40,
    word_bits=72,
    spmat_words=48,
    num_pointers=96,
    num_acts=12,
    num_accs=10,
    num_biases=32,
    num_descriptors=8,
)
"""With small memories, so that many networks take several runs, and vectors that lie in memory."""

SHARED = {
    "tests/e2e/test_bitstream.py": "bitstreams",
    "tests/cosim/test_array.py": "EIE",
    "tests/cosim/test_docstrings.py": "EIE",
    "tests/cosim/test_recover.py": "EIE",
    "tests/cosim/test_row_streams.py": "EIE",
    "tests/cosim/test_sram_accesses.py": "EIE",
    "tests/e2e/test_cli.py": "EIE",
    "tests/e2e/test_damage.py": "EIE",
    "tests/cosim/test_system.py": "system",
    "tests/cosim/test_system_errors.py": "system",
    "tests/cosim/test_scnn_reruns.py": "system",
    "tests/cosim/test_driver.py": "tops",
    "tests/cosim/test_tops.py": "tops",
    "tests/e2e/test_system.py": "system",
    "tests/cosim/test_scnn_layers.py": "SCNN",
    "tests/cosim/test_scnn_networks.py": "SCNN",
    "tests/cosim/test_scnn_recover.py": "SCNN",
    "tests/cosim/test_scnn_pools.py": "SCNN",
    "tests/e2e/test_cnn_cli.py": "SCNN",
    "tests/e2e/test_tables.py": "SCNN",
}
"""Files, or tests by how their names begin, that use one simulator or one bitstream.

One process runs them, so that no other waits until it is built.
"""
