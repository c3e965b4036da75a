"""Conformance to netdef's contract, and each layer against plain loops or another's arithmetic."""

import math

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from netdef import export, registry
from netdef.errors import ExportError, LayerError
from netdef.net import Net
from netdef.onnx_import import imported
from netdef.prototxt import parse
from netdef.testing import check_layer, net

RNG = np.random.default_rng(5)


def test_conforms(netdef_case):
    check_layer(netdef_case)


def build(layer: str, *inputs: np.ndarray, phase: int = 1) -> Net:
    """A float64 net of one layer, its inputs filled."""
    shapes = "".join(
        f'layer {{ name: "x{i}" type: "Input" top: "x{i}" input_param {{ shape {{ '
        f"{' '.join(f'dim: {d}' for d in x.shape)} }} }} }}\n"
        for i, x in enumerate(inputs)
    )
    text = "force_backward: true\n" + shapes + layer
    net = Net(parse(text, registry.default().schema.message("NetParameter")), phase, dtype=np.float64, seed=2)
    for i, x in enumerate(inputs):
        net.blobs[f"x{i}"].data[...] = x
    return net


def test_interp_is_linear_between_kept_corners():
    x = RNG.normal(size=(1, 2, 4, 3))
    net = build('layer { name: "y" type: "Interp" bottom: "x0" top: "y" interp_param { height: 9 width: 5 } }', x)
    net.forward()
    y = net.blobs["y"].data
    for c, i, j in np.ndindex(2, 9, 5):
        a, b = i * 3 / 8, j * 2 / 4
        low, left = min(math.floor(a), 2), min(math.floor(b), 1)
        p, q = a - low, b - left
        want = (1 - p) * ((1 - q) * x[0, c, low, left] + q * x[0, c, low, left + 1])
        want += p * ((1 - q) * x[0, c, low + 1, left] + q * x[0, c, low + 1, left + 1])
        assert y[0, c, i, j] == pytest.approx(want)
    assert y[0, :, -1, -1] == pytest.approx(x[0, :, -1, -1])


@pytest.mark.parametrize(
    "options", ["", "height: 3", "zoom_factor: 0", "height: 3 width: 3 pad_beg: 1", "height: 3 width: 3 mode: NEAREST"]
)
def test_interp_refuses_what_it_cannot_follow(options):
    with pytest.raises(LayerError, match=r"size|want|NEAREST"):
        build(
            f'layer {{ name: "y" type: "Interp" bottom: "x0" top: "y" interp_param {{ {options} }} }}',
            RNG.random((1, 1, 4, 4)),
        )


def test_who_prefers_it_gets_whole_multiples(monkeypatch):
    text = 'layer { name: "y" type: "Interp" bottom: "x0" top: "y" interp_param { zoom_factor: 2 } }'
    x = RNG.normal(size=(1, 1, 4, 5))
    assert build(text, x).blobs["y"].shape == (1, 1, 7, 9)
    found = registry.Registry(registry.Settings(prefer={"Interp": "netdef-seg:seg.WholeInterp"})).load()
    monkeypatch.setattr(registry, "default", lambda: found)
    net = build(text, x)
    net.forward()
    y = net.blobs["y"].data
    assert y.shape == (1, 1, 8, 10)
    np.testing.assert_allclose(y[0, 0, ::7, ::9], x[0, 0, ::3, ::4])  # the corners
    np.testing.assert_allclose(y[0, 0, 0], np.interp(np.linspace(0, 4, 10), np.arange(5), x[0, 0, 0]))


def test_both_families_of_bn_in_one_net():
    x = RNG.normal(3, 2, size=(4, 2, 3, 5))
    text = """
    layer { name: "a" type: "BN" bottom: "x0" top: "a"
      bn_param { scale_filler { value: 2 } shift_filler { value: 1 } } }
    layer { name: "b" type: "BN" bottom: "x0" top: "b"
      bn_param { slope_filler { value: 2 } bias_filler { value: 1 } } }
    """
    net = build(text, x, phase=0)
    net.forward()
    mean, var = x.mean(axis=(0, 2, 3), keepdims=True), x.var(axis=(0, 2, 3), keepdims=True)
    np.testing.assert_allclose(net.blobs["a"].data, 2 * (x - mean) / np.sqrt(var + 1e-9) + 1)
    np.testing.assert_allclose(net.blobs["b"].data, 2 * (x - mean) / np.sqrt(var + 1e-5) + 1)
    assert [len(net.params[name]) for name in "ab"] == [2, 4]
    np.testing.assert_allclose(net.params["b"][2].data, 0.1 * mean, rtol=1e-6)  # options are float32
    np.testing.assert_allclose(net.params["b"][3].data, 0.9 + 0.1 * var, rtol=1e-6)


def test_a_frozen_bn_uses_what_it_holds_and_learns_nothing():
    x = RNG.normal(size=(2, 2, 3, 3))
    net = build('layer { name: "y" type: "BN" bottom: "x0" top: "y" bn_param { frozen: true } }', x, phase=0)
    net.params["y"][2].data[...] = 0.5
    net.params["y"][3].data[...] = 4
    net.forward()
    np.testing.assert_allclose(net.blobs["y"].data, (x - 0.5) / np.sqrt(4 + 1e-5))
    net.blobs["y"].diff[...] = 1
    net.backward()
    assert not any(blob.diff.any() for blob in net.params["y"])
    np.testing.assert_allclose(net.params["y"][2].data, 0.5)


def test_unpooling_puts_back_what_pooling_took():
    x = RNG.normal(size=(1, 2, 4, 6))
    text = """
    layer { name: "p" type: "Pooling" bottom: "x0" top: "p" top: "m" pooling_param { kernel_size: 2 stride: 2 } }
    layer { name: "y" type: "Upsample" bottom: "p" bottom: "m" top: "y" upsample_param { scale: 2 } }
    """
    net = build(text, x)
    net.forward()
    want = np.zeros_like(x)
    for c, i, j in np.ndindex(2, 2, 3):
        window = x[0, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        di, dj = np.unravel_index(window.argmax(), (2, 2))
        want[0, c, 2 * i + di, 2 * j + dj] = window.max()
    np.testing.assert_array_equal(net.blobs["y"].data, want)


IMAGE = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 6 } } }'
POOL = 'layer { name: "p" type: "Pooling" bottom: "x" top: "p" top: "m" pooling_param { kernel_size: 2 stride: 2 } }'
SIZES = [(1, 4, 8), (3, 10, 2)]


@pytest.mark.parametrize(
    "text",
    [
        POOL + 'layer { name: "y" type: "Upsample" bottom: "p" bottom: "m" top: "y" upsample_param { scale: 2 } }',
        'layer { name: "y" type: "Interp" bottom: "x" top: "y" interp_param { shrink_factor: 2 zoom_factor: 3 } }',
        'layer { name: "y" type: "Interp" bottom: "x" top: "y" interp_param { height: 9 width: 5 pad_end: -1 } }',
        POOL + 'layer { name: "y" type: "Interp" bottom: "p" bottom: "x" top: "y" }',
    ],
)
def test_a_model_enlarges_images_of_any_size(text):
    built = net(IMAGE + text, dtype=np.float32)
    model = export.build(built, ["y"], dynamic=["batch", "image"])
    feeds = [{"x": RNG.normal(size=(n, 3, *size))} for n, *size in SIZES]
    assert export.verify(built, model, feeds=feeds, every=True).difference < 1e-5


@pytest.mark.parametrize("opset", [11, 12, 13])
def test_older_opsets_enlarge_as_well(tmp_path, opset):
    text = 'layer { name: "y" type: "Interp" bottom: "x" top: "y" interp_param { height: 9 width: 5 } }'
    built = net(IMAGE + text, dtype=np.float32)
    assert export.export_file(built, tmp_path / "m.onnx", opset=opset).parity.difference < 1e-5


def test_unpooling_comes_back(tmp_path):
    text = POOL + 'layer { name: "y" type: "Upsample" bottom: "p" bottom: "m" top: "y" upsample_param { scale: 2 } }'
    onnx.save(export.build(net(IMAGE + text, dtype=np.float32)).model, tmp_path / "m.onnx")
    types = [layer.type for layer in imported(tmp_path / "m.onnx", registry.default()).param.layer]
    assert types.count("Pooling") == types.count("Upsample") == 1


def test_a_max_unpool_is_an_upsample(tmp_path):
    """As another exporter writes it, with indices of all planes one after the other."""
    nodes = [
        helper.make_node("MaxPool", ["x"], ["p", "i"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("MaxUnpool", ["p", "i"], ["y"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    infos = [helper.make_tensor_value_info(name, 1, (2, 3, 8, 6)) for name in "xy"]
    graph = helper.make_graph(nodes, "g", infos[:1], infos[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), tmp_path / "m.onnx")
    types = [layer.type for layer in imported(tmp_path / "m.onnx", registry.default()).param.layer]
    assert types == ["Input", "Pooling", "Upsample"]


def test_what_no_upsample_does_is_refused(tmp_path):
    nodes = [helper.make_node("ScatterElements", ["ones", "i", "x"], ["y"], axis=1, name="s")]
    ones, i = np.ones((2, 5), np.float32), np.array([[0, 1], [4, 2]])
    infos = [helper.make_tensor_value_info("x", 1, (2, 2)), helper.make_tensor_value_info("y", 1, (2, 5))]
    constants = [numpy_helper.from_array(ones, "ones"), numpy_helper.from_array(i, "i")]
    graph = helper.make_graph(nodes, "g", infos[:1], infos[1:], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), tmp_path / "m.onnx")
    with pytest.raises(ExportError, match=r"operation 's' \(ScatterElements\): into something else than zeros"):
        imported(tmp_path / "m.onnx", registry.default())


def test_unpooling_to_a_size_leaves_no_image_open():
    text = 'layer { name: "y" type: "Upsample" bottom: "p" bottom: "m" top: "y" upsample_param { upsample_w: 6 } }'
    built = net(IMAGE + POOL + text, dtype=np.float32)
    export.build(built, dynamic=["batch"])
    with pytest.raises(ExportError, match=r"layer 'y' \(Upsample\): upsample_w 6 .* give scale in its place"):
        export.build(built, dynamic=["image"])


def test_a_mask_outside_the_plane_is_named():
    text = 'layer { name: "y" type: "Upsample" bottom: "x0" bottom: "x1" top: "y" }'
    net = build(text, np.ones((1, 1, 1, 1)), np.full((1, 1, 1, 1), 9.0))
    with pytest.raises(LayerError, match="pixel 9 of a plane of 4"):
        net.forward()


def test_scores_by_hand():
    # two classes of four occur: 3 of 4 pixels of class 0 and 1 of 2 of class 1 are right
    labels = np.array([0, 0, 0, 0, 1, 1, 255.0]).reshape(1, 1, 1, 7)
    found = [0, 0, 0, 1, 1, 0, 2]
    x = np.eye(4)[found].T.reshape(1, 4, 1, 7)
    text = """layer { name: "y" type: "SegAccuracy" bottom: "x0" bottom: "x1" top: "y"
      seg_accuracy_param { ignore_label: 255 } }"""
    net = build(text, x, labels)
    net.forward()
    overlap = (3 / 5 + 1 / 3 + 1 + 1) / 4
    np.testing.assert_allclose(net.blobs["y"].data.reshape(-1), [4 / 6, (3 / 4 + 1 / 2) / 2, overlap])


def test_dense_images_and_labels_stay_together(tmp_path):
    cv2 = pytest.importorskip("cv2", reason="OpenCV is an extra")
    lines = []
    for k in range(3):
        labels = RNG.integers(0, 20, (6, 8)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"x{k}.png"), np.repeat(labels[:, :, None] * 10, 3, axis=2))
        cv2.imwrite(str(tmp_path / f"l{k}.png"), labels)
        lines.append(f"x{k}.png l{k}.png")
    (tmp_path / "list.txt").write_text("\n".join(lines))
    text = f"""layer {{ name: "d" type: "DenseImageData" top: "x" top: "l"
      transform_param {{ scale: 0.1 mean_value: 50 }}
      dense_image_data_param {{ source: "{tmp_path / "list.txt"}" batch_size: 2 shuffle: true mirror: true
                               crop_height: 4 crop_width: 5 }} }}"""
    seen = []
    for _ in range(2):
        net = build(text, phase=0)
        for _ in range(4):
            net.forward()
            x, labels = net.blobs["x"].data, net.blobs["l"].data
            assert x.shape == (2, 3, 4, 5) and labels.shape == (2, 1, 4, 5)
            np.testing.assert_allclose(x, np.repeat((labels * 10 - 50) * 0.1, 3, axis=1))
            seen.append(labels.copy())
    np.testing.assert_array_equal(seen[:4], seen[4:])
    assert not np.array_equal(seen[0], seen[1])


def test_maps_of_edges_are_zeros_and_ones_and_stay_with_their_images(tmp_path):
    cv2 = pytest.importorskip("cv2", reason="OpenCV is an extra")
    maps = RNG.integers(0, 256, (2, 6, 8)).astype(np.uint8)
    maps[0, 0, :2] = 127, 128
    for k, edges in enumerate(maps):
        cv2.imwrite(str(tmp_path / f"x{k}.png"), np.repeat(edges[:, :, None], 3, axis=2))
        cv2.imwrite(str(tmp_path / f"e{k}.png"), edges)
    (tmp_path / "list.txt").write_text("x0.png e0.png\nx1.png e1.png\n")
    text = f"""layer {{ name: "d" type: "ImageLabelmapData" top: "x" top: "e"
      transform_param {{ mirror: true crop_size: 5 }}
      image_data_param {{ source: "{tmp_path / "list.txt"}" batch_size: 2 }} }}"""
    net = build(text, phase=0)
    for _ in range(3):
        net.forward()
        x, edges = net.blobs["x"].data, net.blobs["e"].data
        assert edges.shape == (2, 1, 5, 5)
        np.testing.assert_array_equal(edges, x[:, :1] >= 128)
