"""Products of a batch with a matrix: by kernels where those are quicker, else by BLAS, shared among the threads."""

import math

import numpy as np

from . import inner, threads

# Elements of a product that is added to a gradient: few enough to stay in cache between the two.
BLOCK = 1 << 20
# Multiply-adds of a product that is not worth a second thread.
SMALL = 1 << 20


def multiply(x: np.ndarray, w: np.ndarray, y: np.ndarray, b: np.ndarray | None = None, rectified: bool = False) -> None:
    """y = x w + b (or None), with w or its transpose contiguous; `rectified`, the larger of that and 0."""
    if _is_large(x.shape, w.shape[1]) and inner.suits(x, w.T):
        inner.dots(x, w.T, y, b, rectified)
        return
    _product(x, w, y)
    if b is not None:
        y += b
    if rectified:
        np.maximum(y, 0, out=y)


def _is_large(shape: tuple[int, ...], n: int) -> bool:
    """Whether a product of a matrix of this shape with one of n columns is worth a second thread."""
    return math.prod(shape) * n >= SMALL


def _product(x: np.ndarray, w: np.ndarray, y: np.ndarray) -> None:
    """y = x w, with w or its transpose contiguous."""
    if not _is_large(x.shape, w.shape[1]):
        np.matmul(x, w, out=y)
    elif inner.suits(x, w):
        inner.mix(x, w, y)
    elif w.shape[1] > len(x):  # BLAS is quicker with the larger matrix first

        def columns(i: int, j: int) -> None:
            y[:, i:j] = (w.T[i:j] @ x.T).T

        threads.share(columns, w.shape[1])
    else:
        threads.share(lambda i, j: np.matmul(x[i:j], w, out=y[i:j]), len(x))


def update(dy: np.ndarray, x: np.ndarray, dw: np.ndarray) -> None:
    """dw += dy^T x, where it is no task for the kernels by BLAS some rows at a time."""
    if _is_large(dy.shape, dw.shape[1]) and inner.suits(x, dw):
        return inner.update(dy, x, dw)
    step = max(1, BLOCK // dw.shape[1])
    product = np.multiply if len(dy) == 1 else np.matmul  # NumPy has no quick outer product

    def rows(first: int, last: int) -> None:
        for i in range(first, last, step):
            part = slice(i, min(i + step, last))
            dw[part] += product(dy[:, part].T, x)

    if _is_large(dy.shape, dw.shape[1]):
        threads.share(rows, len(dw))
    else:
        rows(0, len(dw))
