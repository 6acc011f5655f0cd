"""EIE's evaluation again: the nine layers on the RTL, or on the cycle model."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.api import compile_quantized
from zeroskip.compiler.eie.presets import PRESETS
from zeroskip.compiler.image.image import Image
from zeroskip.hw.eie.host import StallClass, stall_classes
from zeroskip.sim.eie.benchmark.layers import EIE_LAYERS, PAPER_MHZ, EieLayer
from zeroskip.sim.eie.benchmark.totals import DenseTotal, Total, bench_total, dense_total
from zeroskip.sim.eie.storage import layer_storage, per_nonzero, stored_bits
from zeroskip.sim.run import run
from zeroskip.sim.verify import verify

__all__ = ["EieBench", "LayerBench", "PresetBench", "bench_eie"]

_PRESETS = ("paper", "best")


@dataclass(frozen=True)
class PresetBench:
    """A layer on an array.

    Parameters
    ----------
    cycles : of the run: of the RTL, or of the cycle model.
    max_pe : cycles in which the PE with most entries issues one; no queue can beat it.
    bound_padding : mean of the PEs' cycles that issue an entry, padding included: what perfect
        balance would take.
    utilisation : share of the PEs' cycles that multiply a non-zero weight.
    padding : share of the stored entries that are padding.
    stored_bits : see :func:`.stored_bits`.
    stalls : share of the PEs' cycles by stall class; sums to 1.
    reload_cycles : host commands between runs, where the layer does not fit the SRAMs at once;
        not part of ``cycles``.
    cycles_per_second : of simulation, wall-clock, in the RTL's run; None on the cycle model.
    words, differ : output words compared with golden, and how many differ; 0 words on the model.
    cycles_differ : cycle counters of RTL and model that differ.
    total : see :class:`.Total`.
    """

    cycles: int
    max_pe: int
    bound_padding: float
    utilisation: float
    padding: float
    stored_bits: dict[str, int]
    stalls: dict[str, float]
    reload_cycles: int
    cycles_per_second: float | None
    words: int
    differ: int
    cycles_differ: int
    total: Total

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, those of ``total`` among them."""
        found = asdict(self)
        return found | found.pop("total")


@dataclass(frozen=True)
class LayerBench:
    """A layer, in the paper and here.

    Parameters
    ----------
    name : as in the paper.
    paper_theoretical_cycles, paper_actual_cycles : the paper's microseconds at 800 MHz.
    nonzeros : non-zero weights.
    bound_no_padding : useful multiplications per PE: what a perfect array would take.
    paper, best : the two arrays, see :data:`.PRESETS`.
    dense : a dense machine of as many multipliers.
    """

    name: str
    paper_theoretical_cycles: int
    paper_actual_cycles: int
    nonzeros: int
    bound_no_padding: float
    paper: PresetBench
    best: PresetBench
    dense: DenseTotal

    def to_dict(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self) | {name: getattr(self, name).to_dict() for name in _PRESETS}


@dataclass(frozen=True)
class EieBench:
    """All layers.

    Parameters
    ----------
    target : ``rtl`` or ``cycles``.
    layers : in the paper's order.
    """

    target: str
    layers: tuple[LayerBench, ...]

    def over_bound(self, preset: str) -> float:
        """Return the geometric mean of cycles over ``bound_no_padding``."""
        ratios = [getattr(layer, preset).cycles / layer.bound_no_padding for layer in self.layers]
        return float(np.exp(np.mean(np.log(ratios))))

    def over_compute(self, preset: str, what: str) -> float:
        """Return the geometric mean of a field of :class:`.Total` over the compute cycles."""
        arrays = [getattr(layer, preset) for layer in self.layers]
        ratios = [getattr(array.total, what) / array.cycles for array in arrays]
        return float(np.exp(np.mean(np.log(ratios))))

    def stored_bits_per_nonzero(self, preset: str) -> dict[str, float]:
        """Return stored bits per non-zero weight, all layers together, and their ``sum``."""
        stored = [getattr(layer, preset).stored_bits for layer in self.layers]
        bits = {name: sum(counts[name] for counts in stored) for name in stored[0]}
        return per_nonzero(bits, sum(layer.nonzeros for layer in self.layers))

    @property
    def slower(self) -> tuple[str, ...]:
        """The layers on which ``best`` takes no fewer cycles than the paper's EIE did."""
        return tuple(o.name for o in self.layers if o.best.cycles >= o.paper_actual_cycles)

    @property
    def exact(self) -> bool:
        """Whether no word and no cycle counter differs."""
        arrays = [getattr(layer, preset) for layer in self.layers for preset in _PRESETS]
        return not any(array.differ or array.cycles_differ for array in arrays)

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return {
            "on": self.target,
            "layers": [layer.to_dict() for layer in self.layers],
            "cycles_over_bound": {name: self.over_bound(name) for name in _PRESETS},
            "latency_over_compute": {
                name: self.over_compute(name, "latency_cycles") for name in _PRESETS
            },
            "total_over_compute": {
                name: self.over_compute(name, "total_cycles") for name in _PRESETS
            },
            "stored_bits_per_nonzero": {
                name: self.stored_bits_per_nonzero(name) for name in _PRESETS
            },
            "slower_than_paper": list(self.slower),
            "exact": self.exact,
        }


def bench_eie(
    layers: Sequence[EieLayer] = EIE_LAYERS,
    on: Literal["rtl", "cycles"] = "rtl",
    progress: Progress | None = None,
) -> EieBench:
    """Run layers on both arrays.

    Parameters
    ----------
    layers : see :data:`.EIE_LAYERS`.
    on : the RTL, with every word and cycle counter compared, or the cycle model alone.
    progress : called with a step's name, how much of it is done, and of how much.

    Raises
    ------
    ToolError, SimulationError
        As :func:`.run` does.
    """
    report = progress or silent
    results = []
    for number, layer in enumerate(layers):
        report("layers", number, len(layers))
        network, x = layer.draw()
        codes = network.layers[0].codes
        useful = int(np.diff(codes.indptr)[x[0] != 0].sum())
        arrays = {}
        for name in _PRESETS:
            preset = PRESETS[name]
            report(f"{layer.name}, {name}", 0, 1)
            image = compile_quantized(
                network,
                {"eie": preset.params},
                options=preset.options,
                name=layer.name,
            )
            total = bench_total(network, x, preset, layer.name)
            arrays[name] = _bench(image, x, on, total)
            report(f"{layer.name}, {name}", 1, 1)
        results.append(
            LayerBench(
                name=layer.name,
                paper_theoretical_cycles=round(layer.theoretical_us * PAPER_MHZ),
                paper_actual_cycles=round(layer.actual_us * PAPER_MHZ),
                nonzeros=codes.nnz,
                bound_no_padding=useful / PRESETS["paper"].params.num_pes,
                dense=dense_total(layer.outputs, layer.inputs, PRESETS["paper"].params.num_pes),
                **arrays,
            )
        )
    report("layers", len(layers), len(layers))
    return EieBench(on, tuple(results))


def _bench(image: Image, x: NDArray[np.float64], on: str, total: Total) -> PresetBench:
    words = differ = cycles_differ = 0
    cycles_per_second = None
    if on == "rtl":
        compared = verify(image, x)
        result = compared.rtl
        words, differ = compared.words, compared.differ
        cycles_differ = compared.cycles_differ
        assert result.seconds is not None
        assert result.cycles is not None
        cycles_per_second = float(result.cycles[0] / result.seconds[0])
    else:
        result = run(image, x, "cycles")
    assert result.cycles is not None
    assert result.reload_cycles is not None
    part = image.part("eie")
    counted = result.parts[0].counters
    assert counted is not None
    counters = counted[0].sum(axis=0)
    issued = counters[:, StallClass.USEFUL] + counters[:, StallClass.PADDING]
    (storage,) = layer_storage(part)
    return PresetBench(
        cycles=int(result.cycles[0]),
        max_pe=int(issued.max()),
        bound_padding=float(issued.mean()),
        utilisation=float(counters[:, StallClass.USEFUL].sum() / counters.sum()),
        padding=float(storage.padding.sum() / storage.entries.sum()),
        stored_bits=stored_bits(part),
        stalls={
            stall.name.lower(): float(counters[:, stall].sum() / counters.sum())
            for stall in stall_classes(part.params)
        },
        reload_cycles=int(result.reload_cycles[0]),
        cycles_per_second=cycles_per_second,
        words=words,
        differ=differ,
        cycles_differ=cycles_differ,
        total=total,
    )
