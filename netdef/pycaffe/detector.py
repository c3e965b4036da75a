"""caffe.Detector: a classifier of windows in images."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from netdef.errors import NetdefError
from netdef.pycaffe import io
from netdef.pycaffe.classifier import Prepared
from netdef.sources.windows import Window, warp


class Detector(Prepared):
    """Windows are (ymin, xmin, ymax, xmax), resized to the net's input with `context_pad` pixels of what is around.

    What lies outside the image is the mean. The surroundings are cut as WindowData cuts them; Caffe's own Detector
    leaves out their last row and column.
    """

    def __init__(self, model_file: Any, pretrained_file: Any, *, context_pad: int | None = None, **prepare: Any):
        super().__init__(model_file, pretrained_file, **prepare)
        self.context_pad = context_pad or 0

    def detect_windows(self, images_windows: Iterable[tuple[str, Any]]) -> list[dict[str, Any]]:
        """For each window of each (image file, windows): {"window", "prediction", "filename"}."""
        found: list[dict[str, Any]] = []
        crops = []
        for file, windows in images_windows:
            image = io.load_image(file)
            for window in windows:
                crops.append(self.crop(image, window))
                found.append({"window": window, "filename": file})
        for one, scores in zip(found, self.scores(crops) if crops else [], strict=True):
            one["prediction"] = scores
        return found

    def crop(self, im: np.ndarray, window: Any) -> np.ndarray:
        """A window's part of the image (height, width, channels). Raises NetdefError for one outside the image."""
        y1, x1, y2, x2 = (round(float(side)) for side in window)
        if not self.context_pad:
            part = im[y1:y2, x1:x2]
            if not part.size:
                raise NetdefError(f"window {(y1, x1, y2, x2)} has no pixel of an image of {im.shape[0]}x{im.shape[1]}")
            return part
        side = self.blobs[self.inputs[0]].width
        box = Window(0, 0, 1.0, x1, y1, x2 - 1, y2 - 1)
        try:
            part, top, left = warp(im.transpose(2, 0, 1), box, side, self.context_pad, square=False)
        except ValueError:
            inside = f"{im.shape[0]}x{im.shape[1]}"
            raise NetdefError(f"window {(y1, x1, y2, x2)} is not within an image of {inside}") from None
        y = np.empty((side, side, im.shape[2]), np.float32)
        y[...] = self._mean(side)
        y[top : top + part.shape[1], left : left + part.shape[2]] = part.transpose(1, 2, 0)
        return y

    def _mean(self, side: int) -> Any:
        """What becomes 0 in the net: the mean, as an image is before it is prepared."""
        name = self.inputs[0]
        if name not in self.transformer.mean:
            return 0.0
        shape = self.blobs[name].channels, side, side
        return self.transformer.deprocess(name, np.zeros(shape, np.float32)).reshape(side, side, -1)

    def detect_selective_search(self, image_fnames: Iterable[str]) -> list[dict[str, Any]]:
        """Not here: it ran a MATLAB program."""
        raise NetdefError("selective search is a MATLAB program; find windows by other means and use detect_windows")
