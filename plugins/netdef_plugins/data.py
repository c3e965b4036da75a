"""Data that needs no file: inputs that the user fills, made-up data, arrays in memory."""

import warnings

import numpy as np

from netdef.layer import Blob, LayerError, Shape, Source, hookimpl


class Input(Source):
    """Whatever the user puts into its tops: net.blobs[name].data[...] = x.

    One shape serves all tops, or there is one for each; without any, reshape the blobs before the first pass.
    """

    type = "Input"
    role = "input"
    tops = (1, None)
    options = "input_param"

    def infer(self, *shapes: Shape) -> list[Shape]:
        tops = len(self.layer_param.top)
        given = [tuple(shape.dim) for shape in self.param.shape] or [()]
        return each(given, tops, "shape")

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        pass


class DummyData(Source):
    """Each top filled by its filler: a constant once, so that what the user writes there stays; others at every pass.

    Random fillers give other numbers at each pass, the same ones whenever the seed and the pass are the same.
    """

    type = "DummyData"
    tops = (1, None)
    options = "dummy_data_param"

    def setup(self, bottom_shapes: list[Shape]) -> None:
        tops = len(self.layer_param.top)
        default = type(self.param)().data_filler.add()
        self.data_fillers = each(list(self.param.data_filler) or [default], tops, "data_filler")
        self.filled: dict[int, Shape] = {}

    def infer(self, *shapes: Shape) -> list[Shape]:
        tops = len(self.layer_param.top)
        axes = [self.param.num, self.param.channels, self.param.height, self.param.width]
        if not any(map(len, axes)):
            return each([tuple(shape.dim) for shape in self.param.shape], tops, "shape")
        if self.param.shape:
            raise LayerError("has both shape and the older num, channels, height, width; want one of the two")
        names = ("num", "channels", "height", "width")
        sizes = [each(list(axis), tops, name) for axis, name in zip(axes, names, strict=True)]
        return list(zip(*sizes, strict=True))

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        due = [i for i, blob in enumerate(top) if self._is_due(i, blob)]
        rng = self.rng() if due else None  # to make one takes longer than many a layer
        for i in due:
            self.context.filler(top[i].data, self.data_fillers[i], rng)
        self.filled = {i: blob.shape for i, blob in enumerate(top)}

    def _is_due(self, i: int, blob: Blob) -> bool:
        """A constant at the first pass, unless the user was there before; and after the user has reshaped the blob."""
        if self.data_fillers[i].type != "constant":
            return True
        return self.filled[i] != blob.shape if i in self.filled else not blob.data.any()


class MemoryData(Source):
    """Arrays set from Python, batch after batch and round again: net.layers[i].set_input_arrays(data, labels).

    transform_param is not applied to arrays, as in Caffe; a warning says so.
    """

    type = "MemoryData"
    tops = 2
    options = "memory_data_param"

    def setup(self, bottom_shapes: list[Shape]) -> None:
        if min(self._shape()) < 1:
            raise LayerError(f"batch_size, channels, height and width are {self._shape()}; want each to be 1 or more")
        self.data: np.ndarray | None = None
        self.labels: np.ndarray | None = None
        self.start = 0

    def _shape(self) -> Shape:
        return (self.param.batch_size, self.param.channels, self.param.height, self.param.width)

    def infer(self, *shapes: Shape) -> list[Shape]:
        return [self._shape(), (self.param.batch_size,)]

    @property
    def size(self) -> int:
        """Records in an epoch; 0 before arrays are set."""
        return 0 if self.data is None else len(self.data)

    def set_input_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        """data (N, channels, height, width) and N labels, N a multiple of batch_size; kept, not copied.

        The next pass begins with the first record. Raises LayerError with the shapes that would fit.
        """
        _, *record = self._shape()
        data, labels = np.asarray(data), np.asarray(labels)
        n = len(data) if data.ndim else 0
        if data.shape != (n, *record) or labels.size != n:
            want = ", ".join(map(str, record))
            raise LayerError(f"arrays of shapes {data.shape} and {labels.shape}; want (N, {want}) and N labels")
        if n == 0 or n % self.param.batch_size:
            raise LayerError(f"{n} records; want a multiple of batch_size {self.param.batch_size}")
        if self.layer_param.HasField("transform_param"):
            warnings.warn(f"layer '{self.name}': transform_param is not applied to arrays", stacklevel=2)
        self.data, self.labels, self.start = data, labels.reshape(n), self.passes

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        if self.data is None or self.labels is None:
            raise LayerError("has no data yet; give it some with set_input_arrays(data, labels)")
        batch = self.param.batch_size
        first = (self.passes - self.start) * batch % len(self.data)
        top[0].data[...] = self.data[first : first + batch]
        top[1].data[...] = self.labels[first : first + batch]


def each(given: list, tops: int, what: str) -> list:
    """One item per top from one for all or one for each. Raises LayerError for any other number."""
    if len(given) not in (1, tops):
        raise LayerError(f"has {len(given)} {what} for {tops} tops; want 1 for all, or {tops}")
    return given * tops if len(given) == 1 else given


@hookimpl
def netdef_layers() -> list[type]:
    return [Input, DummyData, MemoryData]
