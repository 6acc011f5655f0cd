"""Sizes of the memory port and requests that tests of the DMA draw."""

from hypothesis import strategies as st

from tests.unit.hw.system.axi_model import PAGE
from zeroskip.hw.system.params import SystemParams

Request = tuple[int, int, int]
"""Address, beats, tag."""


@st.composite
def systems(draw: st.DrawFn) -> SystemParams:
    data_bits = draw(st.sampled_from([64, 128, 256]))
    return SystemParams(
        data_bits=data_bits,
        addr_bits=draw(st.sampled_from([16, 32, 40])),
        burst_beats=draw(st.sampled_from([1, 2, 4, 16, PAGE * 8 // data_bits // 2])),
        outstanding=draw(st.sampled_from([1, 2, 3, 16])),
    )


@st.composite
def request_lists(draw: st.DrawFn, p: SystemParams) -> list[Request]:
    """Draw requests, many of them near the ends of pages and of all addresses."""
    pages = 1 << p.addr_bits - 12
    requests: list[Request] = []
    for _ in range(draw(st.integers(1, 6))):
        page = draw(st.integers(0, pages - 1))
        beat = draw(st.integers(-6, 6)) % (PAGE // p.beat_bytes)
        beats = draw(st.sampled_from([1, 2, 3, 7, p.burst_beats, p.burst_beats + 1, 40]))
        room = (pages - page) * (PAGE // p.beat_bytes) - beat
        addr = page * PAGE + beat * p.beat_bytes
        requests.append((addr, min(beats, room), draw(st.integers(0, 3))))
    return requests
