"""Conformance to netdef's contract, and forward against plain loops in float64."""

import math

import numpy as np
import pytest

from netdef import export, registry
from netdef.net import Net
from netdef.prototxt import parse
from netdef.testing import check_layer, net

RNG = np.random.default_rng(3)


def test_conforms(netdef_case):
    check_layer(netdef_case)


def run(kind: str, options: str, *inputs: np.ndarray) -> np.ndarray:
    """What a layer gives for inputs, in float64."""
    shapes = "".join(
        f'layer {{ name: "x{i}" type: "Input" top: "x{i}" input_param {{ shape {{ '
        f"{' '.join(f'dim: {d}' for d in x.shape)} }} }} }}\n"
        for i, x in enumerate(inputs)
    )
    bottoms = " ".join(f'bottom: "x{i}"' for i in range(len(inputs)))
    text = f'{shapes} layer {{ name: "layer" type: "{kind}" {bottoms} top: "y" {options} }}'
    schema = registry.default().schema
    net = Net(parse(text, schema.message("NetParameter")), 1, dtype=np.float64)
    for i, x in enumerate(inputs):
        net.blobs[f"x{i}"].data[...] = x
    net.forward()
    return net.blobs["y"].data.copy()


def test_shuffle_channel():
    x = RNG.normal(size=(2, 12, 2, 3))
    y = run("ShuffleChannel", "shuffle_channel_param { group: 3 }", x)
    for group in range(3):
        for j in range(4):
            np.testing.assert_array_equal(y[:, j * 3 + group], x[:, group * 4 + j])


def darknet_reorg(x: np.ndarray, s: int, reverse: bool) -> np.ndarray:
    """Darknet's own index arithmetic, number by number."""
    n, channels, height, width = x.shape
    fewer, flat = channels // s**2, x.reshape(n, -1)
    y = np.empty_like(flat)
    for k, j, i in np.ndindex(channels, height, width):
        here = i + width * (j + height * k)
        row, column = j * s + k // fewer // s, i * s + k // fewer % s
        there = column + width * s * (row + height * s * (k % fewer))
        if reverse:
            y[:, there] = flat[:, here]
        else:
            y[:, here] = flat[:, there]
    return y


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("s", [1, 2, 3])
def test_reorg(s, reverse):
    x = RNG.normal(size=(2, 2 * s * s, 2 * s, 3 * s))
    y = run("Reorg", f"reorg_param {{ stride: {s} reverse: {str(reverse).lower()} }}", x)
    shape = (2, 2, 2 * s * s, 3 * s * s) if reverse else (2, 2 * s**4, 2, 3)
    assert y.shape == shape
    np.testing.assert_array_equal(y.reshape(2, -1), darknet_reorg(x, s, reverse))


IMAGE = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 12 dim: 4 dim: 6 } } }\n'


@pytest.mark.parametrize(
    ("layer", "sizes"),
    [
        ('type: "ShuffleChannel" shuffle_channel_param { group: 3 }', [(1, 3, 5), (3, 8, 2)]),
        ('type: "Reorg" reorg_param { stride: 2 }', [(1, 2, 8), (3, 6, 4)]),
        ('type: "Reorg" reorg_param { stride: 2 reverse: true }', [(1, 3, 5), (3, 8, 2)]),
    ],
)
def test_a_model_moves_numbers_in_images_of_any_size(layer, sizes):
    built = net(IMAGE + f'layer {{ name: "y" bottom: "x" top: "y" {layer} }}', dtype=np.float32)
    model = export.build(built, dynamic=["batch", "image"])
    draw = np.random.default_rng(0).standard_normal
    feeds = [{"x": draw((n, 12, *size), np.float32)} for n, *size in sizes]
    assert export.verify(built, model, feeds=feeds).difference == 0


def test_a_model_reads_any_number_of_sequences():
    text = """layer { name: "cont" type: "ContinuationIndicator" bottom: "x" top: "cont"
      continuation_indicator_param { time_step: 1 } }
    layer { name: "step" type: "Reshape" bottom: "x" top: "step"
      reshape_param { axis: 0 num_axes: 0 shape { dim: 1 } } }
    layer { name: "y" type: "LSTM" bottom: "step" bottom: "cont" top: "y"
      recurrent_param { num_output: 5 weight_filler { type: "xavier" } } }"""
    built = net(IMAGE + text, dtype=np.float32)
    assert export.verify(built, export.build(built, dynamic=["batch"]), every=True).runs > 5


def test_gates():
    a, x, b = RNG.normal(size=(2, 3, 1, 1)), RNG.normal(size=(2, 3, 2, 4)), RNG.normal(size=(2, 3, 2, 4))
    axpy, product = run("Axpy", "", a, x, b), run("BroadcastMul", "", a.reshape(2, 3), x)
    for n, c, h, w in np.ndindex(x.shape):
        assert product[n, c, h, w] == a[n, c, 0, 0] * x[n, c, h, w]
        assert axpy[n, c, h, w] == a[n, c, 0, 0] * x[n, c, h, w] + b[n, c, h, w]


@pytest.mark.parametrize("slope", [0.0, 0.5, -2.0])
def test_relu6(slope):
    x = np.array([-9.0, -4.0, -1.0, 0.0, 0.5, 5.75, 6.0, 6.25, 30.0])
    want = [min(max(v, 0.0) + slope * min(v, 0.0), 6.0) for v in x]
    assert run("ReLU6", f"relu6_param {{ negative_slope: {slope} }}", x).tolist() == want


def overlap(a: list[float], b: list[float]) -> float:
    sides = []
    for k in (0, 1):
        low, high = max(a[k] - a[k + 2] / 2, b[k] - b[k + 2] / 2), min(a[k] + a[k + 2] / 2, b[k] + b[k + 2] / 2)
        sides.append(high - low)
    shared = 0.0 if min(sides) < 0 else sides[0] * sides[1]
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def suppressed(found: list[tuple], threshold: float) -> list[list[float]]:
    """Candidates (confidence, class, box) as rows, by the fork's loop over pairs."""
    found = sorted(found, key=lambda f: -f[0])
    dead = set()
    for i in range(len(found)):
        for j in range(i + 1, len(found)):
            if i not in dead and overlap(found[i][2], found[j][2]) >= threshold:
                dead.add(j)
    rows = []
    for score, label, (x, y, w, h) in (f for i, f in enumerate(found) if i not in dead):
        rows.append([0, label + 1, score, x - w / 2, y - h / 2, x + w / 2, y + h / 2])
    return rows


def sigmoid(v: float) -> float:
    return 1 / (1 + math.exp(-v))


def cells(x: np.ndarray, boxes: int):
    """(row, column, box, its numbers) in the fork's order."""
    side, length = x.shape[3], x.shape[1] // boxes
    for j, i, n in np.ndindex(side, side, boxes):
        yield j, i, n, x[0, n * length : (n + 1) * length, j, i]


def test_yolo_detection_output():
    anchors, classes, threshold = [1.25, 0.875, 2.5, 2.75], 3, 0.25
    inputs = [RNG.normal(size=(1, 16, side, side)) for side in (3, 5)]
    found = []
    for x in inputs:
        side = x.shape[3]
        for j, i, n, v in cells(x, 2):
            e = [math.exp(c - max(v[5:])) for c in v[5:]]
            score = sigmoid(v[4]) * max(e) / sum(e)
            box = [(i + sigmoid(v[0])) / side, (j + sigmoid(v[1])) / side]
            box += [math.exp(v[2 + k]) * anchors[2 * n + k] / side for k in (0, 1)]
            if score >= threshold:
                found.append((score, int(np.argmax(v[5:])), box))
    options = f"""yolo_detection_output_param {{ num_classes: {classes} num_box: 2 confidence_threshold: {threshold}
        nms_threshold: 0.5 {" ".join(f"biases: {b}" for b in anchors)} }}"""
    want = suppressed(found, 0.5)
    assert 5 < len(want) < len(found)
    np.testing.assert_allclose(run("YoloDetectionOutput", options, *inputs)[0, 0], want, rtol=1e-6)


def test_yolov3_detection_output():
    anchors, masks, scales, threshold = [20, 37, 49, 94, 73, 61, 30, 20], [[2, 1], [0, 3]], [32, 16], 0.25
    inputs = [RNG.normal(size=(1, 14, side, side)) for side in (2, 4)]
    found = []
    for x, mask, scale in zip(inputs, masks, scales, strict=True):
        side = x.shape[3]
        for j, i, n, v in cells(x, 2):
            box = [(i + sigmoid(v[0])) / side, (j + sigmoid(v[1])) / side]
            box += [math.exp(v[2 + k]) * anchors[2 * mask[n] + k] / (side * scale) for k in (0, 1)]
            scores = [sigmoid(c) * sigmoid(v[4]) for c in v[5:]]
            found += [(score, c, box) for c, score in enumerate(scores) if score > threshold]
    options = f"""yolov3_detection_output_param {{ num_classes: 2 num_box: 2 confidence_threshold: {threshold}
        nms_threshold: 0.5 {" ".join(f"biases: {b}" for b in anchors)}
        {" ".join(f"mask: {m}" for mask in masks for m in mask)} anchors_scale: 32 anchors_scale: 16 }}"""
    want = suppressed(found, 0.5)
    assert 5 < len(want) < len(found)
    np.testing.assert_allclose(run("Yolov3DetectionOutput", options, *inputs)[0, 0], want, rtol=1e-6)


def test_images_of_a_batch_do_not_meet():
    x = RNG.normal(size=(3, 16, 3, 3))
    options = "yolo_detection_output_param { num_classes: 3 num_box: 2 biases: 1 biases: 2 biases: 2 biases: 1 }"
    rows = run("YoloDetectionOutput", options, x)[0, 0]
    for n in range(3):
        alone = run("YoloDetectionOutput", options, x[n : n + 1])[0, 0]
        np.testing.assert_allclose(rows[rows[:, 0] == n][:, 1:], alone[:, 1:], rtol=1e-12)
