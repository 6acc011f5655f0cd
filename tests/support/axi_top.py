"""Both DMAs behind one AXI4 port whose signals have the names that AXI gives them."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from zeroskip.hw.system.formats import read_request_layout, write_request_layout
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.read_dma import ReadDma, read_beat_layout
from zeroskip.hw.system.write_dma import WriteDma

__all__ = ["AXI_MODULE", "AxiTop"]

AXI_MODULE = "axi_top"

_INCR = 1


class AxiTop(wiring.Component):
    """DMAs that read and write one memory.

    Members
    -------
    m_axi_* : AXI4, with identifiers of one bit that are 0.
    reads, o, writes, i, done, error : of the DMAs.
    """

    reads: stream.Interface
    o: stream.Interface
    writes: stream.Interface
    i: stream.Interface
    done: Any
    error: Any

    def __init__(self, p: SystemParams) -> None:
        self._p = p
        address = {"id": 1, "addr": p.addr_bits, "len": 8, "size": 3, "burst": 2, "valid": 1}
        words = {"data": p.data_bits, "strb": p.beat_bytes, "last": 1, "valid": 1}
        answer = {"id": 1, "resp": 2, "valid": 1}
        beat = {"id": 1, "data": p.data_bits, "resp": 2, "last": 1, "valid": 1}
        channels = {"ar": address, "aw": address, "w": words}
        super().__init__({
            **{
                f"m_axi_{c}{n}": Out(bits)
                for c, all_ in channels.items()
                for n, bits in all_.items()
            },
            **{f"m_axi_b{name}": In(bits) for name, bits in answer.items()},
            **{f"m_axi_r{name}": In(bits) for name, bits in beat.items()},
            **{f"m_axi_{channel}ready": In(1) for channel in channels},
            **{f"m_axi_{channel}ready": Out(1) for channel in ("b", "r")},
            "reads": In(stream.Signature(read_request_layout(p))),
            "o": Out(stream.Signature(read_beat_layout(p))),
            "writes": In(stream.Signature(write_request_layout(p))),
            "i": In(stream.Signature(p.data_bits)),
            "done": Out(1),
            "error": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.reader = reader = ReadDma(self._p)
        m.submodules.writer = writer = WriteDma(self._p)
        connect(m, flipped(self.reads), reader.request)
        connect(m, reader.o, flipped(self.o))
        connect(m, flipped(self.writes), writer.request)
        connect(m, flipped(self.i), writer.i)
        m.d.comb += [self.done.eq(writer.done), self.error.eq(writer.error)]

        def port(name: str) -> Any:
            return getattr(self, f"m_axi_{name}")

        for name, sent in (("ar", reader.axi.ar), ("aw", writer.axi.aw), ("w", writer.axi.w)):
            m.d.comb += [port(f"{name}valid").eq(sent.valid), sent.ready.eq(port(f"{name}ready"))]
            for field, _ in sent.payload.shape():
                m.d.comb += port(f"{name}{field}").eq(sent.payload[field])
        for name in ("ar", "aw"):
            m.d.comb += [
                port(f"{name}size").eq(self._p.beat_shift),
                port(f"{name}burst").eq(_INCR),
            ]
        b, r = writer.axi.b, reader.axi.r
        m.d.comb += [
            *(b.valid.eq(port("bvalid")), b.payload.eq(port("bresp")), port("bready").eq(b.ready)),
            *(r.valid.eq(port("rvalid")), port("rready").eq(r.ready)),
            *(r.payload[name].eq(port(f"r{name}")) for name in ("data", "resp", "last")),
        ]
        return m
