"""WindowData: windows cut from images, for detection by classification."""

from functools import partial

from netdef.layer import Block, LayerError, Shape, hookimpl
from netdef.sources.lists import beside
from netdef.sources.prefetch import workers
from netdef.sources.windows import Sampling, Windows, read_windows
from netdef_plugins.stream import SKIP_BAD, Stream, batch_size, source, transformer


class WindowData(Stream):
    """Windows of images, each made crop_size x crop_size, and their labels, background being 0.

    A batch has batch_size * fg_fraction foreground windows, which overlap an object by fg_threshold or more, behind
    the background windows, which overlap all by less than bg_threshold; each is drawn at random from all of its kind.
    Around a window come context_pad pixels of its surroundings; what lies outside the image is 0, which is the mean.
    With `skip_bad`, the next of its kind comes in place of a window that cannot be read.
    """

    type = "WindowData"
    tops = 2
    options = "window_data_param"
    also = ("transform_param",)

    def setup(self, bottom_shapes: list[Shape]) -> None:
        param, batch = self.param, batch_size(self)
        transform = transformer(self)
        if not transform.crop:
            raise LayerError("has no crop_size; want transform_param { crop_size: SIDE }, the side of a window")
        if param.crop_mode not in ("warp", "square"):
            raise LayerError(f"crop_mode is '{param.crop_mode}'; want warp or square")
        if not 0 <= param.fg_fraction <= 1:
            raise LayerError(f"fg_fraction is {param.fg_fraction:g}; want 0 to 1")
        if 2 * param.context_pad >= transform.crop:
            raise LayerError(f"context_pad {param.context_pad} leaves nothing of crop_size {transform.crop}")
        if transform.augment.any:
            raise LayerError("WindowData does not know the random_ options of transform_param")
        path = source(self, param.source, "want a text file of images with their windows")
        sampling = Sampling(
            batch,
            int(batch * param.fg_fraction),
            param.fg_threshold,
            param.bg_threshold,
            param.context_pad,
            param.crop_mode == "square",
        )
        find = partial(beside, self.context.find, path.parent)
        images, rows = read_windows(path, param.root_folder)
        windows = Windows(
            images, rows, sampling, transform, self.keys, self.dtype, find, param.cache_images, param.skip_bad
        )
        self.size = len(rows)
        self.shapes = [(batch, 3, transform.crop, transform.crop), (batch,)]
        self.stream(windows.read, workers())

    def infer(self, *shapes: Shape) -> list[Shape]:
        return self.shapes

    def declared_shapes(self) -> list[Shape] | None:
        crop, batch = self.layer_param.transform_param.crop_size, self.param.batch_size
        return [(batch, 3, crop, crop), (batch,)] if crop else None


@hookimpl
def netdef_options() -> list[Block]:
    return [Block("window_data_param", [SKIP_BAD])]


@hookimpl
def netdef_layers() -> list[type]:
    return [WindowData]
