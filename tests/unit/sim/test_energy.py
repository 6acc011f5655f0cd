"""Energy: constants that are read and checked, and counts times energies that add up."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse import csc_array
from torch import nn

import zeroskip as zs
from tests.support.arrays import EIE
from tests.support.images import eie_image
from zeroskip.base.errors import InputError
from zeroskip.compiler.eie.part import EiePart
from zeroskip.compiler.eie.place import place
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import INPUT, QuantLinear, linear_chain
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.eie.energy import ENERGY
from zeroskip.sim.energy.activity import Add, Multiply, Sram, Unit, Write
from zeroskip.sim.energy.flip_flops import count_array
from zeroskip.sim.energy.technology import (
    DEFAULT_TECHNOLOGY,
    Technology,
    interpolate,
    read_technology,
)
from zeroskip.sim.products import act_macs, useful_macs

TEXT = DEFAULT_TECHNOLOGY.read_text()
FOUR = replace(EIE, num_pes=4, pointers_first=False, skip_padding=False, counters=False)


def test_constants_are_those_of_their_sources() -> None:
    technology = read_technology()
    # Horowitz has these operations, CACTI these memories of EIE.
    assert Add(32).pj(technology) == pytest.approx(0.1)
    assert Multiply(8, 8).pj(technology) == pytest.approx(0.2)
    assert Sram("read", 16384, 64).pj(technology) == pytest.approx(32.957)
    assert Sram("write", 8192, 16).pj(technology) == pytest.approx(4.396)
    # Between the points, every curve rises.
    assert 0.2 < Multiply(16, 16).pj(technology) < 3.1
    assert Sram("read", 8192, 18).pj(technology) > Sram("read", 8192, 16).pj(technology)
    two = Sram("read", 64, 32, two_ports=True).pj(technology)
    assert two > Sram("read", 64, 32).pj(technology)


def test_a_row_of_a_queue_is_clocked_when_it_is_written() -> None:
    technology = read_technology()
    cell = technology.flip_flop
    clock = Write(10, row=True).pj(technology) - Write(10).pj(technology)
    assert clock == pytest.approx(10 * cell.clock_fj / 1000)
    ungated = technology.model_copy(
        update={"flip_flop": cell.model_copy(update={"gated_rows": False})}
    )
    assert Write(10, row=True).pj(ungated) == Write(10).pj(ungated)


@pytest.mark.parametrize(("x", "y"), [(1, 1), (4, 16), (2, 4), (8, 64), (0.5, 0.25)])
def test_points_are_joined_in_logarithms(x: float, y: float) -> None:
    assert interpolate([1.0, 4.0], [1.0, 16.0], x) == pytest.approx(y)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("clock_mhz = 800", "clock_mhz = 0", "clock_mhz: input should be greater than 0"),
        ("clock_mhz = 800", "clock_mhz = nan", "clock_mhz: input should be a finite number"),
        ("clock_mhz = 800", 'clock_mhz = "fast"', "clock_mhz: input should be a valid number"),
        ("clock_mhz = 800", "", "clock_mhz: field required"),
        ("data_fj", "date_fj", "flip_flop.data_fj: field required"),
        ("pj_per_bit = 20.0", "pj_per_bit = 20.0\nmore = 1", "dram.more: extra inputs"),
        ('cell = "LPDDR2"', 'cell = ""', "dram.cell: string should have at least 1 character"),
        (
            "bits = [8, 16, 32]",
            "bits = [8, 32, 16]",
            "add: bits must ascend, not [8.0,",
        ),
        ("pj = [0.03, 0.05, 0.1]", "pj = [0.03]", "add.pj: list should have at least 2 items"),
        ("pj = [0.03, 0.05, 0.1]", "pj = [0.03, 1]", "add: pj must have 3 numbers, as bits has"),
        ("bits = 16\n", "bits = 8\n", "sram: bits of the tables of shared must ascend"),
        ("[gate]", "[gate", "is not TOML"),
    ],
)
def test_a_wrong_file_is_one_sentence(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert old in TEXT
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        read_technology(path)
    text = str(caught.value)
    assert sentence in text.replace("Input", "input")
    assert str(path) in text
    assert "\n" not in text


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not exist; name a TOML file like tech_45nm\.toml"):
        read_technology(tmp_path / "none.toml")
    with pytest.raises(InputError, match="is a folder"):
        read_technology(tmp_path)
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not TOML"):
        read_technology(path)


def _image(codes: np.ndarray, params: EieParams = FOUR) -> Image:
    """Make an image of one layer with these codes."""
    rows, columns = codes.shape
    layer = QuantLinear(
        name="one",
        inputs=(INPUT,),
        in_shape=(columns, 1, 1),
        codes=csc_array(codes.astype(np.uint8)),
        codebook=np.array([0, *range(1, 16)]),
        bias=np.zeros(rows, np.int64),
        relu=True,
        in_frac=0,
        weight_frac=0,
        out_frac=0,
    )
    graph = linear_chain([layer])
    return eie_image("one", graph, params, place(graph, params, "interleave"))


def test_counts_of_a_layer_by_hand() -> None:
    # PE 0 has rows 0 and 4, and so on; column 1 is empty, column 2 is not asked for.
    codes = np.zeros((8, 4), int)
    codes[0, 0] = codes[4, 0] = codes[1, 0] = codes[7, 2] = codes[3, 3] = 5
    found = zs.energy(_image(codes), np.array([[3.0, 2.0, 0.0, 1.0]]))
    (layer,) = found.layers
    counts = {event.what: event.count for event in layer.events}
    assert counts["activations scanned"] == 4
    assert counts["non-zeros found"] == 3
    # Columns 0, 1 and 3 reach four PEs; the end of column 0 is there as start of column 1.
    assert counts["pointers read"] == (2 + 1 + 2) * 4
    assert counts["columns queued"] == 3 * 4
    # Column 0 is in PEs 0 and 1, column 3 in PE 3, each in one word.
    assert counts["Spmat words read"] == 3
    assert counts["products"] == found.useful == 4
    assert counts["sums read"] == counts["sums written"] == 4 + 8
    assert counts["outputs written"] == counts["biases read"] == 8
    assert counts["cycles of the clock"] == layer.cycles


@pytest.mark.parametrize("x", [0, 3])
def test_operands_are_integers_even_if_there_are_none(x: int) -> None:
    (part,) = _image(np.full((8, 4), 5)).parts
    assert isinstance(part, EiePart)
    found = ENERGY.operands(part, {INPUT: np.full((1, 4, 1, 1), x)})
    assert found is not None
    assert found.factors.shape == found.added.shape == (32 if x else 0, 2)
    assert found.factors.dtype == found.added.dtype == np.int64
    # A sum begins at 0, and has the products before it in it.
    assert found.added[1:4].tolist() == ([[15, 0], [15, 15], [15, 15]] if x else [])


def test_energies_add_up() -> None:
    rng = np.random.default_rng(3)
    codes = rng.integers(1, 16, (16, 12)) * (rng.random((16, 12)) < 0.4)
    x = (rng.integers(1, 9, (3, 12)) * (rng.random((3, 12)) < 0.6)).astype(float)
    found = zs.energy(_image(codes), x)
    (layer,) = found.layers
    assert layer.pj == pytest.approx(
        sum(event.total_pj for event in layer.events) + layer.leakage_pj
    )
    assert found.dram_bytes
    assert found.dram_pj
    assert found.uj == pytest.approx((layer.pj + found.dram_pj) / 1e6)
    assert found.inferences_per_joule == pytest.approx(1e6 / found.uj)
    assert found.pj_per_mac == pytest.approx(1e6 * found.uj / found.useful)
    assert found.useful == pytest.approx(((x != 0).astype(int) @ (codes != 0).T).sum(axis=1).mean())
    assert set(found.units) == {unit.value for unit in Unit} | {"leakage", "dram"}
    document = found.to_dict()
    assert sum(document["units_pj"].values()) == pytest.approx(found.uj * 1e6)
    # Zeros that are skipped cost less than zeros that are not.
    ours = found.on_chip_pj
    assert found.machine_pj["dense"] > found.machine_pj["activations"] > ours
    assert found.machine_pj["weights"] > ours


def test_an_input_without_zeros_costs_what_skipping_weights_alone_does() -> None:
    rng = np.random.default_rng(4)
    codes = rng.integers(1, 16, (16, 12)) * (rng.random((16, 12)) < 0.4)
    found = zs.energy(_image(codes), np.ones((1, 12)))
    assert found.machine_pj["weights"] == pytest.approx(found.on_chip_pj)
    dense = zs.energy(_image(np.full((16, 12), 7)), np.ones((1, 12)))
    assert dense.machine_pj["dense"] == pytest.approx(dense.machine_pj["activations"])


def test_own_constants_are_used(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace("clock_mhz = 800", "clock_mhz = 400"))
    image, x = _image(np.ones((8, 4), int)), np.ones((1, 4))
    slow, fast = zs.energy(image, x, path), zs.energy(image, x)
    # At half the clock, the array leaks for twice as long; nothing else changes.
    assert slow.units["leakage"] == pytest.approx(2 * fast.units["leakage"])
    assert slow.units["weights"] == fast.units["weights"]
    assert zs.energy(image, x, read_technology(path)).uj == slow.uj


def test_every_number_has_a_source() -> None:
    raw = tomllib.loads(TEXT)
    tables = [table for table in raw.values() if isinstance(table, dict)]
    assert len(tables) == len(Technology.model_fields) - 2
    assert all(table["source"] and table["cell"] for table in tables)


def test_flip_flops_are_those_of_the_rtl() -> None:
    counted = count_array("eie", FOUR)
    assert counted.rows["act_queue"] == 4 * FOUR.queue_depth * (FOUR.act_bits + 7)
    assert counted.rows["arithm"] == 0
    # A product and its row, operands and theirs, and what the accumulators keep.
    assert counted.registers["arithm"] > 4 * 2 * (FOUR.act_bits + FOUR.weight_bits)
    p = FOUR
    acts = 2 * p.num_acts * p.act_bits + p.num_biases * p.acc_bits + p.num_accs * p.acc_bits
    pointers = p.num_pointers * (p.word_addr_bits + 1 + p.slot_bits)
    assert counted.sram_bits >= 4 * (p.spmat_words * p.word_bits + pointers + acts)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_an_inference_of_cells_is_a_sequence(kind: str) -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = getattr(nn, kind)(6, 8, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.rnn(x)[0][:, -1]

    torch.manual_seed(0)
    x = np.random.default_rng(0).standard_normal((2, 5, 6)).astype(np.float32)
    array = replace(FOUR, cells=True)
    image = zs.compile(Last().eval(), x[:1], x, array, share=True)
    found = zs.energy(image, x)
    (layer,) = found.layers
    counts = {event.what: event.count for event in layer.events}
    # 8 units, 5 steps.
    rows = {"LSTM": 4, "GRU": 3}[kind] * 8
    result = zs.run(image, x)
    made = result.tensors["rnn"]
    useful = useful_macs(image.graph.layers[0], result.planes, made).sum() / 2
    assert 0.9 * rows * (5 * 6 + 4 * 8) < useful <= rows * (5 * 6 + 4 * 8)
    assert counts["states read"] == counts["states written"] == counts["outputs written"] == 40
    assert counts["products of gates"] == 3 * 40
    assert counts["products"] == useful
    assert counts["sums read"] == counts["products"] + 4 * 40
    assert found.useful == counts["products"]
    dense = found.machines["dense"][0]
    products = {event.what: event.count for event in dense.events}["products"]
    assert products == rows * 5 * 14
    assert dense.cycles > layer.useful / 4
    activations = found.machines["activations"][0]
    products = {event.what: event.count for event in activations.events}["products"]
    assert products == act_macs(image.graph.layers[0], result.planes, made).sum() / 2
