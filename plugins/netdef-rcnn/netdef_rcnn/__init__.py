"""Layers of the R-CNN family: Fast and Faster R-CNN, R-FCN with hard example mining, R-C3D, MNC's masks.

SmoothL1Loss, which they share with SSD, comes from netdef-ssd.
"""

from typing import Any

from netdef.layer import Block, hookimpl
from netdef_rcnn import from_onnx
from netdef_rcnn.masks import MaskPooling, MaskResize
from netdef_rcnn.ohem import LOSS, BoxAnnotatorOHEM, SmoothL1LossOHEM, SoftmaxWithLossOHEM
from netdef_rcnn.proposal import Proposal
from netdef_rcnn.psroi_pooling import PSROIPooling
from netdef_rcnn.roi_align import ROIAlign
from netdef_rcnn.roi_pooling import ROIPooling
from netdef_rcnn.roi_warping import ROIWarping
from netdef_rcnn.weighted import WeightedSigmoidCrossEntropyLoss


@hookimpl
def netdef_layers() -> list[type]:
    mining = [BoxAnnotatorOHEM, SoftmaxWithLossOHEM, SmoothL1LossOHEM]
    return [
        ROIPooling,
        ROIAlign,
        PSROIPooling,
        Proposal,
        *mining,
        MaskPooling,
        MaskResize,
        ROIWarping,
        WeightedSigmoidCrossEntropyLoss,
    ]


@hookimpl
def netdef_options() -> list[Block]:
    return [LOSS]


@hookimpl
def netdef_importers() -> dict[str, Any]:
    return from_onnx.IMPORTERS
