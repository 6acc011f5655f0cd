"""Print how many array cycles a second the cycle model simulates at 64 PEs."""

import time
from collections.abc import Sequence

import numpy as np

from zeroskip.compiler.api import compile_quantized
from zeroskip.compiler.eie.part import EiePart
from zeroskip.compiler.eie.presets import PRESETS
from zeroskip.sim.eie.benchmark.layers import EIE_LAYERS
from zeroskip.sim.eie.cycles.image import image_segments, scanner
from zeroskip.sim.eie.cycles.program import run_program

__all__ = ["array_rate", "main"]


def array_rate(part: EiePart, x: Sequence[np.ndarray], repeats: int = 5) -> tuple[int, float]:
    """Return the cycles of a run, and the fastest of some runs in cycles a second.

    Reading the SRAMs is left out: it is done once per image, whatever the number of inputs.
    """
    segments, nonzero = image_segments(part), scanner(part, x)
    fastest, cycles = np.inf, 0
    for _ in range(repeats):
        start = time.process_time()
        cycles = 0
        for passes, scans in segments:
            scanned = [nonzero(0, scan) for scan in scans]
            cycles += run_program(passes, scanned, part.params)[0]
        fastest = min(fastest, time.process_time() - start)
    return cycles, cycles / fastest


def main() -> None:
    """Run layers of the EIE paper on both of its presets."""
    for name in ("paper", "best"):
        preset = PRESETS[name]
        for layer in EIE_LAYERS:
            network, x = layer.draw()
            image = compile_quantized(
                network,
                {"eie": preset.params},
                options=preset.options,
                name=layer.name,
            )
            cycles, rate = array_rate(image.part("eie"), [x.astype(np.int64)])
            print(f"{name:5} {layer.name:7} {cycles:6} cycles  {rate / 1e6:6.2f} M cycles/s")


if __name__ == "__main__":
    main()
