"""Layers of OpenPose's Caffe fork: heat maps of several scales merged into one, and the peaks of each map."""

from netdef.layer import hookimpl
from netdef_pose.peaks import Nms
from netdef_pose.resize import ImResize


@hookimpl
def netdef_layers() -> list[type]:
    return [ImResize, Nms]
