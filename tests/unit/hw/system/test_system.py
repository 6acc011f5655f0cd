import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tiers import simulated
from tests.unit.hw.system.lists import (
    AREA,
    DATA,
    END,
    RUN,
    SIZE,
    Expected,
    Fields,
    control,
    draw_inferences,
    encoded,
    fresh_memory,
    load,
    rows_in,
    rows_out,
)
from tests.unit.hw.system.system_bench import (
    MEMORIES,
    ROWS,
    Dram,
    EngineModel,
    Processor,
    place_list,
    run_system,
)
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import Event, Register, State

LISTS = 0x1000


def setup() -> list[Fields]:
    """Load every memory of every PE whole."""
    commands = [
        load(space, pe, 0, memory.rows, DATA + 64 * pe)
        for space, memory in MEMORIES.items()
        for pe in range(memory.pes)
    ]
    return [*commands, END]


def inference(number: int) -> list[Fields]:
    area = DATA + AREA * (4 + 2 * number)
    return [rows_in(0, ROWS, area), control(RUN), rows_out(0, ROWS, area + AREA), END]


def params(data_bits: int) -> SystemParams:
    return SystemParams(data_bits=data_bits, burst_beats=4, outstanding=3)


@pytest.mark.parametrize("data_bits", [64, 128, 256])
@pytest.mark.parametrize(
    ("busy", "latency"),
    [pytest.param(0.0, 3, marks=pytest.mark.long("without stalls")), (0.5, 20)],
)
def test_inferences_in_a_line(data_bits: int, busy: float, latency: int) -> None:
    p = params(data_bits)
    memory = Dram(p, 1, busy=busy, latency=latency)
    engine = EngineModel(2, busy=busy, shortest=400, longest=500)
    lists = [setup(), inference(0), inference(1), inference(2)]
    sizes = [place_list(memory, LISTS + 1024 * k, encoded(one)) for k, one in enumerate(lists)]
    expected = Expected(fresh_memory(p, memory))

    async def bench(cpu: Processor) -> None:
        await cpu.window(LISTS, SIZE)
        assert await cpu.read(Register.CONTROL) == State.AP_IDLE | State.AP_READY
        for k in range(3):
            await cpu.start(LISTS + 1024 * k, sizes[k])
        state = await cpu.read(Register.CONTROL)
        assert state & State.AP_START
        assert not state & (State.AP_IDLE | State.AP_READY)
        assert await cpu.interrupted() == Event.DONE
        assert await cpu.read(Register.CONTROL) & State.AP_DONE
        await cpu.start(LISTS + 1024 * 3, sizes[3])
        while await cpu.read(Register.DONE) < 4:
            pass
        assert await cpu.read(Register.CONTROL) == State.AP_IDLE | State.AP_DONE | State.AP_READY
        assert await cpu.read(Register.CONTROL) == State.AP_IDLE | State.AP_READY
        assert await cpu.read(Register.ERROR) == 0

    run_system(p, memory, engine, bench)
    for one in lists:
        expected.run(one)
    assert engine.words == expected.words
    assert memory.written == expected.memory.written
    # Rows of the next inference come in while this one runs.
    events = [what for _, what in engine.log if what != "clear"]
    assert events == ["input", "run", "input", "output", "run", "input", "output", "run", "output"]


@simulated(25)
@given(
    data_bits=st.sampled_from([64, 128, 256]),
    busy=st.sampled_from([0.0, 0.3, 0.7]),
    latency=st.sampled_from([0, 2, 30]),
    longest=st.sampled_from([3, 60]),
    seed=st.integers(0, 1 << 32),
)
def test_any_list(data_bits: int, busy: float, latency: int, longest: int, seed: int) -> None:
    p = params(data_bits)
    memory = Dram(p, seed, busy=busy, latency=latency)
    engine = EngineModel(seed, busy=busy, longest=longest)
    lists = draw_inferences(seed)
    sizes = [place_list(memory, LISTS + 1024 * k, encoded(one)) for k, one in enumerate(lists)]
    expected = Expected(fresh_memory(p, memory))

    async def bench(cpu: Processor) -> None:
        await cpu.window(LISTS, SIZE)
        for k, size in enumerate(sizes):
            await cpu.start(LISTS + 1024 * k, size)
        while await cpu.read(Register.CONTROL) & State.AP_START:
            pass
        assert await cpu.read(Register.ERROR) == 0
        assert await cpu.read(Register.DONE) == len(lists)

    run_system(p, memory, engine, bench)
    for one in lists:
        expected.run(one)
    assert engine.words == expected.words
    assert memory.written == expected.memory.written
