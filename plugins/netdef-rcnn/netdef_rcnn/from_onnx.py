"""What `netdef import` makes of ONNX operations on regions."""

from typing import Any

from netdef.errors import ExportError


def max_roi_pool(node: Any) -> str:
    if len(node.shape(node.inputs[0])) != 4:
        raise ExportError(f"maps of shape {node.shape(node.inputs[0])}; want images x channels x height x width")
    height, width = node.attributes["pooled_shape"]
    options = {"pooled_h": height, "pooled_w": width, "spatial_scale": node.attributes.get("spatial_scale", 1.0)}
    return str(node.layer("ROIPooling", node.inputs, roi_pooling_param=options))


IMPORTERS = {"MaxRoiPool": max_roi_pool}
