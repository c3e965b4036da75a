"""Layers of regions go out to ONNX and come back."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from rcnn_nets import RNG

from netdef import export, registry, testing
from netdef.errors import ExportError
from netdef.onnx_import import imported


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
