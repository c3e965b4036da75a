"""The seven fillers against their definitions, by moments and quantiles over many numbers with a fixed seed."""

import math
import statistics
from statistics import NormalDist

import numpy as np
import pytest
import toys

from netdef import filler
from netdef.errors import LayerError, NetdefError

FillerParameter = toys.registry().schema.message("FillerParameter")
FILLERS = filler.netdef_fillers()
MANY = (400, 30, 5, 5)


def fill(kind, shape=MANY, dtype=np.float64, seed=7, **options):
    x = np.full(shape, np.nan, dtype)
    FILLERS[kind](x, FillerParameter(type=kind, **options), np.random.default_rng(seed))
    return x


def close_to(x, quantile):
    """The empirical quantiles of x lie where the distribution's do, within four standard errors of a rank."""
    flat = np.sort(x, axis=None)
    for p in (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99):
        slack = 4 * math.sqrt(p * (1 - p) / flat.size)
        low, high = quantile(max(1e-9, p - slack)), quantile(min(1 - 1e-9, p + slack))
        assert low <= flat[int(p * flat.size)] <= high, p


def test_caffes_seven_and_no_other():
    assert sorted(FILLERS) == ["bilinear", "constant", "gaussian", "msra", "positive_unitball", "uniform", "xavier"]
    assert all(f.__doc__ for f in FILLERS.values())


def test_constant():
    assert (fill("constant", value=-2.5) == -2.5).all()
    assert (fill("constant") == 0).all()


def test_uniform():
    x = fill("uniform", min=-1.5, max=4)
    assert -1.5 <= x.min() < x.max() < 4
    close_to(x, lambda p: -1.5 + 5.5 * p)
    assert fill("uniform").min() >= 0, "from 0 to 1 unless said otherwise"
    assert fill("uniform").max() < 1


def test_gaussian():
    close_to(fill("gaussian", mean=3, std=0.5), NormalDist(3, 0.5).inv_cdf)
    close_to(fill("gaussian"), NormalDist(0, 1).inv_cdf)


def test_a_sparse_gaussian_gives_each_input_so_many_outputs():
    x = fill("gaussian", (100, 2000), mean=0, std=2, sparse=15)
    per_input = (x != 0).sum(0)
    assert abs(per_input.mean() - 15) < 4 * math.sqrt(100 * 0.15 * 0.85 / 2000)
    assert per_input.std() > 2, "on average, not exactly"
    close_to(x[x != 0], NormalDist(0, 2).inv_cdf)
    assert (fill("gaussian", (10, 50), sparse=0) == 0).all()


def test_positive_unitball():
    x = fill("positive_unitball", (40, 3, 2, 2))
    assert x.min() >= 0
    assert np.allclose(x.reshape(40, -1).sum(1), 1, atol=1e-12)
    ratios = x.reshape(40, 12) / x.reshape(40, 12).max(1, keepdims=True)
    close_to(ratios[ratios < 1], lambda p: p)


FANS = {"FAN_IN": 30 * 25, "FAN_OUT": 400 * 25, "AVERAGE": (30 * 25 + 400 * 25) / 2}


@pytest.mark.parametrize("norm", FANS)
def test_xavier_and_msra_by_variance_norm(norm):
    n, chosen = FANS[norm], FillerParameter.VarianceNorm.Value(norm)
    a = math.sqrt(3 / n)
    close_to(fill("xavier", variance_norm=chosen), lambda p: a * (2 * p - 1))
    close_to(fill("msra", variance_norm=chosen), NormalDist(0, math.sqrt(2 / n)).inv_cdf)


def test_fan_in_unless_said_otherwise():
    assert statistics.pstdev(fill("xavier", (64, 300)).ravel().tolist()) == pytest.approx(math.sqrt(1 / 300), rel=0.03)
    assert statistics.pstdev(fill("msra", (64, 300)).ravel().tolist()) == pytest.approx(math.sqrt(2 / 300), rel=0.03)


def test_the_fan_out_of_a_vector_is_its_size():
    """Caffe: what has one axis counts whole."""
    x = fill("msra", (100_000,), variance_norm=FillerParameter.FAN_OUT)
    assert x.std() == pytest.approx(math.sqrt(2 / 100_000), rel=0.02)
    assert fill("msra", (100_000,)).std() == pytest.approx(math.sqrt(2), rel=0.02)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 7, 8, 16])
def test_bilinear_interpolates(k):
    """The kernel of upsampling by f = ceil(k / 2), as the FCN authors' surgery script wrote it, in float64."""
    f = (k + 1) // 2
    centre = f - 1 if k % 2 else f - 0.5
    kernel = [[(1 - abs(y - centre) / f) * (1 - abs(x - centre) / f) for x in range(k)] for y in range(k)]
    x = fill("bilinear", (3, 2, k, k))
    assert np.abs(x - np.array(kernel)).max() < 1e-15


def test_bilinear_upsampling_keeps_a_constant():
    k, f = 4, 2
    kernel = fill("bilinear", (1, 1, k, k))[0, 0]
    for phase in range(f):
        assert kernel[phase::f, phase::f].sum() == pytest.approx(1), "weights that meet at one pixel"


@pytest.mark.parametrize("shape", [(3, 3), (1, 1, 3, 4), (1, 3, 3), (1, 1, 1, 3, 3)])
def test_bilinear_wants_a_square_4d_weight(shape):
    with pytest.raises(LayerError, match=rf"square 4-D weight, got \({', '.join(map(str, shape))}\)"):
        fill("bilinear", shape)


@pytest.mark.parametrize("kind", sorted(FILLERS))
def test_float32_is_filled_too_and_every_seed_repeats(kind):
    shape = (20, 10, 3, 3)
    one, two, other = (fill(kind, shape, np.float32, seed, std=1, value=1) for seed in (1, 1, 2))
    assert one.dtype == np.float32
    assert np.isfinite(one).all()
    assert np.array_equal(one, two)
    assert np.array_equal(one, other) == (kind in ("constant", "bilinear"))


def dense(name, bottom, more='type: "gaussian" std: 1'):
    wires = f'name: "{name}" bottom: "{bottom}" top: "{name}"'
    return f'layer {{ type: "Dense" {wires} dense_param {{ outputs: 50 filler {{ {more} }} }} }}\n'


def weights(text, seed=1):
    net = toys.net(INPUT + text)
    net.reseed(seed)
    net.fill()
    return {name: blobs[0].data.copy() for name, blobs in net.params.items()}


INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 50 } } }\n'


def test_a_net_fills_by_seed_and_layer_name_whatever_else_it_holds():
    alone = weights(dense("b", "x"))
    among = weights(dense("a", "x") + dense("b", "a") + dense("c", "b"))
    assert np.array_equal(alone["b"], among["b"])
    assert np.array_equal(weights(dense("b", "x"))["b"], alone["b"])
    assert not np.array_equal(weights(dense("b", "x"), seed=2)["b"], alone["b"])


def test_layers_of_different_names_and_blobs_of_one_layer_are_unrelated():
    found = weights(dense("a", "x") + dense("b", "a"))
    limit = 4 / 50
    assert abs(np.corrcoef(found["a"].ravel(), found["b"].ravel())[0, 1]) < limit
    net = toys.net(INPUT + dense("a", "x"))
    w, b = (blob.data for blob in net.params["a"])
    assert not np.array_equal(w.ravel()[:50], b)


def test_neighbouring_seeds_are_unrelated():
    one, two = (weights(dense("a", "x"), seed)["a"].ravel() for seed in (1, 2))
    assert abs(np.corrcoef(one, two)[0, 1]) < 4 / 50


def test_an_unknown_filler_stands_at_its_layer_with_the_nearest_name():
    with pytest.raises(NetdefError) as caught:
        toys.net(INPUT + dense("a", "x", 'type: "xaver"'))
    message = str(caught.value)
    assert message.startswith("toy.prototxt:2:1: layer 'a' (Dense): unknown filler 'xaver'; did you mean 'xavier'?")


def test_a_filler_that_does_not_fit_stands_at_its_layer():
    with pytest.raises(LayerError, match=r"toy.prototxt:2:1: layer 'a' \(Dense\): .*a bilinear filler needs a square"):
        toys.net(INPUT + dense("a", "x", 'type: "bilinear"'))
