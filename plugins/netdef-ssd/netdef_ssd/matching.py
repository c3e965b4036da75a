"""Who is responsible for which object: ground truth out of its rows, and priors matched with it."""

from dataclasses import dataclass

import numpy as np

from netdef.layer import LayerError
from netdef_ssd.boxes import outside, overlaps

Array = np.ndarray
NOBODY, LEFT_OUT = -1, -2
"""A prior without an object, and one that takes no part."""
TOUCHING = 1e-6
"""Overlaps up to this are none."""


@dataclass
class Truth:
    """The objects of one image."""

    labels: Array
    boxes: Array
    difficult: Array


def truths(rows: Array, images: int, background: int, classes: int, difficult: bool = True) -> dict[int, Truth]:
    """Objects by image, of rows (image, label, instance, xmin, ymin, xmax, ymax, difficult); image -1 is no object.

    Without `difficult` those that are difficult are left out. Raises LayerError for a label that no object can have.
    """
    rows = rows.reshape(-1, 8)
    rows = rows[(rows[:, 0] >= 0) & (rows[:, 0] < images)]
    labels = rows[:, 1].astype(int)
    wrong = (labels == background) | (labels < 0) | (labels >= classes)
    if wrong.any():
        found = labels[np.argmax(wrong)]
        raise LayerError(f"an object has label {found}; want 0 to {classes - 1}, but not {background}, the background")
    if not difficult:
        rows, labels = rows[rows[:, 7] == 0], labels[rows[:, 7] == 0]
    image = rows[:, 0].astype(int)
    return {
        int(i): Truth(labels[image == i], rows[image == i, 3:7], rows[image == i, 7] != 0) for i in np.unique(image)
    }


def match(boxes: Array, objects: Array, threshold: float, per_prediction: bool, inside: bool) -> tuple[Array, Array]:
    """For each of boxes (P, 4) the place of its object in objects (G, 4), or NOBODY or LEFT_OUT, and the overlap.

    First every object takes the box that overlaps it most, the largest overlap first. With per_prediction each other
    box then takes the object it overlaps most, if by the threshold or more. The overlap of a box without an object is
    its largest. With `inside` boxes that cross the image's border are left out.
    """
    found = overlaps(boxes, objects)
    found[found <= TOUCHING] = 0
    index = np.full(len(boxes), NOBODY)
    if inside:
        index[outside(boxes)] = LEFT_OUT
        found[index == LEFT_OUT] = 0
    overlap = found.max(axis=1, initial=0)
    if not len(objects):
        return index, overlap
    rest = found.copy()
    for _ in range(len(objects)):
        i, j = np.unravel_index(np.argmax(rest), rest.shape)
        if rest[i, j] <= 0:
            break
        index[i], overlap[i] = j, rest[i, j]
        rest[i], rest[:, j] = 0, 0
    if per_prediction:
        take = (index == NOBODY) & (overlap >= threshold) & (overlap > 0)
        index[take] = found[take].argmax(axis=1)
    return index, overlap
