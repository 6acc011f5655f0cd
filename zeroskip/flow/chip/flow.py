"""The chip as a design: both arrays, and what joins them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from amaranth.lib import wiring

from zeroskip.base.errors import InputError
from zeroskip.flow.eie.flow import FLOW as EIE
from zeroskip.flow.flow import Flow, Modules
from zeroskip.flow.scnn.flow import FLOW as SCNN
from zeroskip.hw.chip.formats import Engine, Go, Register
from zeroskip.hw.chip.top import CHIP_MODULE, Chip
from zeroskip.hw.common.bundle import constants, ports
from zeroskip.hw.common.control import StatusBit
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["FLOW", "ChipParams"]


@dataclass(frozen=True)
class ChipParams:
    """Sizes of the chip's arrays."""

    scnn: ScnnParams
    eie: EieParams


class _Chip(Flow[ChipParams]):
    engine = "chip"
    enums = (Engine, Register, Go, StatusBit)
    inside = f"{CHIP_MODULE}_"
    waves: Mapping[str, Sequence[str]] = {
        CHIP_MODULE: ("sequence.state", "handoff.plane_read.state")
    }

    @property
    def arrays(self) -> tuple[str, ...]:
        return ("eie", "scnn")

    def params(self, arrays: Mapping[str, Any]) -> ChipParams:
        return ChipParams(arrays["scnn"], arrays["eie"])

    def modules(self, params: ChipParams) -> Modules:
        inside = {**EIE.modules(params.eie), **SCNN.modules(params.scnn)}
        return {**inside, CHIP_MODULE: partial(Chip, params.scnn, params.eie)}

    def measured(self, params: ChipParams) -> Modules:
        raise InputError(f"{self.engine} is measured by its arrays: {', '.join(self.arrays)}")

    def exported(self, names: Sequence[str]) -> Iterable[Sequence[str]]:
        return [names]

    def macros(self, prefix: str, components: Mapping[str, wiring.Component]) -> str:
        *_, eie, _, scnn, chip = components.values()
        texts = [
            # Of an array inside, only the commands to it.
            constants(
                f"{prefix}{self.inside}{flow.engine}".upper(),
                [port for port in ports(array) if port.name == "cmd__payload"],
                flow.enums,
            )
            for flow, array in ((EIE, eie), (SCNN, scnn))
        ]
        texts.append(constants(f"{prefix}{CHIP_MODULE}".upper(), ports(chip), self.enums))
        return "".join(texts)


FLOW = _Chip()
"""What is found of the chip, see :mod:`zeroskip.flow.flow`."""
