"""Copies between an array and a part of the middle axis of a larger one, any float type."""

from .elementwise import run_chunks, span, stretch
from .native import task, unpack
from .simd import shift


@task
def _move(job, item, thread):
    n, chunk, part, whole, length, pitch, begin, out = unpack(job, "iiaaiiii")
    at, n = span(item, n, chunk)
    end = at + n
    while at < end:
        row, n = stretch(at, end, length)
        a, b = shift(part, at), shift(whole, row * pitch + begin + at - row * length)
        if out:
            for i in range(n):
                b[i] = a[i]
        else:
            for i in range(n):
                a[i] = b[i]
        at += n


def _run(part, whole, begin: int, out: bool) -> None:
    inner = whole.shape[2]
    run_chunks(_move, part, whole, part.shape[1] * inner, whole.shape[1] * inner, begin * inner, out)


def put(part, whole, begin: int) -> None:
    """whole[:, begin : begin + n] = part[outer, n, inner]."""
    _run(part, whole, begin, True)


def take(whole, begin: int, part) -> None:
    """part[outer, n, inner] = whole[:, begin : begin + n]."""
    _run(part, whole, begin, False)
