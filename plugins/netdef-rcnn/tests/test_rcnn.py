"""Conformance to netdef's contract, and forward against plain loops in float64."""

import math

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from netdef import export, registry, testing
from netdef.errors import ExportError, LayerError
from netdef.net import Net
from netdef.onnx_import import imported
from netdef.prototxt import parse
from netdef.testing import check_layer

RNG = np.random.default_rng(5)


def test_conforms(netdef_case):
    check_layer(netdef_case)


def net(kind: str, options: str, *inputs: np.ndarray, tops: int = 1) -> Net:
    """A net of one layer after a pass forward in float64; its tops are y0, y1 ..."""
    shapes = "".join(
        f'layer {{ name: "x{i}" type: "Input" top: "x{i}" input_param {{ shape {{ '
        f"{' '.join(f'dim: {d}' for d in x.shape)} }} }} }}\n"
        for i, x in enumerate(inputs)
    )
    bottoms = " ".join(f'bottom: "x{i}"' for i in range(len(inputs)))
    names = " ".join(f'top: "y{i}"' for i in range(tops))
    text = f'force_backward: true {shapes} layer {{ name: "layer" type: "{kind}" {bottoms} {names} {options} }}'
    made = Net(parse(text, registry.default().schema.message("NetParameter")), 0, dtype=np.float64)
    for i, x in enumerate(inputs):
        made.blobs[f"x{i}"].data[...] = x
    made.forward()
    return made


def run(kind: str, options: str, *inputs: np.ndarray) -> np.ndarray:
    return net(kind, options, *inputs).blobs["y0"].data.copy()


def regions(count: int, images: int, size: int) -> np.ndarray:
    corners = RNG.uniform(-3, size + 3, (count, 4))
    return np.concatenate([RNG.integers(0, images, (count, 1)), corners], axis=1)


def c_round(v: float) -> int:
    return int(math.copysign(math.floor(abs(v) + 0.5), v))


def clip(v: int, high: int) -> int:
    return min(max(v, 0), high)


@pytest.mark.parametrize("pooled", [(1, 1), (3, 2), (7, 7)])
def test_roi_pooling(pooled):
    x, rois, scale = np.maximum(RNG.normal(size=(2, 3, 9, 11)), 0), regions(20, 2, 40), 0.25
    options = f"roi_pooling_param {{ pooled_h: {pooled[0]} pooled_w: {pooled[1]} spatial_scale: {scale} }}"
    made = net("ROIPooling", options, x, rois)
    dy = RNG.normal(size=made.blobs["y0"].shape)
    made.blobs["y0"].diff[...] = dy
    made.backward()
    want, dx = np.zeros(dy.shape), np.zeros(x.shape)
    for n, c, ph, pw in np.ndindex(want.shape):
        x1, y1, x2, y2 = (c_round(v * scale) for v in rois[n, 1:])
        high, wide = max(y2 - y1 + 1, 1) / pooled[0], max(x2 - x1 + 1, 1) / pooled[1]
        rows = range(clip(y1 + math.floor(ph * high), 9), clip(y1 + math.ceil((ph + 1) * high), 9))
        columns = range(clip(x1 + math.floor(pw * wide), 11), clip(x1 + math.ceil((pw + 1) * wide), 11))
        best = None
        for h in rows:
            for w in columns:
                if best is None or x[int(rois[n, 0]), c, h, w] > x[(*best,)]:
                    best = (int(rois[n, 0]), c, h, w)
        if best:
            want[n, c, ph, pw] = x[best]
            dx[best] += dy[n, c, ph, pw]
    np.testing.assert_array_equal(made.blobs["y0"].data, want)
    np.testing.assert_allclose(made.blobs["x0"].diff, dx, atol=1e-12)


def test_roi_pooling_in_time():
    x = RNG.normal(size=(2, 2, 12, 8, 6))
    rois = np.array([[0, 0, 30], [1, 9.9, 50.1], [1, 80, 200], [0, 40, 10]], np.float64)
    options = "roi_pooling_param { pooled_l: 3 pooled_h: 4 pooled_w: 2 temporal_scale: 0.125 }"
    y = run("ROIPooling", options, x, rois)
    for n, c, pl, ph, pw in np.ndindex(y.shape):
        first, last = c_round(rois[n, 1] * 0.125), c_round(rois[n, 2] * 0.125)
        length = max(last - first + 1, 1) / 3
        a, b = clip(first + math.floor(pl * length), 12), clip(first + math.ceil((pl + 1) * length), 12)
        top, bottom = clip(math.floor(ph * 7 / 4), 8), clip(math.ceil((ph + 1) * 7 / 4), 8)
        left, right = clip(math.floor(pw * 7 / 2), 6), clip(math.ceil((pw + 1) * 7 / 2), 6)
        part = x[int(rois[n, 0]), c, a:b, top:bottom, left:right]
        assert y[n, c, pl, ph, pw] == (part.max() if part.size else 0)


def test_psroi_pooling():
    x, rois, scale = RNG.normal(size=(2, 18, 8, 10)), regions(15, 2, 30), 0.25
    y = run("PSROIPooling", f"psroi_pooling_param {{ spatial_scale: {scale} output_dim: 2 group_size: 3 }}", x, rois)
    for n, d, ph, pw in np.ndindex(y.shape):
        x1, y1 = c_round(rois[n, 1]) * scale, c_round(rois[n, 2]) * scale
        wide = max((c_round(rois[n, 3]) + 1) * scale - x1, 0.1) / 3
        high = max((c_round(rois[n, 4]) + 1) * scale - y1, 0.1) / 3
        top, bottom = clip(math.floor(ph * high + y1), 8), clip(math.ceil((ph + 1) * high + y1), 8)
        left, right = clip(math.floor(pw * wide + x1), 10), clip(math.ceil((pw + 1) * wide + x1), 10)
        values = [
            x[int(rois[n, 0]), (d * 3 + ph) * 3 + pw, h, w] for h in range(top, bottom) for w in range(left, right)
        ]
        assert y[n, d, ph, pw] == pytest.approx(sum(values) / len(values) if values else 0, abs=1e-12)


def interpolated(x: np.ndarray, v: float, u: float) -> float:
    """The value of an image at row v and column u: 0 more than a pixel outside."""
    if v < -1 or v > x.shape[0] or u < -1 or u > x.shape[1]:
        return 0.0
    v, u = min(max(v, 0), x.shape[0] - 1), min(max(u, 0), x.shape[1] - 1)
    h, w = min(int(v), x.shape[0] - 2), min(int(u), x.shape[1] - 2)
    rows = [x[h, k] + (v - h) * (x[h + 1, k] - x[h, k]) for k in (w, w + 1)]
    return rows[0] + (u - w) * (rows[1] - rows[0])


def test_roi_align():
    x, rois, scale = RNG.normal(size=(2, 2, 7, 9)), regions(12, 2, 30), 0.25
    y = run("ROIAlign", f"roi_align_param {{ pooled_h: 2 pooled_w: 3 spatial_scale: {scale} }}", x, rois)
    for n, c, ph, pw in np.ndindex(y.shape):
        x1, y1, x2, y2 = rois[n, 1:] * scale
        high, wide = max(y2 - y1, 1) / 2, max(x2 - x1, 1) / 3
        rows, columns = math.ceil(high), math.ceil(wide)
        values = [
            interpolated(
                x[int(rois[n, 0]), c], y1 + (ph + (i + 0.5) / rows) * high, x1 + (pw + (j + 0.5) / columns) * wide
            )
            for i in range(rows)
            for j in range(columns)
        ]
        assert y[n, c, ph, pw] == pytest.approx(sum(values) / len(values), abs=1e-12)


def jaccard(a: list[float], b: list[float]) -> float:
    """Overlap of boxes that contain both corners."""
    sides = [min(a[k + 2], b[k + 2]) - max(a[k], b[k]) + 1 for k in (0, 1)]
    shared = max(sides[0], 0) * max(sides[1], 0)
    area = [(c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)]
    return shared / (area[0] + area[1] - shared)


def test_anchors():
    """Those of Faster R-CNN, which anybody who has used it knows by heart."""
    from netdef_rcnn.proposal import anchors

    assert anchors(16, [0.5, 1, 2], [8, 16, 32]).tolist() == [
        [-84, -40, 99, 55],
        [-176, -88, 191, 103],
        [-360, -184, 375, 199],
        [-56, -56, 71, 71],
        [-120, -120, 135, 135],
        [-248, -248, 263, 263],
        [-36, -80, 51, 95],
        [-80, -168, 95, 183],
        [-168, -344, 183, 359],
    ]


@pytest.mark.parametrize("info", [[50, 60, 1], [50, 60, 1, 2, 0, 0]])
def test_proposal(info):
    from netdef_rcnn.proposal import anchors

    ratios, scales = [0.5, 2.0], [2.0, 1.0, 4.0]
    scores, moves = RNG.uniform(size=(2, 12, 5, 6)), RNG.normal(0, 0.4, (2, 24, 5, 6))
    want = []
    for image in range(2):
        found = []
        for h, w, k in np.ndindex(5, 6, 6):
            x1, y1, x2, y2 = anchors(16, ratios, scales)[k]
            wide, high, (dx, dy, dw, dh) = x2 - x1 + 1, y2 - y1 + 1, moves[image, 4 * k : 4 * k + 4, h, w]
            u, v = w * 10 + x1 + wide / 2 + dx * wide, h * 10 + y1 + high / 2 + dy * high
            wide, high = math.exp(dw) * wide, math.exp(dh) * high
            box = [u - wide / 2, v - high / 2, u + wide / 2, v + high / 2]
            box = [max(0.0, min(value, (60, 50)[i % 2] - 1.0)) for i, value in enumerate(box)]
            least = (12 * info[3 if len(info) > 3 else 2], 12 * info[2])
            small = box[2] - box[0] + 1 < least[0] or box[3] - box[1] + 1 < least[1]
            found.append((0.0 if small else scores[image, 6 + k, h, w], box))
        kept = []
        for score, box in sorted(found, key=lambda f: -f[0])[:100]:
            if len(kept) < 20 and all(jaccard(box, other) <= 0.6 for _, other in kept):
                kept.append((score, box))
        want += [[image, *box, score] for score, box in kept]
    options = f"""proposal_param {{ feat_stride: 10 min_size: 12 pre_nms_topn: 100 post_nms_topn: 20 nms_thresh: 0.6
        {" ".join(f"ratio: {r}" for r in ratios)} {" ".join(f"scale: {s}" for s in scales)} }}"""
    made = net("Proposal", options, scores, moves, np.array([info], np.float64), tops=2)
    got = np.concatenate([made.blobs["y0"].data, made.blobs["y1"].data[:, None]], axis=1)
    assert 10 < len(want) <= 40
    np.testing.assert_allclose(got, want, atol=1e-9)


def test_softmax_with_loss_ohem():
    x, labels = RNG.normal(size=(6, 4)), np.array([0, 3, 9, 1, 9, 2], np.float64)
    made = net("SoftmaxWithLossOHEM", "loss_param { ignore_label: 9 }", x, labels, tops=3)
    each = [0 if t == 9 else math.log(sum(math.exp(v) for v in row)) - row[int(t)] for row, t in zip(x, labels)]
    np.testing.assert_allclose(made.blobs["y2"].data, each, rtol=1e-12)
    assert float(made.blobs["y0"].data) == pytest.approx(sum(each) / 4)


def test_smooth_l1_loss_ohem():
    a, b, w = RNG.normal(0, 2, (5, 4)), RNG.normal(0, 2, (5, 4)), RNG.integers(0, 2, (5, 4)).astype(float)
    options = "loss_param { normalization: PRE_FIXED pre_fixed_normalizer: 8 }"
    made = net("SmoothL1LossOHEM", options, a, b, w, tops=2)
    d = [[abs(w[i, j] * (a[i, j] - b[i, j])) for j in range(4)] for i in range(5)]
    each = [sum(v * v / 2 if v < 1 else v - 0.5 for v in row) for row in d]
    np.testing.assert_allclose(made.blobs["y1"].data.ravel(), each, rtol=1e-12)
    assert float(made.blobs["y0"].data) == pytest.approx(sum(each) / 8)


def test_box_annotator_ohem():
    rois, cost = regions(12, 3, 10), RNG.uniform(size=12)
    cost[3] = cost[7]
    labels, weights = np.arange(12.0), RNG.normal(size=(12, 4))
    made = net("BoxAnnotatorOHEM", "box_annotator_ohem_param { roi_per_img: 2 }", rois, cost, labels, weights, tops=2)
    left, hard = [2, 2, 2], set()
    for i in sorted(range(12), key=lambda i: -cost[i]):
        if left[int(rois[i, 0])]:
            left[int(rois[i, 0])] -= 1
            hard.add(i)
    assert made.blobs["y0"].data.ravel().tolist() == [i if i in hard else -1 for i in range(12)]
    want = [weights[i] if i in hard else np.zeros(4) for i in range(12)]
    np.testing.assert_array_equal(made.blobs["y1"].data.reshape(12, 4), want)


def test_mask_resize():
    x = RNG.normal(size=(2, 1, 4, 3))
    y = run("MaskResize", "mask_resize_param { output_height: 11 output_width: 2 }", x)
    for n, c, h, w in np.ndindex(y.shape):
        v, u = h * 4 / 11, w * 3 / 2
        want = 0 if v > 3.5 or u > 2.5 else interpolated(x[n, c], v, u)
        assert y[n, c, h, w] == pytest.approx(want, abs=1e-6)


def test_smooth_l1_loss_has_one_provider():
    """It is netdef-ssd's, which this distribution depends on; a net of either needs no choice."""
    claims = registry.default().claims("layers", "SmoothL1Loss")
    assert [claim.plugin.distribution for claim in claims] == ["netdef-ssd"]
    assert run("SmoothL1Loss", "smooth_l1_loss_param { sigma: 3 }", np.ones((2, 3)), np.zeros((2, 3))).shape == ()


def test_a_detector_trains_without_propagate_down():
    """Prototxts of Faster R-CNN do not say that no gradient passes a proposal: features learn, scores do not."""
    text = """
        layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 6 dim: 6 } } }
        layer { name: "info" type: "Input" top: "info" input_param { shape { dim: 1 dim: 3 } } }
        layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
          convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: "gaussian" std: 1 } } }
        layer { name: "rpn" type: "Convolution" bottom: "conv" top: "rpn"
          convolution_param { num_output: 6 kernel_size: 1 weight_filler { type: "gaussian" std: 0.1 } } }
        layer { name: "parts" type: "Slice" bottom: "rpn" top: "score" top: "moves" slice_param { slice_point: 2 } }
        layer { name: "rois" type: "Proposal" bottom: "score" bottom: "moves" bottom: "info" top: "rois"
          proposal_param { feat_stride: 8 base_size: 8 min_size: 1 ratio: 1 scale: 2 post_nms_topn: 3 } }
        layer { name: "pool" type: "ROIPooling" bottom: "conv" bottom: "rois" top: "pool"
          roi_pooling_param { pooled_h: 2 pooled_w: 2 spatial_scale: 0.125 } }
        layer { name: "loss" type: "Reduction" bottom: "pool" top: "loss" loss_weight: 1 }"""
    made = Net(parse(text, registry.default().schema.message("NetParameter")), 0, dtype=np.float64, seed=1)
    made.blobs["data"].data[...] = np.random.default_rng(1).normal(size=(1, 2, 6, 6))
    made.blobs["info"].data[...] = [[48, 48, 1]]
    made.forward()
    made.backward()
    assert np.abs(made.params["conv"][0].diff).max() > 0
    assert not made.params["rpn"][0].diff.any()


def test_pre_fixed_is_for_these_losses_alone():
    with pytest.raises(LayerError, match="knows no such loss_param"):
        net("SoftmaxWithLoss", "loss_param { normalization: PRE_FIXED }", RNG.normal(size=(2, 3)), np.zeros(2))


def warped(x: np.ndarray, roi: np.ndarray, scale: float, sizes: tuple[int, int], rounding) -> np.ndarray:
    """A region of a map [C, H, W], place by place."""
    x1, y1, x2, y2 = (rounding(v * scale) for v in roi)
    y = np.zeros((x.shape[0], *sizes))
    for v, u in np.ndindex(*sizes):
        a, b = y1 + v * (y2 - y1) / sizes[0], x1 + u * (x2 - x1) / sizes[1]
        if not (-0.5 <= a <= x.shape[1] - 0.5 and -0.5 <= b <= x.shape[2] - 0.5):
            continue
        a, b = min(max(a, 0), x.shape[1] - 1), min(max(b, 0), x.shape[2] - 1)
        i, j = min(int(a), x.shape[1] - 2), min(int(b), x.shape[2] - 2)
        p, q = a - i, b - j
        y[:, v, u] = (1 - p) * ((1 - q) * x[:, i, j] + q * x[:, i, j + 1])
        y[:, v, u] += p * ((1 - q) * x[:, i + 1, j] + q * x[:, i + 1, j + 1])
    return y


def test_roi_warping():
    x = RNG.normal(size=(2, 3, 7, 9))
    rois = np.array([[0, 2, 1, 13, 9], [1, 0, 0, 22, 20], [1, 5, 5, 5, 5], [0, -3, 2, 9, 30]], float)
    y = run("ROIWarping", "roi_warping_param { pooled_h: 4 pooled_w: 5 spatial_scale: 0.5 }", x, rois)
    for n, roi in enumerate(rois):
        np.testing.assert_allclose(y[n], warped(x[int(roi[0])], roi[1:], 0.5, (4, 5), c_round), atol=1e-12)


def test_regions_are_moved_as_if_nothing_were_rounded():
    """Against differences of the unrounded function, at corners that rounding leaves where they are."""
    x, rois = RNG.normal(size=(2, 3, 9, 9)), np.array([[0, 2, 4, 10, 12], [1, 4, 0, 14, 6]], float)
    options = "roi_warping_param { pooled_h: 3 pooled_w: 7 spatial_scale: 0.5 }"
    n = net("ROIWarping", options, x, rois)
    n.forward()
    top, regions = n.blobs["y0"], n.blobs["x1"]
    top.diff[...] = RNG.normal(size=top.shape)
    n.layers[n.index("layer")].backward([top], [False, True], [n.blobs["x0"], regions])
    for k, roi in enumerate(rois):
        image = x[int(roi[0])]
        for c in range(4):
            # places at whole pixels have a slope on either side; the one towards the next pixel is taken
            moved = roi[1:].copy()
            moved[c] += 1e-6
            change = warped(image, moved, 0.5, (3, 7), float) - warped(image, roi[1:], 0.5, (3, 7), float)
            assert regions.diff[k, 1 + c] == pytest.approx((change * top.diff[k]).sum() / 1e-6, rel=1e-4, abs=1e-4)
        assert regions.diff[k, 0] == 0


def test_weighted_sigmoid_cross_entropy():
    x, t, w = RNG.normal(size=(2, 3)), RNG.random((2, 3)), RNG.random((2, 3))
    want = -sum(
        w[i] * (t[i] * math.log(1 / (1 + math.exp(-x[i]))) + (1 - t[i]) * math.log(1 / (1 + math.exp(x[i]))))
        for i in np.ndindex(x.shape)
    )
    assert run("SigmoidCrossEntropyLoss", "", x, t, w) == pytest.approx(want / 2)
    two = run("SigmoidCrossEntropyLoss", "", x, t)
    assert run("SigmoidCrossEntropyLoss", "", x, t, np.ones_like(w)) == pytest.approx(
        two
    )  # netdef's own, of two bottoms


@pytest.mark.parametrize("more", ["", "dim: 1 dim: 1"])
def test_pooled_regions_go_out_and_come_back(more, tmp_path):
    """The batch open, compared on regions of images that are there."""
    text = f"""
    layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 2 dim: 3 dim: 9 dim: 7 }} }} }}
    layer {{ name: "rois" type: "Input" top: "rois" input_param {{ shape {{ dim: 4 dim: 5 {more} }} }} }}
    layer {{ name: "y" type: "ROIPooling" bottom: "x" bottom: "rois" top: "y"
      roi_pooling_param {{ pooled_h: 3 pooled_w: 2 spatial_scale: 0.5 }} }}"""
    built = testing.net(text, dtype=np.float32)
    assert export.verify(built, export.build(built, dynamic=["batch"])).difference == 0
    onnx.save(export.build(built).model, tmp_path / "m.onnx")
    layers = imported(tmp_path / "m.onnx", registry.default()).param.layer
    assert [layer.type for layer in layers if layer.type not in ("Input", "Flatten")] == ["ROIPooling"]


ALIGN = {"output_height": 3, "output_width": 2, "spatial_scale": 0.5}
HALF = {"coordinate_transformation_mode": "output_half_pixel"}


def aligned(image: list[onnx.NodeProto], constant: np.ndarray | None = None, **how: object) -> onnx.ModelProto:
    """RoiAlign of four regions, whose corners are columns of what is kept within 0 to 1, and so are their images."""
    nodes = [helper.make_node("Clip", ["raw", "low", "high"], ["rois"])]
    nodes += [helper.make_node("Slice", ["rois", "one", "five", "one"], ["corners"]), *image]
    nodes.append(helper.make_node("RoiAlign", ["x", "corners", "image"], ["y"], name="align", **(ALIGN | how)))
    arrays = {"zero": [0], "one": [1], "five": [5]} | ({} if constant is None else {"image": constant})
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(n, 1, shape) for n, shape in (("x", (2, 3, 9, 7)), ("raw", (4, 5)))],
        [helper.make_tensor_value_info("y", 1, (4, 3, 3, 2))],
        [numpy_helper.from_array(np.array(v, np.int64), n) for n, v in arrays.items()]
        + [numpy_helper.from_array(np.array(v, np.float32), n) for n, v in (("low", 0), ("high", 1))],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


COLUMN = [
    helper.make_node("Gather", ["rois", "zero"], ["c0"], axis=1),
    helper.make_node("Squeeze", ["c0", "one"], ["c1"]),
    helper.make_node("Cast", ["c1"], ["image"], to=7),
]


@pytest.mark.parametrize(
    "made", [aligned(COLUMN, **HALF), aligned([], np.array([0, 1, 1, 0]), **HALF)], ids=["column", "constant"]
)
def test_aligned_regions_of_other_makers_come_back(made, tmp_path):
    onnx.save(made, tmp_path / "m.onnx")
    found = imported(tmp_path / "m.onnx", registry.default()).param.layer
    assert [layer.type for layer in found][-1] == "ROIAlign"


def test_aligned_regions_go_out_and_come_back(tmp_path):
    text = """
    layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 9 dim: 7 } } }
    layer { name: "rois" type: "Input" top: "rois" input_param { shape { dim: 4 dim: 5 } } }
    layer { name: "clip" type: "Clip" bottom: "rois" top: "rois" clip_param { min: 0 max: 1 } }
    layer { name: "y" type: "ROIAlign" bottom: "x" bottom: "rois" top: "y"
      roi_align_param { pooled_h: 3 pooled_w: 2 spatial_scale: 0.5 } }"""
    onnx.save(export.build(testing.net(text, dtype=np.float32)).model, tmp_path / "m.onnx")
    found = imported(tmp_path / "m.onnx", registry.default()).param.layer
    assert [layer.type for layer in found].count("ROIAlign") == 1


def test_aligned_regions_of_another_kind_are_refused(tmp_path):
    for how, said in (({}, "half_pixel, 0; a ROIAlign has"), (HALF | {"sampling_ratio": 2}, "output_half_pixel, 2;")):
        onnx.save(aligned(COLUMN, **how), tmp_path / "m.onnx")
        with pytest.raises(ExportError, match=rf"operation 'align' \(RoiAlign\): avg, {said}"):
            imported(tmp_path / "m.onnx", registry.default())


def test_masks_of_an_open_size_go_out():
    """Larger and smaller ones; where they grow by more than 2, the last pixels are 0."""
    text = """
    layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 9 dim: 7 } } }
    layer { name: "y" type: "MaskResize" bottom: "x" top: "y" mask_resize_param { output_height: 14 output_width: 10 } }
    """
    built = testing.net(text, dtype=np.float32)
    feeds = [{"x": RNG.normal(size=(n, 3, *size))} for n, size in ((1, (3, 40)), (3, (7, 5)), (2, (14, 1)))]
    assert export.verify(built, export.build(built, dynamic=["batch", "image"]), feeds=feeds).difference < 1e-5
