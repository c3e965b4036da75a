"""Pooling whose windows have a size of their own along each axis."""

from typing import Any

from netdef_plugins.pooling import Pooling

from netdef.layer import Block, Enum, Field

SEVERAL = ("KERNEL_SIZE", "STRIDE", "PAD")  # where the schema keeps what is given more than once
EACH = [
    Field("kernel_size", "uint32", repeated=True, doc="The window's size: once, or once for each axis."),
    Field("stride", "uint32", repeated=True, doc="The distance of windows: once, or once for each axis; 1."),
    Field("pad", "uint32", repeated=True, doc="Pixels added at both ends: once, or once for each axis; 0."),
]


class VolumePooling(Pooling):
    """Pooling, with a size for each spatial axis."""

    options = Block("pooling_param", [*EACH, Field("ceil_mode", "bool", True, doc="Sizes are rounded up.")])

    @classmethod
    def claims(cls, layer_param: Any) -> bool:
        """Where a size is given more than once; all else is Caffe's own Pooling."""
        return any(field.name in SEVERAL for field, _ in layer_param.pooling_param.ListFields())


class PoolingND(Pooling):
    """The same by a block of its own: pooling_nd_param, as 3D-Caffe has it. MAX and AVE, sizes rounded up."""

    type = "PoolingND"
    options = Block(
        "pooling_nd_param",
        [Field("pool", Enum("PoolMethod", ("MAX", "AVE")), "MAX", doc="What becomes of a window."), *EACH],
        message="PoolingNDParameter",
        doc="Windows over volumes.",
    )
    whole = False
    floor = False
