"""Weight sharing: exact where the weights have it, by k-means where not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroskip.base.errors import CompileError
from zeroskip.compiler.ir.graph import INPUT, FloatConv, FloatLinear
from zeroskip.compiler.passes.arithmetic import Arithmetic
from zeroskip.compiler.passes.share import cluster, share_layer


def layer_of(weight: np.ndarray, folded: tuple[str, ...] = ()) -> FloatLinear:
    return FloatLinear("fc", (INPUT,), weight, np.zeros(len(weight)), relu=False, folded=folded)


def coded(code_bits: int, plain_bits: int = 0) -> Arithmetic:
    """Return the arithmetic of an array with codes of a width."""
    return Arithmetic(
        engine="any",
        act_bits=16,
        acc_bits=32,
        weight_bits=16,
        code_bits=code_bits,
        code_bits_limit=8,
        plain_bits=plain_bits,
    )


@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 9),
    cols=st.integers(1, 9),
    code_bits=st.integers(1, 8),
    density=st.floats(0, 1),
)
def test_exact(seed: int, rows: int, cols: int, code_bits: int, density: float) -> None:
    """As many values as a codebook holds come back bit for bit."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=2**code_bits - 1)
    weight = rng.choice(values, (rows, cols)) * (rng.random((rows, cols)) < density)
    shared = share_layer(layer_of(weight), coded(code_bits))
    assert not shared.clustered
    assert shared.codes.dtype == np.uint8
    assert np.array_equal(shared.codes != 0, weight != 0)
    assert list(shared.values) == sorted(set(weight[weight != 0]))
    assert np.array_equal(shared.weight, weight)


def test_neighbours() -> None:
    """Values one step apart stay apart."""
    values = [1.0, np.nextafter(1.0, 2), np.nextafter(np.nextafter(1.0, 2), 2), -0.0, 5e-324]
    weight = np.array([values])
    shared = share_layer(layer_of(weight), coded(4))
    assert np.array_equal(shared.weight, weight)
    assert shared.values.size == 4


@pytest.mark.parametrize("share", [False, True])
def test_full_codebook_of_a_large_layer(share: bool) -> None:
    """A value that only the last weight has is found; 15 values are never clustered."""
    weight = np.tile(np.arange(15.0), (400, 40))
    weight[-1, -1] = 99.0
    shared = share_layer(layer_of(weight), coded(4), share=share)
    assert np.array_equal(shared.weight, weight)
    weight[200, 200] = 98.0
    with pytest.raises(CompileError, match="layer 'fc' has 16 distinct non-zero weights, but a"):
        share_layer(layer_of(weight), coded(4))


def test_zeros() -> None:
    shared = share_layer(layer_of(np.zeros((3, 4))), coded(4))
    assert shared.values.size == np.count_nonzero(shared.codes) == 0
    assert shared.codes.shape == (3, 4)


def test_too_many() -> None:
    weight = np.arange(1.0, 21.0).reshape(4, 5)
    message = (
        r"^layer 'fc' has 20 distinct non-zero weights, but a codebook holds 15; give code_bits = "
        r"5, which holds all of them without error, or cluster them \(share\), which leaves "
        r"weights 30\.6 dB above their error, or with zeroskip compress, which also prunes and "
        r"fine-tunes$"
    )
    with pytest.raises(CompileError, match=message):
        share_layer(layer_of(weight), coded(4))
    with pytest.raises(CompileError, match="holds 7; norm was folded into them, which gives rows"):
        share_layer(layer_of(weight, ("norm",)), coded(3))


def test_too_many_for_any_codebook() -> None:
    message = r"holds 15; cluster them \(share\), which leaves weights \d+\.\d dB above their"
    with pytest.raises(CompileError, match=message):
        share_layer(layer_of(np.arange(1.0, 257.0).reshape(16, 16)), coded(4))


@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200])
def test_tells_what_clustering_costs(scale: float) -> None:
    weight = scale * np.array([[1.0, 1.0, 2.0, 4.0]])
    shared = share_layer(layer_of(weight), coded(1), share=True)
    assert (shared.distinct, shared.clustered) == (3, True)
    # The mean is 2: differences 1, 1, 0 and 2 beside 1, 1, 2 and 4.
    assert shared.snr_db == pytest.approx(10 * np.log10(22 / 6))
    exact = share_layer(layer_of(weight), coded(2))
    assert (exact.distinct, exact.snr_db) == (3, None)


def test_clustered_layer() -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(50, 60)) * (rng.random((50, 60)) < 0.3)
    shared = share_layer(layer_of(weight), coded(4), share=True)
    dense = shared.weight
    assert shared.clustered
    assert shared.values.size == 15
    assert np.array_equal(dense == 0, weight == 0)
    # Each weight takes the nearest centroid.
    nonzero = weight[weight != 0]
    nearest = np.abs(nonzero[:, None] - shared.values).min(axis=1)
    np.testing.assert_allclose(np.abs(dense[weight != 0] - nonzero), nearest, atol=1e-12)
    again = share_layer(layer_of(weight), coded(4), share=True)
    assert np.array_equal(again.values, shared.values)


@pytest.mark.parametrize("values", [15, 16, 300])
def test_plain_weights(values: int) -> None:
    """An array that stores weights as they are takes any, unless they are to be clustered."""
    weight = np.random.default_rng(values).permutation(np.repeat(np.arange(1.0, values + 1), 2))
    weight = weight.reshape(-1, 2, 1, 1)
    layer = FloatConv("c", (INPUT,), weight, np.zeros(values), (1, 1), (0, 0), 1, relu=False)
    shared = share_layer(layer, coded(4, plain_bits=16))
    assert np.array_equal(shared.weight, weight)
    assert (shared.clustered, shared.distinct, shared.values.size) == (False, values, values)
    assert shared.codes.dtype.itemsize == (1 if values < 256 else 2)
    for reserved in (0, 1):
        few = share_layer(layer, coded(4, plain_bits=16), share=True, reserved=reserved)
        assert few.clustered == (values > 15 - reserved)
        assert few.values.size == 15 - reserved if few.clustered else values


@given(
    weights=st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=60),
    count=st.integers(1, 15),
)
def test_cluster(weights: list[float], count: int) -> None:
    """Centroids ascend and are the means of what is nearest to them."""
    array = np.array(weights)
    centroids = cluster(array, count)
    assert 1 <= centroids.size <= min(count, len(set(weights)))
    assert np.all(np.diff(centroids) > 0)
    nearest = np.abs(array[:, None] - centroids).min(axis=1)
    one = np.abs(array - array.mean())
    assert np.square(nearest).sum() <= np.square(one).sum() * (1 + 1e-9) + 1e-9


def test_cluster_finds_clusters() -> None:
    """Separate heaps are found, far outliers or not, and none of the centroids is wasted."""
    rng = np.random.default_rng(1)
    heaps = np.array([-7.0, -0.3, -0.1, 0.2, 0.25, 9.0])
    weights = np.concatenate([heap + rng.uniform(-0.01, 0.01, 50) for heap in heaps])
    np.testing.assert_allclose(cluster(weights, 6), heaps, atol=0.01)


def test_cluster_of_nothing() -> None:
    assert cluster(np.zeros(0), 4).size == 0
    assert list(cluster(np.full(5, 2.0), 4)) == [2.0]
