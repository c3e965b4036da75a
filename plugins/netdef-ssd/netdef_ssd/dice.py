"""Random numbers of one image: functions of a key and the image's place in its batch."""

import numpy as np


class Dice:
    """Numbers one after another, whatever version NumPy has."""

    def __init__(self, key: int, image: int):
        self._bits = np.random.Philox(key=np.array([key, image + 1], np.uint64))

    def many(self, *shape: int) -> np.ndarray:
        """Numbers from 0 to below 1."""
        return ((self._bits.random_raw(int(np.prod(shape))) >> np.uint64(11)) * 2.0**-53).reshape(shape)

    def between(self, low: float, high: float) -> float:
        return low + float(self.many(1)[0]) * (high - low)

    def below(self, n: int) -> int:
        """A whole number from 0 to n - 1."""
        return int(self.many(1)[0] * n)

    def falls(self, chance: float) -> bool:
        """True as often as the chance says; one number is used up whatever it is."""
        return bool(self.many(1)[0] < chance)

    def order(self, n: int) -> np.ndarray:
        return np.argsort(self.many(n), kind="stable")
