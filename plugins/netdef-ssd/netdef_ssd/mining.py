"""Hard examples: which of the many priors without an object count in a loss."""

from typing import Any

import numpy as np

from netdef_ssd.boxes import areas
from netdef_ssd.matching import NOBODY
from netdef_ssd.suppress import SMALL, best, suppress

Array = np.ndarray
NONE, MAX_NEGATIVE, HARD_EXAMPLE = range(3)


def mine(param: Any, index: Array, overlap: Array, losses: Array, boxes: Array) -> Array:
    """Whether each prior of an image is picked, from its match, its loss and its box.

    MAX_NEGATIVE: of the priors without an object that overlap none by neg_overlap, the neg_pos_ratio times as many with
    the largest losses as there are priors with one. HARD_EXAMPLE: of all priors the sample_size with the largest.
    With nms_param only those that overlap none with a larger loss.
    """
    if param.mining_type == MAX_NEGATIVE:
        candidates = np.flatnonzero((index == NOBODY) & (overlap < param.neg_overlap))
        count = int(np.float32(np.count_nonzero(index > NOBODY)) * np.float32(param.neg_pos_ratio))
    else:
        candidates, count = np.arange(len(index)), param.sample_size
    if param.HasField("nms_param") and param.nms_param.nms_threshold > 0:
        candidates = candidates[_apart(param.nms_param, losses[candidates], boxes[candidates])]
    else:
        candidates = candidates[best(losses[candidates], -1)]
    picked = np.zeros(len(index), bool)
    picked[candidates[:count]] = True
    return picked


def _apart(nms: Any, losses: Array, boxes: Array) -> Array:
    order = best(losses, nms.top_k if nms.HasField("top_k") else -1)
    order = order[areas(boxes[order]) >= SMALL]
    return order[suppress(boxes[order], nms.nms_threshold)]
