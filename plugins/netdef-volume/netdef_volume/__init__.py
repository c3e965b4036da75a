"""Nets over volumes, as forks for video and for medical images have them: windows with a size for each axis, crops."""

from netdef.layer import Block, hookimpl
from netdef_volume.data import CROPS, CropHDF5Data
from netdef_volume.pooling import PoolingND, VolumePooling


@hookimpl
def netdef_layers() -> list[type]:
    return [VolumePooling, PoolingND, CropHDF5Data]


@hookimpl
def netdef_options() -> list[Block]:
    return [CROPS]
