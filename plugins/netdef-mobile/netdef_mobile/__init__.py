"""Layers of small and fast nets, from the forks that MobileNet, ShuffleNet, SENet, EfficientNet and YOLO came with."""

from netdef.layer import hookimpl
from netdef_mobile.activation import ReLU6
from netdef_mobile.channels import Reorg, ShuffleChannel
from netdef_mobile.depthwise import ConvolutionDepthwise
from netdef_mobile.gates import Axpy, BroadcastMul
from netdef_mobile.sequence import ContinuationIndicator
from netdef_mobile.yolo import YoloDetectionOutput, Yolov3DetectionOutput
from netdef_mobile.yolo_loss import RegionLoss, Yolov3


@hookimpl
def netdef_layers() -> list[type]:
    yolo = [YoloDetectionOutput, Yolov3DetectionOutput, RegionLoss, Yolov3]
    return [ConvolutionDepthwise, ShuffleChannel, Reorg, Axpy, BroadcastMul, ReLU6, ContinuationIndicator, *yolo]
