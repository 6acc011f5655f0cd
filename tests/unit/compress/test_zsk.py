"""The container: every tensor comes back bit for bit, damage anywhere is found, NumPy is enough."""

import hashlib
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.runs import from_entries, to_entries
from zeroskip.compiler.compress.zsk import Container, dumps, load, loads
from zeroskip.compiler.compress.zsk_tensor import DTYPES, decode_tensor, encode_tensor

SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9)


def container(seed: int = 0) -> Container:
    """Return a small network: shared, sparse and plain tensors."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=15).astype(np.float32)
    kept = rng.random((30, 40)) < 0.1
    shared = np.where(kept, rng.choice(values, kept.shape), 0).astype(np.float32)
    sparse = np.where(rng.random((30, 40)) < 0.3, rng.normal(size=(30, 40)), 0).astype(np.float32)
    return Container(
        (
            encode_tensor("fc1.weight", shared, "float32"),
            encode_tensor("fc1.bias", rng.normal(size=30).astype(np.float32), "float32"),
            encode_tensor("fc2.weight", sparse, "float32"),
            encode_tensor("steps", np.array(7), "int64"),
        ),
        {"nodes": []},
        {"task": "none"},
    )


@given(st.lists(st.integers(0, 9), max_size=80), st.integers(1, 8), st.integers(0, 600))
def test_runs_round_trip(drawn: list[int], run_bits: int, zeros: int) -> None:
    flat = np.array([*([0] * zeros), *drawn], np.uint8)
    symbols, runs = to_entries(flat, run_bits)
    assert runs.max(initial=0) < 1 << run_bits
    assert np.array_equal(from_entries(symbols, runs, flat.size), flat)


def test_a_run_of_exactly_the_span_takes_one_filler() -> None:
    flat = np.zeros(20, np.uint8)
    flat[[15, 16]] = 3
    assert to_entries(flat, 4)[1].tolist() == [15, 0]
    flat[15] = 0
    symbols, runs = to_entries(flat, 4)
    assert symbols.tolist() == [0, 3]
    assert runs.tolist() == [15, 0]


@given(st.sampled_from(sorted(DTYPES)), SHAPES, st.data())
def test_any_tensor_comes_back(dtype: str, shape: tuple[int, ...], data: st.DataObject) -> None:
    kind = np.dtype(DTYPES[dtype])
    drawn = data.draw(arrays.arrays(np.uint8, (*shape, kind.itemsize), fill=st.just(0)))
    if dtype == "bool":
        drawn %= 2
    array = drawn.view(kind).reshape(shape)
    back = decode_tensor(encode_tensor("x", array, dtype))[0]
    assert back.shape == shape
    assert back.dtype == kind
    assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize("count", [1, 3, 15, 16, 255, 256])
@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 1.0])
def test_shared_weights_come_back(count: int, density: float) -> None:
    rng = np.random.default_rng(count)
    values = rng.normal(size=count).astype(np.float32)
    values[0] = -0.0
    kept = rng.random((60, 70)) < density
    weight = np.where(kept, rng.choice(values, kept.shape), np.float32(0)).astype(np.float32)
    stored = encode_tensor("w", weight, "float32")
    back, codes, codebook = decode_tensor(stored)
    assert back.tobytes() == weight.tobytes()
    if codes is not None and codebook is not None:
        assert codebook[codes].tobytes() == weight.tobytes()
        assert codebook[0] == 0
        assert (np.diff(codebook[1:]) >= 0).all()
    if density == 0.02:
        assert sum(map(len, stored.sections)) < weight.nbytes / 10


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.zeros((1 << 12, 5000), np.float32),
        pytest.param(
            lambda: np.eye(1, 5000 * 4096, 7, np.float32).reshape(5000, 4096),
            marks=pytest.mark.long("tens of millions of weights"),
        ),
        lambda: np.ones(1 << 20, np.float32),
        lambda: np.ones(1 << 20, np.bool_),
    ],
    ids=["zeros", "one", "ones", "bool"],
)
def test_what_is_written_is_read(make: Callable[[], np.ndarray]) -> None:
    """A reader bounds what a few bytes can stand for; a writer keeps to that."""
    array = make()
    data = dumps(Container((encode_tensor("w", array, array.dtype.name),), None, {}))
    (stored,) = loads(data).tensors
    np.testing.assert_array_equal(decode_tensor(stored)[0], array)


def test_file_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "model.zsk"
    path.write_bytes(dumps(container()))
    back = load(path)
    for name, array in container().arrays().items():
        assert back.arrays()[name].tobytes() == array.tobytes()
    assert back.graph == {"nodes": []}
    assert back.meta == {"task": "none"}
    assert back.shared("fc1.weight") is not None
    assert back.shared("fc2.weight") is None


def test_the_same_network_is_the_same_file() -> None:
    assert dumps(container()) == dumps(container())


def test_every_byte_matters() -> None:
    data = dumps(container())
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        with pytest.raises(InputError):
            loads(bytes(damaged))


def test_every_truncation_is_found() -> None:
    data = dumps(container())
    for size in range(len(data)):
        with pytest.raises(InputError):
            loads(data[:size], "model.zsk")


@pytest.mark.parametrize(
    ("position", "message"),
    [
        (0, "model.zsk is no .zsk file"),
        (8, "version 0.0, but this program reads 1.0|version 3.0"),
        (22, "the checksum of its header is wrong"),
        (-60, "the checksum of section . of tensor"),
        (-1, "its SHA-256 is wrong"),
    ],
)
def test_damage_is_named(position: int, message: str) -> None:
    data = bytearray(dumps(container()))
    data[position] ^= 2
    with pytest.raises(InputError, match=message):
        loads(bytes(data), "model.zsk")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"values":15', b'"values":99', "values, more than its 4 bits tell apart"),
        (b'"run_bits":', b'"run_bitz":', "has no order, entries or run_bits"),
        (b'"code_bits":4', b'"code_bits":9', "code_bits must be from 1 to 8, not 9"),
        (b'"entries":', b'"entries":1', "cannot be decoded|bit stream"),
        (b'"name":"steps"', b'"name":"fc1.bias"', "two tensors are called 'fc1.bias'"),
        (b'"kind":"plain"', b'"kind":"other"', "cannot be read: it lacks 'other'"),
        (b'"meta":{', b'"meta":[{', "cannot be read"),
    ],
)
def test_headers_by_someone_else(old: bytes, new: bytes, message: str) -> None:
    data = dumps(container())
    length = struct.unpack_from("<I", data, 12)[0]
    text = zlib.decompress(data[20 : 20 + length])
    assert old in text
    header = zlib.compress(text.replace(old, new, 1), 9)
    body = data[:12] + struct.pack("<II", len(header), zlib.crc32(header)) + header
    body += data[20 + length : -32]
    with pytest.raises(InputError, match=message):
        loads(body + hashlib.sha256(body).digest()).arrays()


def test_numpy_alone_reads(tmp_path: Path) -> None:
    path = tmp_path / "model.zsk"
    path.write_bytes(dumps(container()))
    program = f"""
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        allowed = {{"numpy", "zeroskip", *sys.stdlib_module_names}}
        # NumPy looks for a few others, and does without.
        if top not in allowed:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Block())
from zeroskip.compiler.compress.zsk import load
print(sorted(load({str(path)!r}).arrays()))
"""
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "['fc1.bias', 'fc1.weight', 'fc2.weight', 'steps']"
