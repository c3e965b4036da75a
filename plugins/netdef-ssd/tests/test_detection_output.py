"""DetectionOutput against loops, in both precisions, and the model it exports against the layer."""

import numpy as np
import pytest
import ssd_oracles as oracles
from ssd_nets import fed, net, options

from netdef import export, prototxt, registry
from netdef.errors import ExportError, LayerError
from netdef.export.arbiter import Arbiter

CODES = {"CORNER": 1, "CENTER_SIZE": 2, "CORNER_SIZE": 3}
N, P, C = 2, 24, 3


def priors(rng):
    low = rng.uniform(0, 0.6, (P, 2))
    boxes = np.concatenate([low, low + rng.uniform(0.1, 0.4, (P, 2))], axis=1)
    return np.stack([boxes.ravel(), rng.uniform(0.1, 0.3, 4 * P)])[None].astype(np.float32)


def inputs(seed=0, sets=1, scores=None):
    rng = np.random.default_rng(seed)
    drawn = rng.uniform(0, 1, (N, P * C)) if scores is None else np.broadcast_to(scores, (N, P * C))
    loc = rng.normal(0, 1, (N, 4 * P * sets))
    return {"loc": loc.astype(np.float32), "conf": drawn.astype(np.float32), "prior": priors(rng)}


def layer(code="CENTER_SIZE", nms="", **given):
    settings = f"num_classes: {C} code_type: {code} nms_param {{ {nms} }} {options(given)}"
    return f'type: "DetectionOutput" detection_output_param {{ {settings} }}'


def wanted(given, code, sets=1, background=0, in_target=False, keep=-1, **nms):
    """The rows as loops find them."""
    corners, variances = given["prior"][0].reshape(2, P, 4).astype(float)
    loc = given["loc"].reshape(N, P, sets, 4).astype(float)
    variances = np.ones_like(variances) if in_target else variances
    boxes = [
        [
            [oracles.decode(loc[i, p, c % sets], corners[p], variances[p], CODES[code]) for p in range(P)]
            for c in range(C)
        ]
        for i in range(N)
    ]
    settings = {"threshold": 0.3, "top_k": -1, "score_above": -1e30, "eta": 1.0} | nms
    return oracles.detections(boxes, given["conf"].reshape(N, P, C).tolist(), background, settings, keep)


CASES = {
    "all of them": (layer(), {"code": "CENTER_SIZE"}),
    "corners": (layer("CORNER", "nms_threshold: 0.1"), {"code": "CORNER", "threshold": 0.1}),
    "sizes": (layer("CORNER_SIZE"), {"code": "CORNER_SIZE"}),
    "a few candidates": (layer(nms="top_k: 5"), {"code": "CENTER_SIZE", "top_k": 5}),
    "a few kept": (layer(keep_top_k=4), {"code": "CENTER_SIZE", "keep": 4}),
    "the surer ones": (layer(confidence_threshold=0.8), {"code": "CENTER_SIZE", "score_above": 0.8}),
    "none": (layer(confidence_threshold=1), {"code": "CENTER_SIZE", "score_above": 1}),
    "another background": (layer(background_label_id=2), {"code": "CENTER_SIZE", "background": 2}),
    "no background": (layer(background_label_id=-1), {"code": "CENTER_SIZE", "background": -1}),
    "variances in the target": (
        layer(variance_encoded_in_target=True, confidence_threshold=0.5),
        {"code": "CENTER_SIZE", "in_target": True, "score_above": 0.5},
    ),
    "own locations": (
        layer("CORNER", share_location=False, keep_top_k=9),
        {"code": "CORNER", "sets": C, "keep": 9},
    ),
    "a threshold that shrinks": (
        layer(nms="nms_threshold: 0.9 eta: 0.8"),
        {"code": "CENTER_SIZE", "threshold": 0.9, "eta": 0.8},
    ),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_rows(name, dtype):
    text, settings = CASES[name]
    given = inputs(sets=settings.get("sets", 1))
    want = wanted(given, **settings)
    got = fed(text, given, dtype=dtype).blobs["y"].data
    assert got.shape == (1, 1, len(want), 7)
    assert got[0, 0] == pytest.approx(np.array(want), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("name", [name for name in CASES if "shrinks" not in name])
def test_the_model_gives_the_same_rows(name):
    text, settings = CASES[name]
    found = {seed: inputs(seed, settings.get("sets", 1)) for seed in range(4)}
    built = fed(text, found[0], dtype=np.float32)
    exported = export.build(built)
    dims = exported.model.graph.output[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in dims] == [1, 1, "y/2", 7]
    export.verify(built, exported, feeds=list(found.values()))


@pytest.mark.parametrize("name", [name for name in CASES if "shrinks" not in name])
def test_a_model_of_an_open_batch_gives_the_same_rows(name):
    text, settings = CASES[name]
    given = inputs(sets=settings.get("sets", 1))
    built = fed(text, given, dtype=np.float32)
    exported = export.build(built, dynamic=["batch"])
    sizes = exported.model.graph.input[0].type.tensor_type.shape.dim
    assert sizes[0].dim_param == "batch"
    many = {name: np.concatenate([given[name], given[name][:1] + np.float32(0.05)]) for name in ("loc", "conf")}
    feeds = [given | {name: x[:n] for name, x in many.items()} for n in (1, 2, 3)]
    export.verify(built, exported, feeds=feeds)


@pytest.mark.parametrize("nms", ["", "top_k: 20"])
def test_a_model_of_an_open_image_has_as_many_priors(nms):
    """At sizes with fewer and with more priors than the numbers of boxes that stay."""
    text = f"""
    layer {{ name: "prior" type: "PriorBox" bottom: "map" bottom: "map" top: "prior"
      prior_box_param {{ min_size: 2 max_size: 3 img_size: 9 }} }}
    layer {{ name: "turned" type: "Permute" bottom: "map" top: "turned"
      permute_param {{ order: 0 order: 2 order: 3 }} }}
    layer {{ name: "parts" type: "Slice" bottom: "turned" top: "loc4" top: "conf4"
      slice_param {{ axis: 3 slice_point: 8 }} }}
    layer {{ name: "loc" type: "Flatten" bottom: "loc4" top: "loc" }}
    layer {{ name: "conf" type: "Flatten" bottom: "conf4" top: "conf" }}
    layer {{ name: "found" bottom: "loc" bottom: "conf" bottom: "prior" top: "y" {layer(nms=nms, keep_top_k=40)} }}"""
    shape = "dim: 1 dim: 14 dim: 3 dim: 4"
    data = f'layer {{ name: "map" type: "Input" top: "map" input_param {{ shape {{ {shape} }} }} }}'
    built = net(data + text, dtype=np.float32)
    exported = export.build(built, dynamic=["image", "batch"])
    rng = np.random.default_rng(0)
    feeds = [{"map": rng.standard_normal((n, 14, h, w), np.float32)} for n, h, w in ((1, 2, 1), (2, 3, 4), (2, 5, 6))]
    export.verify(built, exported, feeds=feeds, every=True)


REGIONS = """
layer { name: "slice" type: "Slice" bottom: "y" top: "image" top: "of" top: "box"
  slice_param { axis: 3 slice_point: 1 slice_point: 3 } }
layer { name: "concat" type: "Concat" bottom: "image" bottom: "box" top: "region" concat_param { axis: 3 } }
layer { name: "regions" type: "Reshape" bottom: "region" top: "regions" reshape_param { shape { dim: -1 dim: 5 } } }
layer { name: "rows" type: "Flatten" bottom: "of" top: "rows" flatten_param { axis: 0 end_axis: 2 } }
"""


def test_layers_after_it_take_as_many_rows_as_there_are():
    built = fed(layer(), inputs(), REGIONS, dtype=np.float32)
    built.reshape()
    assert built.blobs["regions"].shape == (1, 5), "one row, as before anything was seen"
    exported = export.build(built)
    shapes = {v.name: v.type.tensor_type.shape.dim for v in exported.model.graph.output}
    dims = {name: [d.dim_param or d.dim_value for d in shape] for name, shape in shapes.items()}
    assert dims == {"regions": ["regions/0", 5], "rows": ["rows/0", 2]}
    export.verify(built, exported, feeds=[inputs(seed) for seed in range(4)], every=True)


def test_a_layer_after_it_is_judged_on_as_many_rows_as_there_are():
    built = fed(layer(), inputs(), REGIONS, dtype=np.float32)
    built.reshape()
    exported = export.build(built)
    arbiter = Arbiter(built, exported, None, 1e-4, 1)
    built.forward()
    assert len(built.blobs["regions"].data) > 1
    assert dict(arbiter.differences(exported.values.items(), ["regions", "rows"])) == {"regions": 0, "rows": 0}


def test_priors_in_pixels():
    given = {name: x[:1] for name, x in inputs(sets=C).items()}
    settings = {"share_location": False, "variance_encoded_in_target": True, "confidence_threshold": 0.5}
    want = fed(layer(**settings), given).blobs["y"].data
    rows = given["prior"][0, 0].reshape(P, 4) * [40, 30, 40, 30]
    pixels = given | {"prior": np.concatenate([np.zeros((P, 1)), rows], axis=1).reshape(1, -1).astype(np.float32)}
    got = fed(layer(**settings, normalized=False, input_width=40, input_height=30), pixels).blobs["y"].data
    assert got == pytest.approx(want, abs=1e-6)
    with pytest.raises(LayerError, match="such priors have no variances"):
        fed(layer(share_location=False, normalized=False), pixels)


def test_equal_scores_keep_their_order():
    given = inputs(scores=0.5)
    want = wanted(given, "CENTER_SIZE", keep=6)
    built = fed(layer(keep_top_k=6), given, dtype=np.float32)
    assert built.blobs["y"].data[0, 0] == pytest.approx(np.array(want), rel=1e-5, abs=1e-5)
    export.verify(built, export.build(built), feeds=[given])


def test_nothing_in_one_image_of_two():
    given = inputs()
    given["conf"][0] = 0
    built = fed(layer(confidence_threshold=0.5), given, dtype=np.float32)
    assert set(built.blobs["y"].data[0, 0, :, 0]) == {1}
    export.verify(built, export.build(built), feeds=[given])


def test_a_threshold_that_shrinks_has_no_onnx_form():
    with pytest.raises(ExportError, match=r"'layer'.*eta 0.8.*no ONNX form"):
        export.build(fed(layer(nms="nms_threshold: 0.9 eta: 0.8"), inputs(), dtype=np.float32))


def test_files_are_not_written_and_it_says_so(caplog, tmp_path):
    fed(layer(save_output_param=f'{{ output_directory: "{tmp_path / "out"}" }}'), inputs())
    assert "none are written" in caplog.text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (layer(share_location=False), r"locations of shape \(2, 96\); want \(2, 288\) for 24 priors"),
        (layer(nms="eta: 1.5"), "eta"),
        (layer(nms="soft_nms: true"), "soft_nms"),
        (layer().replace("num_classes: 3", ""), "num_classes"),
    ],
)
def test_refused(text, message):
    with pytest.raises(LayerError, match=message):
        fed(text, inputs())


def test_enums_may_be_numbers():
    text = 'layer {{ name: "d" type: "DetectionOutput" detection_output_param {{ code_type: {} }} }}'
    message = registry.default().schema.message("NetParameter")
    by_number, by_name = (prototxt.parse(text.format(code), message, "x") for code in (2, "CENTER_SIZE"))
    assert by_number == by_name
