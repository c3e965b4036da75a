"""Scores with class labels: where the classes lie, which class a label means, what a loss is divided by."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from netdef.layer import LayerError, Shape
from netdef_plugins.axes import canonical

FULL, VALID, BATCH_SIZE, NONE = range(4)


@dataclass(frozen=True)
class Classes:
    """Scores of shape (outer..., classes, inner...), seen as (outer, classes, inner); one label per outer and inner."""

    outer: int
    count: int
    inner: int

    def view(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(self.outer, self.count, self.inner)


def split(shape: Shape, axis: int) -> Classes:
    """The classes along an axis. Raises LayerError for an axis that the shape does not have."""
    axis = canonical(axis, shape)
    return Classes(math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]))


def check(scores: Shape, labels: Shape, axis: int) -> Classes:
    """The classes, after making sure that there is one label for each prediction."""
    classes = split(scores, axis)
    want = classes.outer * classes.inner
    if math.prod(labels) != want:
        raise LayerError(
            f"the labels' shape {labels} has {math.prod(labels)} labels for scores {scores} with classes on axis "
            f"{axis}; want {want}: one for each prediction, a number from 0 to {classes.count - 1}, not one-hot"
        )
    return classes


def same_first_axis(scores: Shape, labels: Shape) -> None:
    """What every loss asks of its two bottoms. Raises LayerError with both shapes."""
    if not scores or not labels or labels[0] != scores[0]:
        want = f"; want ({scores[0]}, ...)" if scores else ""
        raise LayerError(f"the labels' shape {labels} differs from {scores} in the first axis{want}")


class Targets:
    """The labels of one pass as class numbers; a label's fraction is dropped, as in Caffe."""

    def __init__(self, labels: np.ndarray, classes: Classes, ignore: int | None = None):
        """Raises LayerError with value and index for a label that is no class (Caffe reads past the scores' end)."""
        with np.errstate(invalid="ignore"):
            self.index = labels.astype(np.int64).reshape(classes.outer, classes.inner)
        self.kept = None if ignore is None else self.index != ignore
        wrong = (self.index < 0) | (self.index >= classes.count)
        if self.kept is not None:
            wrong &= self.kept
        if wrong.any():
            _refuse(labels, int(np.argmax(wrong)), classes.count, ignore)
        self.classes = classes

    @property
    def valid(self) -> int:
        """How many labels are not ignored."""
        return self.index.size if self.kept is None else int(np.count_nonzero(self.kept))

    def where(self) -> np.ndarray:
        """Flat places, in an array of the scores' size, of every kept label's own class."""
        outer, inner = np.arange(self.classes.outer)[:, None], np.arange(self.classes.inner)
        flat = (outer * self.classes.count + self.index) * self.classes.inner + inner
        return flat.ravel() if self.kept is None else flat[self.kept]

    def clear_ignored(self, dx: np.ndarray) -> None:
        """Zero the gradient where the label is ignored."""
        if self.kept is not None and not self.kept.all():
            outer, inner = np.nonzero(~self.kept)
            self.classes.view(dx)[outer, :, inner] = 0


def _refuse(labels: np.ndarray, flat: int, count: int, ignore: int | None) -> None:
    at = np.unravel_index(flat, labels.shape) if labels.ndim else ()
    place = ", ".join(str(int(i)) for i in at)
    spared = f"ignore_label is {ignore}" if ignore is not None else "loss_param.ignore_label can leave a value out"
    raise LayerError(
        f"label {labels[at]:g} at index ({place}) is no class: there are {count}, so want 0 to {count - 1} ({spared})"
    )


def ignored(param: Any) -> int | None:
    """The label to leave out, or None; `param` is a block with ignore_label."""
    return param.ignore_label if param.HasField("ignore_label") else None


def normalization(loss_param: Any, default: int) -> int:
    """The mode asked for: normalization, else the older normalize (VALID or BATCH_SIZE), else the loss's default."""
    if loss_param.HasField("normalization"):
        return loss_param.normalization
    if loss_param.HasField("normalize"):
        return VALID if loss_param.normalize else BATCH_SIZE
    return default


def normalizer(mode: int, outer: int, inner: int, valid: int) -> float:
    """What the summed loss is divided by; at least 1, so that a batch of ignored labels gives 0 and not NaN.

    Raises LayerError for a mode that a plugin added to the schema for losses of its own.
    """
    by = {FULL: outer * inner, VALID: valid, BATCH_SIZE: outer, NONE: 1}
    if mode not in by:
        raise LayerError("knows no such loss_param.normalization; want FULL, VALID, BATCH_SIZE or NONE")
    return max(1.0, by[mode])
