"""Convolution of each channel by itself."""

from collections.abc import Sequence

from netdef_plugins.convolution import Convolution
from netdef_plugins.filters import geometry

from netdef.layer import LayerError, Shape


class ConvolutionDepthwise(Convolution):
    """Convolution with as many groups and outputs as the bottom has channels: w[channels, 1, ...].

    group and num_output may be left out, as the forks' own layer reads neither. One that says another number is
    refused, for the weights would not fit. DepthwiseConvolution without a group is depthwise here as its name says:
    the fork's CPU code is Convolution and would make one group of it, its GPU code one for each channel.
    """

    type = "ConvolutionDepthwise"
    aliases = ("DepthwiseConvolution",)
    bottoms = 1
    tops = 1

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        axis, _ = geometry(self.param, bottom_shapes[0])
        channels = bottom_shapes[0][axis]
        param = type(self.param)()
        param.CopyFrom(self.param)
        for what in ("num_output", "group"):
            if param.HasField(what) and getattr(param, what) != channels:
                raise LayerError(
                    f"{what} is {getattr(param, what)}, but the bottom has {channels} channels; want {channels} or no "
                    f"{what}, or type Convolution for another number"
                )
            setattr(param, what, channels)
        self.param = param
        super().setup(bottom_shapes)
