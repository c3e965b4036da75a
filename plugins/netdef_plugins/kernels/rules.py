"""The steps of the solver's rules, each in one pass: decay, history and weights together, in place.

Every step first forms g' = scale * g + l2 * w + l1 * sign(w); g itself stays as it is.
"""

import math

from .elementwise import run_chunks, span
from .native import helper, task, unpack
from .simd import shift


@helper
def decayed(g, w, scale, l2, l1):
    g = g * scale + l2 * w
    return g + (l1 if w > 0 else (-l1 if w < 0 else l1 * 0))


@task
def _sgd(job, item, thread):
    n, chunk, w, g, v, scale, l2, l1, lr, momentum = unpack(job, "iiaaarrrrr")
    first, n = span(item, n, chunk)
    w, g, v = shift(w, first), shift(g, first), shift(v, first)
    for i in range(n):
        v[i] = momentum * v[i] + lr * decayed(g[i], w[i], scale, l2, l1)
        w[i] -= v[i]


@task
def _nesterov(job, item, thread):
    n, chunk, w, g, v, scale, l2, l1, lr, momentum = unpack(job, "iiaaarrrrr")
    first, n = span(item, n, chunk)
    w, g, v = shift(w, first), shift(g, first), shift(v, first)
    for i in range(n):
        before = v[i]
        v[i] = momentum * before + lr * decayed(g[i], w[i], scale, l2, l1)
        w[i] -= (1 + momentum) * v[i] - momentum * before


@task
def _adagrad(job, item, thread):
    n, chunk, w, g, h, scale, l2, l1, lr, delta = unpack(job, "iiaaarrrrr")
    first, n = span(item, n, chunk)
    w, g, h = shift(w, first), shift(g, first), shift(h, first)
    for i in range(n):
        d = decayed(g[i], w[i], scale, l2, l1)
        h[i] += d * d
        w[i] -= lr * d / (math.sqrt(h[i]) + delta)


@task
def _rmsprop(job, item, thread):
    n, chunk, w, g, h, scale, l2, l1, lr, decay, delta = unpack(job, "iiaaarrrrrr")
    first, n = span(item, n, chunk)
    w, g, h = shift(w, first), shift(g, first), shift(h, first)
    for i in range(n):
        d = decayed(g[i], w[i], scale, l2, l1)
        h[i] = decay * h[i] + (1 - decay) * d * d
        w[i] -= lr * d / (math.sqrt(h[i]) + delta)


@task
def _adadelta(job, item, thread):
    n, chunk, w, g, h, u, scale, l2, l1, lr, momentum, delta = unpack(job, "iiaaaarrrrrr")
    first, n = span(item, n, chunk)
    w, g, h, u = shift(w, first), shift(g, first), shift(h, first), shift(u, first)
    for i in range(n):
        d = decayed(g[i], w[i], scale, l2, l1)
        h[i] = momentum * h[i] + (1 - momentum) * d * d
        step = d * math.sqrt((u[i] + delta) / (h[i] + delta))
        u[i] = momentum * u[i] + (1 - momentum) * step * step
        w[i] -= lr * step


@task
def _adam(job, item, thread):
    n, chunk, w, g, m, v, scale, l2, l1, lr, beta1, beta2, delta = unpack(job, "iiaaaarrrrrrr")
    first, n = span(item, n, chunk)
    w, g, m, v = shift(w, first), shift(g, first), shift(m, first), shift(v, first)
    for i in range(n):
        d = decayed(g[i], w[i], scale, l2, l1)
        m[i] = beta1 * m[i] + (1 - beta1) * d
        v[i] = beta2 * v[i] + (1 - beta2) * d * d
        w[i] -= lr * m[i] / (math.sqrt(v[i]) + delta)


def _run(task_, *arguments):
    run_chunks(task_, *(a if hasattr(a, "dtype") and a.ndim else float(a) for a in arguments))


def sgd(w, g, v, lr: float, momentum: float, l2: float = 0.0, l1: float = 0.0, scale: float = 1.0) -> None:
    """v = momentum * v + lr * g'; w -= v."""
    _run(_sgd, w, g, v, scale, l2, l1, lr, momentum)


def nesterov(w, g, v, lr: float, momentum: float, l2: float = 0.0, l1: float = 0.0, scale: float = 1.0) -> None:
    """v' = momentum * v + lr * g'; w -= (1 + momentum) * v' - momentum * v."""
    _run(_nesterov, w, g, v, scale, l2, l1, lr, momentum)


def adagrad(w, g, h, lr: float, delta: float, l2: float = 0.0, l1: float = 0.0, scale: float = 1.0) -> None:
    """h += g'^2; w -= lr * g' / (sqrt(h) + delta)."""
    _run(_adagrad, w, g, h, scale, l2, l1, lr, delta)


def rmsprop(w, g, h, lr: float, decay: float, delta: float, l2: float = 0.0, l1: float = 0.0,
            scale: float = 1.0) -> None:  # fmt: skip
    """h = decay * h + (1 - decay) * g'^2; w -= lr * g' / (sqrt(h) + delta)."""
    _run(_rmsprop, w, g, h, scale, l2, l1, lr, decay, delta)


def adadelta(w, g, h, u, lr: float, momentum: float, delta: float, l2: float = 0.0, l1: float = 0.0,
             scale: float = 1.0) -> None:  # fmt: skip
    """h = momentum * h + (1 - momentum) * g'^2; s = g' * sqrt((u + delta) / (h + delta)), u so of s; w -= lr * s."""
    _run(_adadelta, w, g, h, u, scale, l2, l1, lr, momentum, delta)


def adam(w, g, m, v, lr: float, beta1: float, beta2: float, delta: float, l2: float = 0.0, l1: float = 0.0,
         scale: float = 1.0) -> None:  # fmt: skip
    """m and v follow g' and g'^2; w -= lr * m / (sqrt(v) + delta); `lr` holds the correction for early steps."""
    _run(_adam, w, g, m, v, scale, l2, l1, lr, beta1, beta2, delta)
