"""Non-maximum suppression: of boxes that overlap, the best one stays."""

import numpy as np

from netdef_ssd.boxes import overlaps

Array = np.ndarray
SMALL = 1e-5
"""The area below which a box is no candidate for a hard example."""


def suppress(boxes: Array, threshold: float, eta: float = 1.0) -> Array:
    """Which of boxes (N, 4), best first, stay: those that overlap none that stays by more than the threshold.

    With eta below 1 the threshold shrinks by it after each box that stays, as long as it is above 0.5.
    """
    kept: list[int] = []
    worst = np.zeros(len(boxes), boxes.dtype)
    for i in range(len(boxes)):
        if worst[i] > threshold:
            continue
        kept.append(i)
        if i + 1 < len(boxes):
            np.maximum(worst[i + 1 :], overlaps(boxes[i : i + 1], boxes[i + 1 :])[0], out=worst[i + 1 :])
        if eta < 1 and threshold > 0.5:
            threshold *= eta
    return np.array(kept, np.intp)


def best(scores: Array, top_k: int) -> Array:
    """The places of the top_k largest scores, the largest first; all where top_k is negative. Ties keep their order."""
    order = np.argsort(-scores, kind="stable")
    return order if top_k < 0 else order[:top_k]
