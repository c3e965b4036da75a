"""The probability of a sequence of labels, summed over all its alignments, in logarithms."""

from dataclasses import dataclass

import numpy as np

Array = np.ndarray
NEVER = -np.inf


@dataclass
class Targets:
    """The labels of N sequences with a blank before, between and after them: (N, S)."""

    labels: Array
    length: Array
    """Of each, (N,): twice its labels and 1."""
    skips: Array
    """Where a path may leave out the blank before a label (N, S): not between two labels of one kind."""

    @property
    def last(self) -> Array:
        """The two places where a path may end (N, 2); without labels there is one, given twice."""
        return np.stack([self.length - 1, np.maximum(self.length - 2, 0)], axis=1)

    @property
    def steps(self) -> Array:
        """The steps that each needs at least (N,): one for a label, one more between two of a kind."""
        repeats = (self.labels[:, 3::2] == self.labels[:, 1:-2:2]) & (self.place[3::2] < self.length[:, None])
        return self.length // 2 + repeats.sum(axis=1)

    @property
    def place(self) -> Array:
        return np.arange(self.labels.shape[1])


def targets(sequences: list[Array], blank: int) -> Targets:
    """Of sequences of labels, none of them the blank."""
    longest = max(map(len, sequences), default=0)
    labels = np.full((len(sequences), 2 * longest + 1), blank)
    for row, sequence in zip(labels, sequences, strict=True):
        row[1 : 2 * len(sequence) : 2] = sequence
    skips = np.zeros(labels.shape, bool)
    skips[:, 3::2] = labels[:, 3::2] != labels[:, 1:-2:2]
    return Targets(labels, np.array([2 * len(s) + 1 for s in sequences]), skips)


def forward(logp: Array, t: Targets) -> Array:
    """a[t, n, s]: the log probability of all that leads to place s at step t, from logp (T, N, S) of the places."""
    a = np.full(logp.shape, NEVER)
    a[0, :, :2] = logp[0, :, :2]
    for step in range(1, len(logp)):
        a[step] = logp[step] + _reached(a[step - 1], t.skips)
    inside = t.place < t.length[:, None]
    return np.where(inside, a, NEVER)


def backward(logp: Array, t: Targets) -> Array:
    """b[t, n, s]: of all that follows place s at step t, the step itself left out."""
    b = np.full(logp.shape, NEVER)
    np.put_along_axis(b[-1], t.last, 0, axis=1)
    skips = np.zeros_like(t.skips)
    skips[:, : skips.shape[1] - 2] = t.skips[:, 2:]
    for step in range(len(logp) - 2, -1, -1):
        b[step] = _reached((logp[step + 1] + b[step + 1])[:, ::-1], skips[:, ::-1])[:, ::-1]
    return b


def _reached(before: Array, skips: Array) -> Array:
    """From the same place, the place before it, or where `skips` from two before."""
    one, two = np.full_like(before, NEVER), np.full_like(before, NEVER)
    one[:, 1:], two[:, 2:] = before[:, :-1], before[:, :-2]
    return np.logaddexp(np.logaddexp(before, one), np.where(skips, two, NEVER))
