"""SSD's layers and options as a plugin: the single-shot detector of Liu et al. 2016, as its Caffe fork has it."""

from netdef.layer import Block, hookimpl
from netdef_ssd.annotated import AnnotatedData
from netdef_ssd.blocks import SOLVER, TRANSFORM
from netdef_ssd.detection_output import DetectionOutput
from netdef_ssd.evaluate import DetectionEvaluate
from netdef_ssd.multibox import MultiBoxLoss
from netdef_ssd.normalize import Normalize
from netdef_ssd.permute import Permute
from netdef_ssd.pixels import PixelDetectionOutput
from netdef_ssd.prior_box import FaceBoxesPriorBox, PriorBox, PriorBoxClustered
from netdef_ssd.refine import RefineDetectionOutput, RefineMultiBoxLoss
from netdef_ssd.smooth_l1 import SmoothL1Loss
from netdef_ssd.video import CLIPS, VideoData

__all__ = ["AnnotatedData", "DetectionEvaluate", "DetectionOutput", "MultiBoxLoss", "Normalize", "Permute"]
__all__ += ["PriorBox", "PriorBoxClustered", "SmoothL1Loss", "VideoData"]


@hookimpl
def netdef_layers() -> list[type]:
    found: list[type] = [Permute, Normalize, PriorBox, PriorBoxClustered, DetectionOutput]
    found += [FaceBoxesPriorBox, PixelDetectionOutput, RefineDetectionOutput, RefineMultiBoxLoss]
    return [*found, SmoothL1Loss, MultiBoxLoss, DetectionEvaluate, AnnotatedData, VideoData]


@hookimpl
def netdef_options() -> list[Block]:
    return [TRANSFORM, CLIPS, SOLVER]
