"""What `netdef import` makes of ONNX operations on regions."""

from typing import Any

from netdef_plugins.from_onnx.forms import places, reshaped

from netdef.errors import ExportError


def max_roi_pool(node: Any) -> str:
    if len(node.shape(node.inputs[0])) != 4:
        raise ExportError(f"maps of shape {node.shape(node.inputs[0])}; want images x channels x height x width")
    height, width = node.attributes["pooled_shape"]
    options = {"pooled_h": height, "pooled_w": width, "spatial_scale": node.attributes.get("spatial_scale", 1.0)}
    return str(node.layer("ROIPooling", node.inputs, roi_pooling_param=options))


def roi_align(node: Any) -> str:
    """ONNX has the number of the image and the corners apart."""
    x, corners, image = node.inputs
    how, places_of = node.attributes, "coordinate_transformation_mode"
    own = how.get("mode", b"avg"), how.get(places_of, b"half_pixel"), how.get("sampling_ratio", 0)
    if own != (b"avg", b"output_half_pixel", 0):
        raise ExportError(f"{', '.join(map(_said, own))}; a ROIAlign has avg, output_half_pixel, 0")
    if node.is_constant(image):
        image = node.made_constant(node.constant(image).reshape(-1, 1))
    elif found := places(node, image):
        image = reshaped(node, found, (*node.shape(found), 1))
    else:
        raise ExportError("the images of the regions are neither constant nor a value made whole numbers")
    rois = node.layer("Concat", [image, corners])
    options = {"pooled_h": how.get("output_height", 1), "pooled_w": how.get("output_width", 1)}
    options |= {"spatial_scale": how.get("spatial_scale", 1.0)}
    return str(node.layer("ROIAlign", [x, rois], roi_align_param=options))


def _said(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


IMPORTERS = {"RoiAlign": roi_align, "MaxRoiPool": max_roi_pool}
