"""Layers of the segmentation forks: DeepLab's and PSPNet's Interp, SegNet's and PSPNet's BN, Upsample and their kin."""

from typing import Any

from netdef.layer import hookimpl
from netdef_seg import from_onnx
from netdef_seg.accuracy import SegAccuracy
from netdef_seg.bn import MovingBN, SegNetBN
from netdef_seg.dense_data import DenseImageData, ImageLabelmapData
from netdef_seg.interp import Interp, WholeInterp
from netdef_seg.upsample import NearestUpsample, Unpool


@hookimpl
def netdef_layers() -> list[type]:
    return [
        Interp,
        WholeInterp,
        SegNetBN,
        MovingBN,
        Unpool,
        NearestUpsample,
        DenseImageData,
        ImageLabelmapData,
        SegAccuracy,
    ]


@hookimpl
def netdef_importers() -> dict[str, Any]:
    return from_onnx.IMPORTERS
