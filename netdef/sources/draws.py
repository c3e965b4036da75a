"""Random numbers as functions of a key, which no version of NumPy may change."""

from dataclasses import dataclass

import numpy as np

from netdef.layer import random_key


@dataclass
class Keys:
    """A layer's random keys by pass or epoch; made of name and seed alone, so that threads do not hold the layer."""

    name: str
    seed: int

    def __call__(self, count: int) -> int:
        return random_key(self.seed, self.name, count)


def uniform(key: int, *shape: int) -> np.ndarray:
    """Numbers from 0 to below 1, float64."""
    raw = np.random.Philox(key=np.array([key, 0], np.uint64)).random_raw(int(np.prod(shape)))
    return ((raw >> np.uint64(11)) * 2.0**-53).reshape(shape)


def normal(key: int, stream: int, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal numbers, float32; another stream, other numbers."""
    generator = np.random.Generator(np.random.Philox(key=np.array([key, stream + 1], np.uint64)))
    return generator.standard_normal(shape, np.float32)
