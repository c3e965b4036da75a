"""The steps of the solver's rules, each in one pass: decay, memory and weights together, in place.

g' = scale * g + l2 * w + l1 * sign(w), with decay = (scale, l2, l1), is the gradient of every formula; g becomes the
step, which is taken off w.
"""

import math

from .elementwise import run_chunks, span
from .native import helper, task, unpack
from .simd import ONE, shift


@helper
def pull(w, l2, l1):
    zero = l1 - l1
    return l2 * w + (l1 if w > 0 else (-l1 if w < 0 else zero))


@task
def _sgd(job, item, thread):
    n, chunk, w, g, v, scale, l2, l1, rate, momentum = unpack(job, "iiaaarrrrr")
    first, n = span(item, n, chunk)
    w, g, v = shift(w, first), shift(g, first), shift(v, first)
    for i in range(n):
        v[i] = momentum * v[i] + rate * (scale * g[i] + pull(w[i], l2, l1))
        g[i] = v[i]
        w[i] -= g[i]


@task
def _nesterov(job, item, thread):
    n, chunk, w, g, v, scale, l2, l1, rate, momentum = unpack(job, "iiaaarrrrr")
    first, n = span(item, n, chunk)
    w, g, v = shift(w, first), shift(g, first), shift(v, first)
    for i in range(n):
        before = momentum * v[i]
        v[i] = before + rate * (scale * g[i] + pull(w[i], l2, l1))
        g[i] = (ONE + momentum) * v[i] - before
        w[i] -= g[i]


@task
def _adagrad(job, item, thread):
    n, chunk, w, g, h, scale, l2, l1, rate, delta = unpack(job, "iiaaarrrrr")
    first, n = span(item, n, chunk)
    w, g, h = shift(w, first), shift(g, first), shift(h, first)
    for i in range(n):
        d = scale * g[i] + pull(w[i], l2, l1)
        h[i] += d * d
        g[i] = rate * d / (math.sqrt(h[i]) + delta)
        w[i] -= g[i]


@task
def _rmsprop(job, item, thread):
    n, chunk, w, g, h, scale, l2, l1, rate, keep, delta = unpack(job, "iiaaarrrrrr")
    first, n = span(item, n, chunk)
    w, g, h = shift(w, first), shift(g, first), shift(h, first)
    for i in range(n):
        d = scale * g[i] + pull(w[i], l2, l1)
        h[i] = keep * h[i] + (ONE - keep) * d * d
        g[i] = rate * d / (math.sqrt(h[i]) + delta)
        w[i] -= g[i]


@task
def _adadelta(job, item, thread):
    n, chunk, w, g, h, u, scale, l2, l1, rate, keep, delta = unpack(job, "iiaaaarrrrrr")
    first, n = span(item, n, chunk)
    w, g, h, u = shift(w, first), shift(g, first), shift(h, first), shift(u, first)
    for i in range(n):
        d = scale * g[i] + pull(w[i], l2, l1)
        h[i] = keep * h[i] + (ONE - keep) * d * d
        step = d * math.sqrt((u[i] + delta) / (h[i] + delta))
        u[i] = keep * u[i] + (ONE - keep) * step * step
        g[i] = rate * step
        w[i] -= g[i]


@task
def _adam(job, item, thread):
    n, chunk, w, g, m, v, scale, l2, l1, rate, keep, keep2, delta, within, beside = unpack(job, "iiaaaarrrrrrrrr")
    first, n = span(item, n, chunk)
    w, g, m, v = shift(w, first), shift(g, first), shift(m, first), shift(v, first)
    for i in range(n):
        decay = pull(w[i], l2, l1)
        d = scale * g[i] + within * decay
        m[i] = keep * m[i] + (ONE - keep) * d
        v[i] = keep2 * v[i] + (ONE - keep2) * d * d
        g[i] = rate * m[i] / (math.sqrt(v[i]) + delta) + beside * decay
        w[i] -= g[i]


def _run(task_, arrays, *numbers):
    run_chunks(task_, *arrays, *(float(x) for x in numbers))


def sgd(w, g, v, decay, rate: float, momentum: float) -> None:
    """v = momentum * v + rate * g'; step v."""
    _run(_sgd, (w, g, v), *decay, rate, momentum)


def nesterov(w, g, v, decay, rate: float, momentum: float) -> None:
    """v' = momentum * v + rate * g'; step (1 + momentum) * v' - momentum * v."""
    _run(_nesterov, (w, g, v), *decay, rate, momentum)


def adagrad(w, g, h, decay, rate: float, delta: float) -> None:
    """h += g'^2; step rate * g' / (sqrt(h) + delta)."""
    _run(_adagrad, (w, g, h), *decay, rate, delta)


def rmsprop(w, g, h, decay, rate: float, keep: float, delta: float) -> None:
    """h = keep * h + (1 - keep) * g'^2; step rate * g' / (sqrt(h) + delta)."""
    _run(_rmsprop, (w, g, h), *decay, rate, keep, delta)


def adadelta(w, g, h, u, decay, rate: float, keep: float, delta: float) -> None:
    """h = keep * h + (1 - keep) * g'^2; s = g' * sqrt((u + delta) / (h + delta)), u so of s; step rate * s."""
    _run(_adadelta, (w, g, h, u), *decay, rate, keep, delta)


def adam(w, g, m, v, decay, rate: float, correction: float, keep: float, keep2: float, delta: float,
         decoupled: bool = False) -> None:  # fmt: skip
    """m and v follow g' and g'^2; step rate * correction * m / (sqrt(v) + delta).

    Where decoupled, g' is scale * g, and the step gets rate * (l2 * w + l1 * sign(w)) more.
    """
    beside = rate if decoupled else 0.0
    _run(_adam, (w, g, m, v), *decay, rate * correction, keep, keep2, delta, not decoupled, beside)
