"""Images with an image of labels each: DenseImageData, and HED's ImageLabelmapData."""

from abc import abstractmethod
from functools import partial
from pathlib import Path

import numpy as np

from netdef.errors import NetdefError, SourceError
from netdef.layer import Blob, Block, Field, LayerError, Shape, Source
from netdef.sources import image
from netdef.sources.lists import beside
from netdef.sources.order import Order

DENSE = Block(
    "dense_image_data_param",
    [
        Field("source", "string", doc="A text file with the paths of an image and of its labels on each line."),
        Field("batch_size", "uint32", doc="Images in a batch."),
        Field("rand_skip", "uint32", default=0, doc="Begin after a drawn number of lines below this."),
        Field("shuffle", "bool", default=False, doc="Draw another order for each epoch."),
        Field("new_height", "uint32", default=0, doc="Resize to this height; labels by the nearest pixel."),
        Field("new_width", "uint32", default=0, doc="Resize to this width."),
        Field("is_color", "bool", default=True, doc="Three channels in BGR; else one."),
        Field("mean_file", "string", doc="Not supported; want transform_param { mean_value }."),
        Field("root_folder", "string", default="", doc="Put in front of every path."),
        Field("mirror", "bool", default=False, doc="Flip half of the images of training, with their labels."),
        Field("crop_width", "uint32", default=0, doc="With crop_height: a part of the image, drawn in training."),
        Field("crop_height", "uint32", default=0, doc="With crop_width: a part of the image, drawn in training."),
        Field("rotate", "bool", default=False, doc="Not supported."),
        Field("one_hot_nclasses", "uint32", default=0, doc="Not supported."),
    ],
)
SKIP = 1 << 62


class ImagePairs(Source):
    """Images (batch, channels, height, width) and their labels pixel by pixel (batch, 1, height, width).

    Both are resized, cropped and mirrored alike: a crop is drawn in TRAIN and central in TEST. transform_param's
    mean_value and scale change the image alone. What is drawn depends on the seed, the layer and the pass.
    """

    tops = 2
    also = ("transform_param",)
    read_of_transform: tuple[str, ...] = ("mean_value", "scale", "mirror")

    @property
    @abstractmethod
    def crop(self) -> tuple[int, int]:
        """Height and width of the part, (0, 0) for all of the image."""

    @property
    def mirrors(self) -> bool:
        return bool(self.layer_param.transform_param.mirror)

    @abstractmethod
    def labels(self, x: np.ndarray) -> np.ndarray:
        """The labels (1, height, width) as the file has them, resized if need be, as the top is to hold them."""

    def setup(self, bottom_shapes: list[Shape]) -> None:
        p, transform = self.param, self.layer_param.transform_param
        others = [f.name for f, _ in transform.ListFields() if f.name not in self.read_of_transform]
        if others:
            want = ", ".join(self.read_of_transform)
            raise LayerError(f"transform_param {{ {others[0]} }} is not supported; want {want}")
        for what, (tall, wide) in (("new", (p.new_height, p.new_width)), ("crop", self.crop)):
            if bool(tall) != bool(wide):
                raise LayerError(f"{what}_height is {tall} and {what}_width {wide}; want both or neither")
        if p.batch_size < 1:
            raise LayerError(f"batch_size is {p.batch_size}; want 1 or more")
        source = self.context.find(p.source)
        self.pairs, self.find = pairs(source), partial(beside, self.context.find, source.parent)
        self.size = len(self.pairs)
        self.order = Order([self.size], p.batch_size, self.key if p.shuffle else None)

    def infer(self, *shapes: Shape) -> list[Shape]:
        if not hasattr(self, "known"):
            x, _ = self.load(0)
            tall, wide = self.crop_size(x)
            self.known = [(self.param.batch_size, x.shape[0], tall, wide), (self.param.batch_size, 1, tall, wide)]
        return self.known

    def declared_shapes(self) -> list[Shape] | None:
        """The tops' shapes as the prototxt says them, for whom the files are elsewhere."""
        p = self.param
        size = self.crop if all(self.crop) else (p.new_height, p.new_width)
        return [(p.batch_size, c, *size) for c in (3 if p.is_color else 1, 1)] if all(size) else None

    def crop_size(self, x: np.ndarray) -> tuple[int, int]:
        tall, wide = self.crop
        if not tall:
            return x.shape[1], x.shape[2]
        if tall > x.shape[1] or wide > x.shape[2]:
            raise LayerError(f"crop {tall}x{wide} is larger than an image of {x.shape[1]}x{x.shape[2]}")
        return tall, wide

    def read(self, name: str, channels: str) -> np.ndarray:
        try:
            return image.decode(self.find(self.param.root_folder + name).read_bytes(), channels)
        except (OSError, NetdefError) as e:
            raise SourceError(f"{self.param.root_folder}{name}: {e}") from None

    def load(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Image and labels of a line, resized."""
        p, (name, label_name) = self.param, self.pairs[row]
        x = self.read(name, image.COLOUR if p.is_color else image.GRAY)
        labels = self.labels(self.read(label_name, image.GRAY))
        if p.new_height:
            x = image.resize(x, p.new_height, p.new_width)
        if labels.shape[1:] != x.shape[1:]:
            raise SourceError(f"{label_name} has {labels.shape[1:]} pixels and its image {name} {x.shape[1:]}")
        return x, labels

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        rng, p = self.rng(), self.param
        skip = self.key(SKIP) % p.rand_skip if p.rand_skip else 0
        rows = np.concatenate([rows for _, rows in self.order.runs(self.passes, skip)])
        for k, row in enumerate(rows):
            x, labels = self.load(int(row))
            if k == 0:
                tall, wide = self.crop_size(x)
                for blob, channels in zip(top, (x.shape[0], 1), strict=True):
                    blob.reshape(p.batch_size, channels, tall, wide)
            if self.crop_size(x) != top[0].shape[2:]:
                raise SourceError(
                    f"{self.pairs[row][0]} has {x.shape[1:]} pixels, others {top[0].shape[2:]}; resize them"
                )
            part = self.part(x, *top[0].shape[2:], rng)
            top[0].data[k], top[1].data[k] = self.scaled(x[part]), labels[part]

    def part(self, x: np.ndarray, tall: int, wide: int, rng: np.random.Generator) -> tuple:
        """The crop, and the flip, as an index of channels, rows and columns."""
        room = x.shape[1] - tall, x.shape[2] - wide
        training = self.phase == 0
        i, j = (int(rng.integers(r + 1)) if training else r // 2 for r in room)
        flip = self.mirrors and training and rng.random() < 0.5
        columns = slice(j, j + wide)
        if flip:
            columns = slice(j + wide - 1, j - 1 if j else None, -1)
        return slice(None), slice(i, i + tall), columns

    def scaled(self, x: np.ndarray) -> np.ndarray:
        transform = self.layer_param.transform_param
        mean = np.array(transform.mean_value, self.dtype)
        if mean.size not in (0, 1, len(x)):
            raise LayerError(f"{mean.size} mean_value for {len(x)} channels; want 1 or {len(x)}")
        return (x - (mean.reshape(-1, 1, 1) if mean.size else 0)) * transform.scale


class DenseImageData(ImagePairs):
    """ImagePairs whose labels are gray images: their values are the classes, and resizing takes the nearest pixel's."""

    type = "DenseImageData"
    options = DENSE

    def setup(self, bottom_shapes: list[Shape]) -> None:
        for name in ("mean_file", "rotate", "one_hot_nclasses"):
            if getattr(self.param, name):
                raise LayerError(f"{name} is not supported")
        super().setup(bottom_shapes)

    @property
    def crop(self) -> tuple[int, int]:
        return self.param.crop_height, self.param.crop_width

    @property
    def mirrors(self) -> bool:
        return bool(self.param.mirror) or super().mirrors

    def labels(self, x: np.ndarray) -> np.ndarray:
        p = self.param
        if not p.new_height:
            return x
        cv2 = image.cv2()
        return cv2.resize(x[0], (p.new_width, p.new_height), interpolation=cv2.INTER_NEAREST)[None]


class ImageLabelmapData(ImagePairs):
    """ImagePairs whose labels are maps of edges: 1 where a gray image is above half of 255, else 0, as HED has them.

    Maps are resized as images are, before that.
    """

    type = "ImageLabelmapData"
    options = "image_data_param"
    read_of_transform = ("mean_value", "scale", "mirror", "crop_size")

    @property
    def crop(self) -> tuple[int, int]:
        size = int(self.layer_param.transform_param.crop_size)
        return size, size

    def labels(self, x: np.ndarray) -> np.ndarray:
        p = self.param
        if p.new_height:
            x = image.resize(x, p.new_height, p.new_width)
        return np.asarray(x > 127.5, np.uint8)


def pairs(path: Path) -> list[tuple[str, str]]:
    """The two paths on each line. Raises SourceError with the line."""
    try:
        lines = path.read_text(errors="surrogateescape").splitlines()
    except OSError as e:
        raise SourceError(f"{path}: {e.strerror or e}") from None
    found = []
    for n, line in enumerate(lines, 1):
        words = line.split()
        if words and len(words) != 2:
            raise SourceError(f"{path}:{n}: '{line.strip()}'; want the paths of an image and of its labels")
        found += [(words[0], words[1])] if words else []
    if not found:
        raise SourceError(f"{path} is empty; want the paths of an image and of its labels on each line")
    return found
