"""CtcLoss: how unlikely the labels are, whatever their alignment with the steps."""

from collections.abc import Sequence

import numpy as np

from netdef.layer import Blob, Block, Field, LayerError, Loss, Shape
from netdef_ctc.alignment import backward, forward, targets

Array = np.ndarray


class CtcLoss(Loss):
    """-mean over n of log sum over alignments of prod over t of softmax(x_tn).

    Bottoms: scores before softmax (T, N, alphabet_size), and labels (N, L), of which blanks are left out: that is how
    they are filled up to one length. The first time_step of the T steps count. A sequence that needs more steps than
    there are (a label each, and one between two of a kind) costs nothing and has no gradient, as in warp-ctc.
    """

    type = "CtcLoss"
    bottoms = 2
    no_gradient = (1,)
    reads = ()
    options = Block(
        "ctc_loss_param",
        [
            Field("alphabet_size", "uint32", 0, doc="Labels, the blank among them: the scores of a step."),
            Field("time_step", "uint32", 0, doc="Steps of each sequence that count."),
            Field("blank_label", "int32", 0, doc="The label that is none."),
        ],
        message="CtcLossParameter",
        doc="Sequences of labels without alignment.",
    )

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param
        if p.alphabet_size < 1 or p.time_step < 1:
            raise LayerError(f"alphabet_size is {p.alphabet_size} and time_step {p.time_step}; want at least 1 of both")
        if not 0 <= p.blank_label < p.alphabet_size:
            raise LayerError(f"blank_label is {p.blank_label}; want 0 to {p.alphabet_size - 1}, of the alphabet")

    def infer(self, *shapes: Shape) -> list[Shape]:
        p, (scores, labels) = self.param, shapes
        if len(scores) < 3 or int(np.prod(scores[2:])) != p.alphabet_size or scores[0] < p.time_step:
            want = f"(steps, number, {p.alphabet_size}), {p.time_step} steps or more"
            raise LayerError(f"scores of shape {scores}; want {want}")
        if not labels or labels[0] != scores[1]:
            raise LayerError(f"labels of shape {labels}; want ({scores[1]}, length) for scores of shape {scores}")
        return [()]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        steps, n = self.param.time_step, bottom[0].shape[1]
        x = bottom[0].data.reshape(-1, n, self.param.alphabet_size)[:steps].astype(float)
        logp = x - x.max(axis=2, keepdims=True)
        logp -= np.log(np.exp(logp).sum(axis=2, keepdims=True))
        t = targets(self.sequences(bottom[1].data.reshape(n, -1)), self.param.blank_label)
        of_places = np.take_along_axis(logp, np.broadcast_to(t.labels, (steps, *t.labels.shape)), axis=2)
        reached = forward(of_places, t)
        self.possible = t.steps <= steps
        ends = np.take_along_axis(reached[-1], t.last, axis=1)
        ends[t.length == 1, 1] = -np.inf
        total = np.where(self.possible, np.logaddexp(*ends.T), 0)
        top[0].data[...] = -total.sum() / n
        # the part of the alignments that are at each place at each step, added up by label
        parts = np.exp(reached + backward(of_places, t) - total[:, None])
        self.slope = np.exp(logp)
        rows = np.arange(n)[:, None]
        for k, part in enumerate(parts):
            np.subtract.at(self.slope[k], (rows, t.labels), part)
        self.slope *= self.possible[:, None] / n

    def sequences(self, labels: Array) -> list[Array]:
        """The labels of each row but for the blanks. Raises LayerError for one that is not of the alphabet."""
        whole = labels.astype(int)
        wrong = (whole < 0) | (whole >= self.param.alphabet_size)
        if wrong.any():
            found = whole[np.unravel_index(np.argmax(wrong), wrong.shape)]
            raise LayerError(f"a label is {found}; want 0 to {self.param.alphabet_size - 1}")
        return [row[row != self.param.blank_label] for row in whole]

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if propagate_down[0]:
            dx = bottom[0].diff.reshape(-1, *self.slope.shape[1:])
            dx[...] = 0
            dx[: len(self.slope)] = self.slope * float(top[0].diff)
