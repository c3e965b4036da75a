"""caffe.io: images in and out of nets' shapes, and arrays in and out of Caffe's messages."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from netdef.errors import NetdefError
from netdef.pycaffe.proto import caffe_pb2

Array = np.ndarray


def load_image(filename: str, color: bool = True) -> Array:
    """Height x width x 3 in RGB order (x 1 without color), float32 from 0 to 1."""
    cv2 = _cv2()
    image = cv2.imread(str(filename), cv2.IMREAD_COLOR if color else cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise NetdefError(f"cannot read {filename} as an image")
    image = image[:, :, ::-1] if color else image[:, :, np.newaxis]
    return image.astype(np.float32) / 255


def resize_image(im: Array, new_dims: Sequence[int], interp_order: int = 1) -> Array:
    """Height x width x channels to other (height, width), by nearest (0), linear (1) or cubic (3) interpolation."""
    cv2 = _cv2()
    how = {0: cv2.INTER_NEAREST, 1: cv2.INTER_LINEAR, 3: cv2.INTER_CUBIC}
    if interp_order not in how:
        raise ValueError(f"interp_order {interp_order}; want one of {', '.join(map(str, how))}")
    size = int(new_dims[1]), int(new_dims[0])
    planes = [
        cv2.resize(im[:, :, c].astype(np.float32), size, interpolation=how[interp_order]) for c in range(im.shape[2])
    ]
    return np.stack(planes, axis=2)


def oversample(images: Sequence[Array], crop_dims: Sequence[int]) -> Array:
    """Ten crops of each image: the corners, the centre, and their mirror images."""
    tall, wide = (int(d) for d in crop_dims)
    crops = []
    for im in images:
        h, w = im.shape[0] - tall, im.shape[1] - wide
        if h < 0 or w < 0:
            raise ValueError(f"crop {tall}x{wide} is larger than an image of {im.shape[0]}x{im.shape[1]}")
        corners = [(i, j) for i in (0, h) for j in (0, w)] + [(h // 2, w // 2)]
        five = [im[i : i + tall, j : j + wide] for i, j in corners]
        crops += five + [crop[:, ::-1] for crop in five]
    return np.stack(crops).astype(np.float32)


class Transformer:
    """Turns an image (height, width, channels) into what an input blob takes, by the steps that have been set.

    In this order: resize, transpose, swap channels, times raw_scale, minus mean, times input_scale.
    """

    def __init__(self, inputs: dict[str, Sequence[int]]):
        """`inputs` maps blob names to shapes (number, channels, height, width)."""
        self.inputs = {name: tuple(shape) for name, shape in inputs.items()}
        self.transpose: dict[str, Sequence[int]] = {}
        self.channel_swap: dict[str, Sequence[int]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, Array] = {}
        self.input_scale: dict[str, float] = {}

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """The order of axes, (2, 0, 1) for an image loaded with its channels last."""
        if len(order) != len(self._shape(in_)) - 1:
            raise ValueError(f"transpose {tuple(order)} for input '{in_}' of shape {self.inputs[in_]}")
        self.transpose[in_] = order

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """The order of channels, (2, 1, 0) from RGB to BGR."""
        if len(order) != self._shape(in_)[1]:
            raise ValueError(f"channel swap {tuple(order)} for input '{in_}' with {self.inputs[in_][1]} channels")
        self.channel_swap[in_] = order

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """A factor before the mean is taken off, 255 for an image from 0 to 1."""
        self._shape(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: Array) -> None:
        """One value a channel, or a whole image (channels, height, width), resized where it has to be."""
        shape = self._shape(in_)
        if mean.ndim == 1:
            if mean.shape[0] != shape[1]:
                raise ValueError(f"{mean.shape[0]} mean values for {shape[1]} channels")
            mean = mean[:, np.newaxis, np.newaxis]
        else:
            mean = mean[np.newaxis] if mean.ndim == 2 else mean
            if mean.ndim != 3 or mean.shape[0] not in (1, shape[1]):
                raise ValueError(f"a mean of shape {mean.shape} does not fit input '{in_}' of shape {shape}")
            if mean.shape[1:] != tuple(shape[2:]):
                mean = resize_image(mean.transpose(1, 2, 0), shape[2:]).transpose(2, 0, 1)
        self.mean[in_] = mean

    def set_input_scale(self, in_: str, scale: float) -> None:
        """A factor after the mean is taken off."""
        self._shape(in_)
        self.input_scale[in_] = scale

    def preprocess(self, in_: str, data: Array) -> Array:
        """An image as the input blob wants it, without the batch axis."""
        shape = self._shape(in_)[2:]
        x = data.astype(np.float32, copy=False)
        if x.shape[:2] != tuple(shape):
            x = resize_image(x, shape)
        if in_ in self.transpose:
            x = x.transpose(self.transpose[in_])
        if in_ in self.channel_swap:
            x = x[self.channel_swap[in_], :, :]
        if in_ in self.raw_scale:
            x = x * np.float32(self.raw_scale[in_])
        if in_ in self.mean:
            x = x - self.mean[in_].astype(np.float32)
        if in_ in self.input_scale:
            x = x * np.float32(self.input_scale[in_])
        return x

    def deprocess(self, in_: str, data: Array) -> Array:
        """The image that preprocess would have turned into this, but for the resizing."""
        self._shape(in_)
        x = data.copy().squeeze()
        if in_ in self.input_scale:
            x = x / self.input_scale[in_]
        if in_ in self.mean:
            x = x + self.mean[in_]
        if in_ in self.raw_scale:
            x = x / self.raw_scale[in_]
        if in_ in self.channel_swap:
            x = x[np.argsort(self.channel_swap[in_]), :, :]
        if in_ in self.transpose:
            x = x.transpose(np.argsort(self.transpose[in_]))
        return x

    def _shape(self, in_: str) -> tuple[int, ...]:
        if in_ not in self.inputs:
            raise ValueError(f"'{in_}' is not one of the net's inputs: {', '.join(self.inputs)}")
        return self.inputs[in_]


def blobproto_to_array(blob: Any, return_diff: bool = False) -> Array:
    """The array in a BlobProto, such as a mean file read with caffe_pb2.BlobProto."""
    legacy = any(blob.HasField(f) for f in ("num", "channels", "height", "width"))
    shape = (blob.num, blob.channels, blob.height, blob.width) if legacy else tuple(blob.shape.dim)
    return np.array(blob.diff if return_diff else blob.data, np.float32).reshape(shape)


def array_to_blobproto(arr: Array, diff: Array | None = None) -> Any:
    """A BlobProto that holds an array."""
    blob = caffe_pb2.BlobProto()
    blob.shape.dim.extend(arr.shape)
    blob.data.extend(arr.astype(float).flat)
    if diff is not None:
        blob.diff.extend(diff.astype(float).flat)
    return blob


def array_to_datum(arr: Array, label: int | None = None) -> Any:
    """A Datum of channels x height x width; uint8 as bytes, all else as floats."""
    if arr.ndim != 3:
        raise ValueError(f"a Datum holds channels x height x width, got shape {arr.shape}")
    datum = caffe_pb2.Datum()
    datum.channels, datum.height, datum.width = arr.shape
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(arr.astype(float).flat)
    if label is not None:
        datum.label = label
    return datum


def arraylist_to_blobprotovector_str(arraylist: Sequence[Array]) -> bytes:
    """Arrays as the bytes of a BlobProtoVector."""
    return caffe_pb2.BlobProtoVector(blobs=[array_to_blobproto(arr) for arr in arraylist]).SerializeToString()


def blobprotovector_str_to_arraylist(text: bytes) -> list[Array]:
    """The arrays in the bytes of a BlobProtoVector."""
    return [blobproto_to_array(blob) for blob in caffe_pb2.BlobProtoVector.FromString(text).blobs]


def datum_to_array(datum: Any) -> Array:
    """The array in a Datum that is not encoded."""
    shape = datum.channels, datum.height, datum.width
    if len(datum.data):
        return np.frombuffer(datum.data, np.uint8).reshape(shape)
    return np.array(datum.float_data).astype(float).reshape(shape)


def _cv2() -> Any:
    try:
        import cv2
    except ImportError:
        raise NetdefError('images need OpenCV: pip install "netdef-nn[images]"') from None
    return cv2
