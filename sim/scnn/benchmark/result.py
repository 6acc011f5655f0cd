"""What a run of SCNN's evaluation gives."""

from dataclasses import asdict, dataclass
from typing import Any

from zeroskip.sim.scnn.benchmark.layers import PAPER_SPEEDUP, ConvLayer
from zeroskip.sim.scnn.benchmark.run import LayerRtl
from zeroskip.sim.scnn.benchmark.storage import MemoryBits
from zeroskip.sim.scnn.benchmark.total import NetworkTotal
from zeroskip.sim.scnn.benchmark.whole import NetworkRtl

__all__ = ["ConvBench", "NetworkBench", "ScnnBench"]

# What a document of networks says elsewhere.
_NOT_SHOWN = ("network", "out_channels", "merged")
_LATE_1X1 = ("1x1", "3x3_reduce", "5x5_reduce", "pool_proj")


@dataclass(frozen=True, kw_only=True)
class ConvBench(ConvLayer):
    """A layer, and what it takes.

    Parameters
    ----------
    products : of two operands that are not 0, that outputs need.
    cycles : of all runs of the array, from START to end; what the host does between them is not
        part of it.
    dense_cycles : of the dense machine of as many multipliers.
    oracle_cycles : ``products`` over all multipliers.
    sparse_w_cycles, sparse_a_cycles : of the same array if activations, or weights, are not
        compressed, each with its own best mapping. None if not run.
    dense_operand_cycles : of the same array if no operand is 0. None if not run.
    utilisation : share of multiplier-cycles that multiply two operands that are not 0.
    utilisation_issuing : the same, of the cycles that issue a pair of vectors.
    conflict : share of cycles with a pair in which it waited for full queues before banks.
    stalls : share of multiplier-cycles by stall class; sums to 1.
    runs, plan : of the array, and how the layer is laid on it.
    references : to memories, see :class:`.References`.
    weight_bytes : that stream in, packed, of all runs.
    """

    products: int
    cycles: int
    dense_cycles: int
    oracle_cycles: float
    utilisation: float
    utilisation_issuing: float
    conflict: float
    stalls: dict[str, float]
    runs: int
    plan: dict[str, int]
    references: dict[str, int]
    weight_bytes: int
    sparse_w_cycles: int | None = None
    sparse_a_cycles: int | None = None
    dense_operand_cycles: int | None = None

    @property
    def speedup(self) -> float:
        """Over the dense machine."""
        return self.dense_cycles / self.cycles

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        fields = {**asdict(self), "out_shape": self.out_shape, "speedup": self.speedup}
        return {name: fields[name] for name in fields if name not in _NOT_SHOWN}


@dataclass(frozen=True)
class NetworkBench:
    """Layers of a network.

    Parameters
    ----------
    name : of the network.
    layers : in its order.
    """

    name: str
    layers: tuple[ConvBench, ...]

    def over_dense(self, cycles: str = "cycles", *, published: bool = False) -> float | None:
        """Give the dense machine's cycles over those of a machine, all layers together.

        Parameters
        ----------
        cycles : field of :class:`ConvBench`.
        published : only layers whose densities are published.

        Returns
        -------
        None if there is no such layer, or the machine was not run.
        """
        layers = [layer for layer in self.layers if not (published and layer.assumed)]
        spent = [getattr(layer, cycles) for layer in layers]
        if not spent or None in spent:
            return None
        return sum(layer.dense_cycles for layer in layers) / sum(spent)

    @property
    def late_1x1(self) -> dict[str, float] | None:
        """Utilisation of the 1 x 1 layers of GoogLeNet's last module, 5b, together.

        None if not all four are there. Keys are those of :class:`ConvBench`.
        """
        late = [
            layer for layer in self.layers if layer.name.startswith("5b/") and layer.kernel == 1
        ]
        if len(late) < len(_LATE_1X1):
            return None
        useful, issued = (
            sum(sum(layer.stalls[name] for name in names) * layer.cycles for layer in late)
            for names in (("useful",), ("useful", "fragmentation"))
        )
        cycles = sum(layer.cycles for layer in late)
        return {"utilisation": useful / cycles, "utilisation_issuing": useful / issued}

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return {
            "speedup": self.over_dense(),
            "speedup_published_densities": self.over_dense(published=True),
            "speedup_paper": PAPER_SPEEDUP[self.name],
            "speedup_oracle": self.over_dense("oracle_cycles"),
            "speedup_sparse_w": self.over_dense("sparse_w_cycles"),
            "speedup_sparse_a": self.over_dense("sparse_a_cycles"),
            "dense_operands": self.over_dense("dense_operand_cycles"),
            **({"5b_1x1": late} if (late := self.late_1x1) else {}),
            "layers": [layer.to_dict() for layer in self.layers],
        }


@dataclass(frozen=True)
class ScnnBench:
    """All networks.

    Parameters
    ----------
    networks : by name.
    totals : of whole networks from memory to memory, by name; of those of which all layers are
        there.
    merged : layers that read the same tensor, as one.
    storage : bits of the array's memories.
    rtl : layers on the RTL, if any were run.
    whole_rtl : networks on the RTL, from one START each, if any were run.
    """

    networks: dict[str, NetworkBench]
    totals: dict[str, NetworkTotal]
    merged: tuple[ConvBench, ...]
    storage: tuple[MemoryBits, ...]
    rtl: tuple[LayerRtl, ...]
    whole_rtl: tuple[NetworkRtl, ...] = ()

    @property
    def conflict(self) -> float:
        """Share of all cycles with a pair in which it waited for full queues before banks."""
        layers = [layer for network in self.networks.values() for layer in network.layers]
        waited = sum(layer.stalls["conflict"] * layer.cycles for layer in layers)
        issued = sum(
            (layer.stalls["useful"] + layer.stalls["fragmentation"]) * layer.cycles
            for layer in layers
        )
        return waited / (waited + issued) if issued else 0.0

    @property
    def exact(self) -> bool:
        """Whether no word and no counter of the RTL differs."""
        layers = any(run.differ or run.cycles_differ for run in self.rtl)
        return not layers and not any(run.problems or run.differ for run in self.whole_rtl)

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        totals = {name: total.to_dict() for name, total in self.totals.items()}
        return {
            "networks": {
                name: {**totals.get(name, {}), **network.to_dict()}
                for name, network in self.networks.items()
            },
            "others": {name: totals[name] for name in totals.keys() - self.networks.keys()},
            "merged": [layer.to_dict() for layer in self.merged],
            "conflict": self.conflict,
            "storage": [asdict(storage) for storage in self.storage],
            "rtl": [asdict(run) for run in self.rtl],
            "whole_rtl": [asdict(run) for run in self.whole_rtl],
            "exact": self.exact,
        }
