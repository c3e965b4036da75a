"""Nets of one layer over arrays, and regions for them."""

import math

import numpy as np

from netdef import registry
from netdef.net import Net
from netdef.prototxt import parse

RNG = np.random.default_rng(5)


def net(kind: str, options: str, *inputs: np.ndarray, tops: int = 1) -> Net:
    """A net of one layer after a pass forward in float64; its tops are y0, y1 ..."""
    shapes = "".join(
        f'layer {{ name: "x{i}" type: "Input" top: "x{i}" input_param {{ shape {{ '
        f"{' '.join(f'dim: {d}' for d in x.shape)} }} }} }}\n"
        for i, x in enumerate(inputs)
    )
    bottoms = " ".join(f'bottom: "x{i}"' for i in range(len(inputs)))
    names = " ".join(f'top: "y{i}"' for i in range(tops))
    text = f'force_backward: true {shapes} layer {{ name: "layer" type: "{kind}" {bottoms} {names} {options} }}'
    made = Net(parse(text, registry.default().schema.message("NetParameter")), 0, dtype=np.float64)
    for i, x in enumerate(inputs):
        made.blobs[f"x{i}"].data[...] = x
    made.forward()
    return made


def run(kind: str, options: str, *inputs: np.ndarray) -> np.ndarray:
    return net(kind, options, *inputs).blobs["y0"].data.copy()


def regions(count: int, images: int, size: int) -> np.ndarray:
    corners = RNG.uniform(-3, size + 3, (count, 4))
    return np.concatenate([RNG.integers(0, images, (count, 1)), corners], axis=1)


def c_round(v: float) -> int:
    return int(math.copysign(math.floor(abs(v) + 0.5), v))


def clip(v: int, high: int) -> int:
    return min(max(v, 0), high)


def warped(x: np.ndarray, roi: np.ndarray, scale: float, sizes: tuple[int, int], rounding) -> np.ndarray:
    """A region of a map [C, H, W], place by place."""
    x1, y1, x2, y2 = (rounding(v * scale) for v in roi)
    y = np.zeros((x.shape[0], *sizes))
    for v, u in np.ndindex(*sizes):
        a, b = y1 + v * (y2 - y1) / sizes[0], x1 + u * (x2 - x1) / sizes[1]
        if not (-0.5 <= a <= x.shape[1] - 0.5 and -0.5 <= b <= x.shape[2] - 0.5):
            continue
        a, b = min(max(a, 0), x.shape[1] - 1), min(max(b, 0), x.shape[2] - 1)
        i, j = min(int(a), x.shape[1] - 2), min(int(b), x.shape[2] - 2)
        p, q = a - i, b - j
        y[:, v, u] = (1 - p) * ((1 - q) * x[:, i, j] + q * x[:, i, j + 1])
        y[:, v, u] += p * ((1 - q) * x[:, i + 1, j] + q * x[:, i + 1, j + 1])
    return y
