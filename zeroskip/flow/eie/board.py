"""The EIE array on boards: its host port and its memories."""

from collections.abc import Mapping, Sequence
from functools import partial

from amaranth.lib import wiring

from zeroskip.flow.board.array import BoardArray, Need
from zeroskip.hw.board.top import Hosted
from zeroskip.hw.common.counters import counter_addr_bits
from zeroskip.hw.common.formats import COUNTER_BITS
from zeroskip.hw.common.tanh import GATE_BITS
from zeroskip.hw.eie.array import PE_MODULE, EieArray
from zeroskip.hw.eie.formats import VERSION, command_layout, host_bits, sram_files
from zeroskip.hw.eie.host import BOARD_KIND, Space, stall_classes
from zeroskip.hw.eie.instances import memory_path
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.eie.pe import Pe

__all__ = ["EieBoardArray"]


class EieBoardArray(BoardArray[EieParams]):
    """See :class:`.BoardArray`."""

    engine = "eie"

    @property
    def short_paths(self) -> bool:
        """Whether its parameters, too, are those of an array for a fast clock."""
        return self.params.pointers_first

    @property
    def hosted(self) -> Hosted:
        """The array with its host port."""
        p = self.params
        readable = (Space.CONTROL, Space.ACT, *([Space.COUNTER] if p.counters else ()))
        return Hosted(
            kind=BOARD_KIND,
            version=VERSION,
            params=p,
            num_pes=p.num_pes,
            make=partial(EieArray, p),
            command=command_layout(p),
            word_bits=host_bits(p),
            spaces=tuple(space.value for space in Space if space != Space.COUNTER),
            readable=tuple(space.value for space in readable),
        )

    @property
    def inside(self) -> Mapping[str, partial[wiring.Component]]:
        """The PE."""
        return {PE_MODULE: partial(Pe, self.params)}

    @property
    def apart(self) -> Mapping[str, str]:
        """The PEs."""
        return {f"array.pe_{pe}": PE_MODULE for pe in range(self.params.num_pes)}

    @property
    def memories(self) -> Sequence[Need]:
        """Memories of the array."""
        p = self.params
        needs = [_need(name, *size, content=True) for name, size in sram_files(p).items()]
        for pe in range(p.num_pes):
            needs += [
                _need(f"pe_{pe}/act_{number}", p.num_acts, p.act_bits, shared=not p.streams)
                for number in range(p.act_files)
            ]
            needs.append(_need(f"pe_{pe}/accs", p.num_accs, p.acc_bits, shared=False))
            if p.cells:
                needs.append(_need(f"pe_{pe}/state", p.num_states, GATE_BITS))
            if p.delta:
                references = p.num_references, p.act_bits
                needs += [
                    _need(f"pe_{pe}/references", *references, shared=False),
                    _need(f"pe_{pe}/kept", p.num_biases, p.acc_bits, shared=False),
                ]
            if p.counters:
                rows = 1 << counter_addr_bits(p, stall_classes(p))
                needs.append(_need(f"pe_{pe}/counters", rows, COUNTER_BITS, shared=False))
        return needs


def _need(name: str, depth: int, width: int, *, content: bool = False, shared: bool = True) -> Need:
    return Need(name, f"array.{memory_path(name)}", depth, width, content, shared)
