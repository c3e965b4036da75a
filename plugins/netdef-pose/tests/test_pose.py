"""Conformance to netdef's contract, and both layers against plain loops."""

import math

import numpy as np
import pytest

from netdef import export, prototxt, registry
from netdef.errors import LayerError
from netdef.net import Net
from netdef.testing import check_layer, net

RNG = np.random.default_rng(3)


def test_conforms(netdef_case):
    check_layer(netdef_case)


def run(layer: str, x: np.ndarray) -> np.ndarray:
    shape = " ".join(f"dim: {d}" for d in x.shape)
    text = f'layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ {shape} }} }} }}'
    text += f'layer {{ name: "y" bottom: "x" top: "y" {layer} }}'
    net = Net(prototxt.parse(text, registry.default().schema.message("NetParameter")), 1, dtype=np.float64)
    net.blobs["x"].data[...] = x
    net.forward()
    return net.blobs["y"].data


def cubic(v, d):
    """Through v[1] and v[2], with the slopes of their neighbours' chords."""
    s, t = (v[2] - v[0]) / 2, (v[3] - v[1]) / 2
    h = [2 * d**3 - 3 * d**2 + 1, d**3 - 2 * d**2 + d, -2 * d**3 + 3 * d**2, d**3 - d**2]
    return h[0] * v[1] + h[1] * s + h[2] * v[2] + h[3] * t


def enlarged(row, out):
    """A row of pixels at `out` places, the last pixel repeated behind the end."""
    found = []
    for i in range(out):
        at = (i + 0.5) * len(row) / out - 0.5
        k = max(int(at + 1e-5), 0)
        found.append(cubic([row[min(max(k + j, 0), len(row) - 1)] for j in (-1, 0, 1, 2)], at - k))
    return found


def test_scales_are_cut_enlarged_and_averaged():
    x = RNG.normal(size=(3, 2, 10, 14))
    y = run('type: "ImResize" imresize_param { factor: 4 start_scale: 0.9 scale_gap: 0.2 }', x)
    assert y.shape == (1, 2, 40, 56)
    for c in range(2):
        want = np.zeros((40, 56))
        for n, scale in enumerate((0.9, 0.7, 0.5)):
            top, left = math.floor(5 * (1 - scale) + 1e-6), math.floor(7 * (1 - scale) + 1e-6)
            part = x[n, c, top : 10 - top, left : 14 - left]
            rows = np.array([enlarged(row, 56) for row in part])
            want += np.array([enlarged(column, 40) for column in rows.T]).T / 3
        np.testing.assert_allclose(y[0, c], want, atol=1e-6)


@pytest.mark.parametrize(
    "options", ["factor: 3", "factor: 1.7 start_scale: 0.9", "target_spatial_width: 40 target_spatial_height: 25"]
)
def test_a_model_merges_any_number_of_maps_of_any_size(options):
    text = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 9 } } }'
    text += f'layer {{ name: "y" bottom: "x" top: "y" type: "ImResize" imresize_param {{ scale_gap: 0.2 {options} }} }}'
    built = net(text, dtype=np.float32)
    feeds = [{"x": RNG.normal(size=(n, 3, *size))} for n, size in ((1, (6, 31)), (4, (12, 5)), (3, (10, 46)))]
    assert export.verify(built, export.build(built, dynamic=["batch", "image"]), feeds=feeds).difference < 1e-4


def test_a_plane_stays_a_plane():
    x = np.add.outer(np.arange(6.0), 2 * np.arange(8.0))[None, None]
    y = run('type: "ImResize" imresize_param { factor: 5 }', x)[0, 0]
    np.testing.assert_allclose(np.diff(y[10:-10, 10:-10], axis=0), 1 / 5, atol=1e-9)
    np.testing.assert_allclose(np.diff(y[10:-10, 10:-10], axis=1), 2 / 5, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("factor: -1", "factor is -1"),
        ("factor: 0.1", "leaves nothing"),
        ("factor: 2 scale_gap: 0.6", "map 2 is of scale -0.2"),
        ("factor: 2 start_scale: 1.5", "map 0 is of scale 1.5"),
    ],
)
def test_sizes_that_make_no_map_are_refused(options, message):
    with pytest.raises(LayerError, match=message):
        run(f'type: "ImResize" imresize_param {{ {options} }}', np.zeros((3, 1, 6, 6)))


def peaks(plane, threshold):
    """Rows (x, y, score), by loops."""
    rows = []
    h, w = plane.shape
    for i in range(1, h - 1):
        for j in range(1, w - 1):
            around = [plane[i + a, j + b] for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)]
            if plane[i, j] <= threshold or any(v >= plane[i, j] for v in around):
                continue
            weight = x = y = 0.0
            for a in range(max(i - 3, 0), min(i + 4, h)):
                for b in range(max(j - 3, 0), min(j + 4, w)):
                    if plane[a, b] > 0:
                        weight, x, y = weight + plane[a, b], x + b * plane[a, b], y + a * plane[a, b]
            rows.append((x / weight, y / weight, plane[i, j]))
    return rows


def test_peaks():
    x = RNG.normal(size=(2, 4, 11, 17))
    x[1] /= 4
    y = run('type: "Nms" nms_param { threshold: 0.4 max_peaks: 8 num_parts: 3 }', x)
    assert y.shape == (2, 3, 9, 3)
    counts = set()
    for n, c in np.ndindex(2, 3):
        want = peaks(x[n, c], 0.4)
        counts.add(len(want) > 8)
        assert y[n, c, 0].tolist() == [len(want), 0, 0]
        np.testing.assert_allclose(y[n, c, 1 : 1 + len(want)], want[:8])
        assert not y[n, c, 1 + len(want) :].any()
    assert counts == {True, False}, "some maps should have more peaks than rows, others fewer"


def test_a_model_finds_them_in_maps_of_any_size():
    text = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 4 dim: 11 dim: 7 } } }'
    text += 'layer { name: "y" bottom: "x" top: "y" type: "Nms" nms_param { max_peaks: 8 num_parts: 3 } }'
    built = net(text, dtype=np.float32)
    feeds = [{"x": RNG.normal(size=(n, 4, *size))} for n, size in ((1, (6, 9)), (3, (11, 5)))]
    assert export.verify(built, export.build(built, dynamic=["batch", "image"]), feeds=feeds).difference < 1e-4


def test_a_plateau_has_no_peak_and_a_small_map_none():
    flat = np.zeros((1, 1, 5, 5))
    flat[0, 0, 2, 2:4] = 1
    assert not run('type: "Nms" nms_param { num_parts: 1 }', flat).any()
    assert not run('type: "Nms" nms_param { num_parts: 1 }', np.ones((1, 1, 2, 2))).any()


def test_fewer_channels_than_parts_are_refused():
    with pytest.raises(LayerError, match="num_parts is 4"):
        run('type: "Nms" nms_param { num_parts: 4 }', np.zeros((1, 3, 5, 5)))
    assert run('type: "Nms"', np.zeros((1, 3, 5, 5))).shape == (1, 3, 21, 3)
