"""Boxes as rows (xmin, ymin, xmax, ymax), in parts of the image's width and height: sizes, overlaps, codes."""

import numpy as np

from netdef.layer import LayerError
from netdef_ssd.blocks import CENTER_SIZE, CORNER, CORNER_SIZE

Array = np.ndarray


def areas(boxes: Array) -> Array:
    """width * height of boxes (..., 4); 0 where a box is turned inside out."""
    width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    return np.where((width < 0) | (height < 0), 0, width * height)


def overlaps(a: Array, b: Array) -> Array:
    """Intersection over union of every box of a (N, 4) with every one of b (M, 4): (N, M).

    0 where two boxes share no area, boxes without any included.
    """
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    shared = np.where((sides > 0).all(axis=-1), sides.prod(axis=-1), 0)
    union = areas(a)[:, None] + areas(b)[None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)


def coverage(a: Array, b: Array) -> Array:
    """The part of each box of a (N, 4) that lies in the box b (4,): (N,)."""
    sides = np.minimum(a[:, 2:], b[2:]) - np.maximum(a[:, :2], b[:2])
    shared = np.where((sides > 0).all(axis=-1), sides.prod(axis=-1), 0)
    return np.divide(shared, areas(a), out=np.zeros_like(shared), where=shared > 0)


def clipped(boxes: Array) -> Array:
    """The part of each box that lies within the image."""
    return np.clip(boxes, 0, 1)


def outside(boxes: Array) -> Array:
    """Whether a box crosses the image's border."""
    return ((boxes < 0) | (boxes > 1)).any(axis=-1)


def decode(loc: Array, priors: Array, variances: Array | None, code: int) -> Array:
    """Predictions (..., P, 4) for priors (P, 4) as boxes. `variances` (P, 4) is None where the target holds them.

    CORNER: prior + v * loc. CORNER_SIZE: the same in units of the prior's sides. CENTER_SIZE: the centre moves by
    v * loc in those units, and the sides are multiplied by exp(v * loc).
    """
    loc = loc if variances is None else loc * variances
    if code == CORNER:
        return priors + loc
    sides = _sides(priors)
    if code == CORNER_SIZE:
        return priors + loc * np.tile(sides, 2)
    centre = (priors[:, :2] + priors[:, 2:]) / 2 + loc[..., :2] * sides
    with np.errstate(over="ignore"):
        half = np.exp(loc[..., 2:]) * sides / 2
    return np.concatenate([centre - half, centre + half], axis=-1)


def encode(boxes: Array, priors: Array, variances: Array | None, code: int) -> Array:
    """What decode would have to be given for boxes (N, 4), one for each prior (N, 4).

    Raises LayerError for a box without width or height, which has no CENTER_SIZE code.
    """
    if code == CORNER:
        loc = boxes - priors
    elif code == CORNER_SIZE:
        loc = (boxes - priors) / np.tile(_sides(priors), 2)
    else:
        sides = _sides(priors)
        moved = ((boxes[:, :2] + boxes[:, 2:]) - (priors[:, :2] + priors[:, 2:])) / 2 / sides
        loc = np.concatenate([moved, np.log(_sides(boxes) / sides)], axis=1)
    return loc if variances is None else loc / variances


def _sides(boxes: Array) -> Array:
    sides = boxes[:, 2:] - boxes[:, :2]
    if sides.size and sides.min() <= 0:
        bad = boxes[np.argmin(sides.min(axis=1))]
        raise LayerError(f"box {bad.tolist()} has no area; want xmin < xmax and ymin < ymax")
    return sides


def check_code(code: int) -> int:
    """Raises LayerError for a code_type nobody knows."""
    if code not in (CORNER, CENTER_SIZE, CORNER_SIZE):
        raise LayerError(f"code_type is {code}; want CORNER, CENTER_SIZE or CORNER_SIZE")
    return code
