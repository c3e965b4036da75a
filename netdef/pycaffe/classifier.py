"""caffe.Classifier: a net that takes images and gives scores."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from netdef.layer import TEST
from netdef.pycaffe import io
from netdef.pycaffe.net import Net


class Prepared(Net):
    """A net for TEST whose first input takes images (height, width, channels), prepared by its `transformer`."""

    def __init__(
        self,
        model_file: Any,
        pretrained_file: Any,
        mean: Any = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ):
        super().__init__(model_file, TEST, weights=pretrained_file)
        name = self.inputs[0]
        self.transformer = io.Transformer({name: self.blobs[name].shape})
        self.transformer.set_transpose(name, (2, 0, 1))
        settings = (("mean", mean), ("input_scale", input_scale), ("raw_scale", raw_scale))
        for what, value in (*settings, ("channel_swap", channel_swap)):
            if value is not None:
                getattr(self.transformer, f"set_{what}")(name, value)

    def scores(self, images: Iterable[np.ndarray]) -> np.ndarray:
        """The first output for each image, (images, ...)."""
        name = self.inputs[0]
        x = np.stack([self.transformer.preprocess(name, image) for image in images])
        return self.forward_all(**{name: x})[self.outputs[0]]  # type: ignore[arg-type]


class Classifier(Prepared):
    """Images are resized to image_dims and cropped to the net's input: at the centre, or ten times."""

    def __init__(self, model_file: Any, pretrained_file: Any, image_dims: Sequence[int] | None = None, **prepare: Any):
        super().__init__(model_file, pretrained_file, **prepare)
        self.crop_dims = np.array(self.blobs[self.inputs[0]].shape[2:])
        self.image_dims = tuple(image_dims if image_dims is not None else self.crop_dims)

    def predict(self, inputs: Sequence[np.ndarray], oversample: bool = True) -> np.ndarray:
        """Scores (images, classes); with oversample the mean over corners, centre and their mirror images."""
        images = [io.resize_image(image, self.image_dims) for image in inputs]
        if oversample:
            scores = self.scores(io.oversample(images, tuple(self.crop_dims)))
            return scores.reshape(len(images), 10, -1).mean(1)
        return self.scores([self._centre(image) for image in images])

    def _centre(self, image: np.ndarray) -> np.ndarray:
        (tall, wide), (top, left) = self.crop_dims, (np.array(image.shape[:2]) - self.crop_dims) // 2
        return image[top : top + tall, left : left + wide]
