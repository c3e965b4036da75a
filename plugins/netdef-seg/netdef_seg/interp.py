"""Interp: bilinear resizing whose corners stay corners."""

from typing import Any

import numpy as np

from netdef.layer import Blob, Block, Enum, Field, LayerError, ParameterFree, Shape

Array = np.ndarray
INTERP = Block(
    "interp_param",
    [
        Field("height", "int32", default=0, doc="The top's height; with width."),
        Field("width", "int32", default=0, doc="The top's width; with height."),
        Field("zoom_factor", "int32", default=1, doc="size + (size - 1) * (zoom_factor - 1), after shrinking."),
        Field("shrink_factor", "int32", default=1, doc="(size - 1) / shrink_factor + 1, rounded down."),
        Field("pad_beg", "int32", default=0, doc="0 or less: so many rows and columns are cut off at the start."),
        Field("pad_end", "int32", default=0, doc="0 or less: so many rows and columns are cut off at the end."),
        Field("mode", Enum("Mode", ("LINEAR", "NEAREST"), first=1), default="LINEAR", doc="Only LINEAR is known here."),
    ],
)


def ramp(size: int, out: int, dtype) -> Array:
    """The matrix (out, size) of linear interpolation that leaves the ends where they are."""
    m = np.zeros((out, size), dtype)
    at = np.arange(out) * ((size - 1) / (out - 1) if out > 1 else 0.0)
    low = np.minimum(at.astype(int), size - 1)
    part = at - low
    rows = np.arange(out)
    np.add.at(m, (rows, low), 1 - part)
    np.add.at(m, (rows, np.minimum(low + 1, size - 1)), part)
    return m


class Interp(ParameterFree):
    """y = A x B^T for each plane: linear interpolation in rows and columns, first and last pixel kept (align corners).

    The size is said by one of: height and width; zoom_factor and shrink_factor, each alone or shrinking first; or a
    second bottom, whose height and width are taken. pad_beg and pad_end, 0 or less, cut the image first.
    """

    type = "Interp"
    bottoms = (1, 2)
    options = INTERP
    reads = ()
    no_gradient = (1,)

    def setup(self, bottom_shapes: list[Shape]) -> None:
        p = self.param
        if p.pad_beg > 0 or p.pad_end > 0:
            raise LayerError(f"pad_beg is {p.pad_beg} and pad_end {p.pad_end}; want 0 or less: they cut, not add")
        if p.mode != 1:
            raise LayerError("mode NEAREST is not supported; want LINEAR")
        if bool(p.height) != bool(p.width):
            raise LayerError(f"height is {p.height} and width {p.width}; want both or neither")
        factors = p.HasField("zoom_factor") or p.HasField("shrink_factor")
        if len(bottom_shapes) == 1 and not (factors or p.height):
            raise LayerError("no size; want height and width, zoom_factor, shrink_factor or a second bottom")
        if factors and min(p.zoom_factor, p.shrink_factor) < 1:
            raise LayerError(f"zoom_factor is {p.zoom_factor} and shrink_factor {p.shrink_factor}; want 1 or more")

    def resized(self, size: int, given: int) -> int:
        """One axis of the top, from the bottom's after the cut."""
        p = self.param
        if not (p.HasField("zoom_factor") or p.HasField("shrink_factor")):
            return given
        return self.zoomed((size - 1) // p.shrink_factor + 1)

    def zoomed(self, size: int) -> int:
        """A shrunk axis, as zoom_factor enlarges it."""
        return size + (size - 1) * (int(self.param.zoom_factor) - 1)

    def infer(self, *shapes: Shape) -> list[Shape]:
        if len(shapes[0]) != 4:
            raise LayerError(f"the bottom's shape is {shapes[0]}; want (number, channels, height, width)")
        cut = -self.param.pad_beg - self.param.pad_end
        if min(shapes[0][2:]) - cut < 1:
            raise LayerError(f"cutting {cut} rows and columns leaves nothing of an image of {shapes[0][2:]}")
        return [self.sizes(*shapes)]

    def sizes(self, x: Shape, like: Shape = ()) -> Shape:
        """The top's shape, by arithmetic alone."""
        p, cut = self.param, -self.param.pad_beg - self.param.pad_end
        if like:
            return (*x[:2], *like[2:])
        return (*x[:2], self.resized(x[2] - cut, p.height), self.resized(x[3] - cut, p.width))

    def kept(self, x: Array) -> Array:
        """The image without what the pads cut off."""
        first, last = -self.param.pad_beg, self.param.pad_end
        return x[:, :, first : x.shape[2] + last, first : x.shape[3] + last]

    def matrices(self, x: Array, y: Array) -> tuple[Array, Array]:
        return ramp(x.shape[2], y.shape[2], x.dtype), ramp(x.shape[3], y.shape[3], x.dtype)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x, y = self.kept(bottom[0].data), top[0].data
        a, b = self.matrices(x, y)
        np.matmul(np.matmul(a, x), b.T, out=y)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if not propagate_down[0]:
            return
        dy = top[0].diff
        bottom[0].diff[...] = 0
        dx = self.kept(bottom[0].diff)
        a, b = self.matrices(dx, dy)
        dx[...] = np.matmul(np.matmul(a.T, dy), b)

    def to_onnx(self, graph, inputs):
        x, shapes = inputs[0], [graph.sizes(name) for name in inputs]
        if self.param.pad_beg or self.param.pad_end:
            x = graph.cut(x, (2, 3), -self.param.pad_beg, self.param.pad_end or None)
        how = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
        return [graph.op("Resize", [x, None, None, graph.joined(self.sizes(*shapes))], **how)]


class WholeInterp(Interp):
    """Interp whose zoom_factor multiplies the size itself: size * zoom_factor, as OpenVINO's nets mean it.

    Their prototxts have no option that says so: choose it with --prefer Interp=netdef-seg:seg.WholeInterp.
    """

    @classmethod
    def claims(cls, layer_param: Any) -> bool:
        return False

    def zoomed(self, size: int) -> int:
        return size * int(self.param.zoom_factor)
