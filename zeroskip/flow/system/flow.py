"""Verilog of the chip that runs command lists on EIE: the array, and its port to memory."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from zeroskip.flow.eie.flow import FLOW as EIE
from zeroskip.flow.flow import Flow, Modules
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.eie.system import SYSTEM_MODULE, EieSystem, eie_engine
from zeroskip.hw.system.formats import Error, Op, Wait
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import Event, Register, State
from zeroskip.hw.system.system import System

__all__ = ["FLOW", "SystemDesign"]


@dataclass(frozen=True)
class SystemDesign:
    """Sizes of the array, which has three activation files, and of the port to memory."""

    eie: EieParams
    port: SystemParams = field(default_factory=SystemParams)


class _System(Flow[SystemDesign]):
    engine = "system"
    enums = (Register, State, Event, Op, Wait, Error)
    inside = "system_"
    waves: Mapping[str, Sequence[str]] = {
        SYSTEM_MODULE: ("system.sequence.state", "system.fetch.state")
    }

    @property
    def arrays(self) -> tuple[str, ...]:
        return ("eie",)

    def params(self, arrays: Mapping[str, Any]) -> SystemDesign:
        return SystemDesign(replace(arrays["eie"], act_files=3))

    def modules(self, params: SystemDesign) -> Modules:
        inside = EIE.modules(params.eie)
        return {**inside, SYSTEM_MODULE: partial(EieSystem, params.port, params.eie)}

    def measured(self, params: SystemDesign) -> Modules:
        # The array is measured by itself.
        return {SYSTEM_MODULE: partial(System, params.port, eie_engine(params.eie))}

    def exported(self, names: Sequence[str]) -> Iterable[Sequence[str]]:
        return [names]


FLOW = _System()
"""What is found of it, see :mod:`zeroskip.flow.flow`."""
