"""Losses of class scores, one for each prior, with their gradients."""

import numpy as np

Array = np.ndarray
SOFTMAX, LOGISTIC = range(2)


def softmax(scores: Array, label: Array) -> tuple[Array, Array]:
    """-log softmax(scores)[label] of scores (..., C), and its gradient."""
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    p = e / e.sum(axis=-1, keepdims=True)
    own = np.take_along_axis(p, label[..., None], axis=-1)
    losses = -np.log(np.maximum(own, np.finfo(np.float32).tiny))[..., 0]
    np.put_along_axis(p, label[..., None], own - 1, axis=-1)
    return losses, p


def logistic(scores: Array, target: Array) -> tuple[Array, Array]:
    """Cross entropy of the classes' logistic functions, each by itself, summed: (...), and its gradient (..., C)."""
    losses = np.maximum(scores, 0) - scores * target + np.log1p(np.exp(-np.abs(scores)))
    return losses.sum(axis=-1), (np.tanh(scores / 2) + 1) / 2 - target
