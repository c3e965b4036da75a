"""Caffe's layers once more, from their definitions, in float64 loops: what whole nets are held against."""

import numpy as np


def conv(x, w, b=None, pad=0, stride=1, group=1, dilation=1):
    """(n, c, h, w) by (outputs, c / group, k, k)."""
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    k, per_out, per_in = w.shape[2], len(w) // group, w.shape[1]
    tall, wide = ((d - dilation * (k - 1) - 1) // stride + 1 for d in x.shape[2:])
    y = np.zeros((len(x), len(w), tall, wide))
    for g, i, j in np.ndindex(group, k, k):
        part = x[:, g * per_in : (g + 1) * per_in, i * dilation :, j * dilation :]
        part = part[:, :, : tall * stride : stride, : wide * stride : stride]
        out = slice(g * per_out, (g + 1) * per_out)
        y[:, out] += np.einsum("nchw,oc->nohw", part, w[out, :, i, j])
    return y if b is None else y + b.reshape(-1, 1, 1)


def deconv(x, w, b=None, pad=0, stride=1, group=1):
    """(n, c, h, w) by (c, outputs / group, k, k): each number spread over a window."""
    n, c, tall, wide = x.shape
    k, per_in, per_out = w.shape[2], c // group, w.shape[1]
    y = np.zeros((n, per_out * group, (tall - 1) * stride + k, (wide - 1) * stride + k))
    for g, i, j in np.ndindex(group, tall, wide):
        ins, out = slice(g * per_in, (g + 1) * per_in), slice(g * per_out, (g + 1) * per_out)
        top, left = i * stride, j * stride
        y[:, out, top : top + k, left : left + k] += np.einsum("nc,cohw->nohw", x[:, ins, i, j], w[ins])
    y = y[:, :, pad : y.shape[2] - pad, pad : y.shape[3] - pad]
    return y if b is None else y + b.reshape(-1, 1, 1)


def pool(x, kind, k, stride=1, pad=0):
    """Sizes are rounded up; a mean counts the padding that lies in the window, but not beyond."""
    tall, wide = (_pooled(d, k, stride, pad) for d in x.shape[2:])
    y = np.empty((*x.shape[:2], tall, wide))
    for i, j in np.ndindex(tall, wide):
        (top, down), (left, right) = ((at * stride - pad, at * stride - pad + k) for at in (i, j))
        part = x[:, :, max(top, 0) : down, max(left, 0) : right]
        counted = (min(down, x.shape[2] + pad) - top) * (min(right, x.shape[3] + pad) - left)
        y[:, :, i, j] = part.max((2, 3)) if kind == "MAX" else part.sum((2, 3)) / counted
    return y


def _pooled(size, k, stride, pad):
    out = -(-(size + 2 * pad - k) // stride) + 1
    return out - 1 if pad and (out - 1) * stride >= size + pad else out


def lrn(x, size=5, alpha=1.0, beta=0.75):
    squares = np.pad(x * x, ((0, 0), (size // 2, size // 2), (0, 0), (0, 0)))
    total = sum(squares[:, i : i + x.shape[1]] for i in range(size))
    return x / (1 + alpha / size * total) ** beta


def fc(x, w, b=0):
    return x.reshape(len(x), -1) @ w.reshape(len(w), -1).T + b


def batch_norm(x, mean, variance, factor, eps=1e-5):
    """Statistics are divided by their factor; by nothing at all, where it is 0."""
    part = 0 if factor.item() == 0 else 1 / factor.item()
    mean, variance = ((s * part).reshape(-1, 1, 1) for s in (mean, variance))
    return (x - mean) / np.sqrt(variance + eps)


def scale(x, gamma, beta):
    return x * gamma.reshape(-1, 1, 1) + beta.reshape(-1, 1, 1)


def relu(x, slope=0):
    return np.where(x > 0, x, slope * x)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x, axis=1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def lstm(x, cont, w, b, recurrent):
    """x (time, streams, inputs); gates stand as input, forget, output, candidate; 0 in cont starts a stream anew."""
    size = len(b) // 4
    h = c = np.zeros((x.shape[1], size))
    hs = []
    for now, goes_on in zip(x, cont, strict=True):
        gates = now @ w.T + b + goes_on[:, None] * h @ recurrent.T
        i, f, o = (sigmoid(gates[:, k * size : (k + 1) * size]) for k in range(3))
        c = goes_on[:, None] * f * c + i * np.tanh(gates[:, 3 * size :])
        h = o * np.tanh(c)
        hs.append(h)
    return np.stack(hs)


def bilinear(channels, k):
    """The weights (channels, 1, k, k) by which a Deconvolution enlarges linearly."""
    f = -(-k // 2)
    along = 1 - abs(np.arange(k) / f - (2 * f - 1 - f % 2) / (2 * f))
    return np.broadcast_to(np.outer(along, along), (channels, 1, k, k)).copy()
