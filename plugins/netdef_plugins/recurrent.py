"""Recurrent layers: a state carried from step to step of a sequence."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from netdef.layer import Blob, Layer, LayerError, Shape, hookimpl
from netdef_plugins import recurrent_onnx
from netdef_plugins.lstm_unit import LSTMUnit, squash, unit, unit_backward
from netdef_plugins.windows import volume

Array = np.ndarray
States = list[Array]
"""h, and for an LSTM c: each (N, D)."""


class Recurrent(Layer):
    """What RNN and LSTM share: a = W_x x + b + W_s static of all steps at once, then a_t + W_h (cont_t h) in turn.

    Bottoms: x (T, N, ...), cont (T, N), where 0 begins a new sequence, and if wanted static (N, ...). With
    expose_hidden the state before the first step, each blob (1, N, D), comes in behind them, and the state after the
    last step goes out; without, a pass goes on where the last one ended, at first and for another N from zeros.
    In Caffe this is a net of its own, unrolled, whose parameters have the order W_x, b, W_s, W_h. As there, no gradient
    passes through the state that comes in and goes out. debug_info is ignored.
    """

    options = "recurrent_param"
    gates: int
    """Rows of a for each of num_output."""
    states: int
    """Arrays the state is made of; h is the first."""

    @property
    def exposed(self) -> int:
        return self.states if self.param.expose_hidden else 0

    @property
    def has_static(self) -> bool:
        return len(self.layer_param.bottom) > 2 + self.exposed

    @property
    def no_gradient(self) -> tuple[int, ...]:
        first = 2 + self.has_static
        return (1, *range(first, first + self.exposed))

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p, n = self.param, self.param.num_output
        if n < 1:
            raise LayerError(f"num_output is {n}; want at least 1")
        for what, names, least, most in (
            ("bottoms", self.layer_param.bottom, 2 + self.exposed, 3 + self.exposed),
            ("tops", self.layer_param.top, 1 + self.exposed, 1 + self.exposed),
        ):
            if not least <= len(names) <= most:
                want = f"{least}" if least == most else f"{least}, or {most} with a static one"
                expose = str(p.expose_hidden).lower()
                raise LayerError(f"has {len(names)} {what}; want {want}, with expose_hidden: {expose}")
        self.add_blob((self.gates * n, volume(bottom_shapes[0][2:])), p.weight_filler)
        self.add_blob((self.gates * n,), p.bias_filler)
        if self.has_static:
            self.add_blob((self.gates * n, volume(bottom_shapes[2][1:])), p.weight_filler)
        self.hidden = len(self.blobs)
        self.add_blob((self.gates * n, n), p.weight_filler)
        self.carried: States = []
        self.known: Array | None = None

    def sample(self, j: int, bottom_shapes: Sequence[Shape], rng: np.random.Generator) -> Array | None:
        return rng.integers(0, 2, bottom_shapes[1]) if j == 1 else None

    def infer(self, *shapes: Shape) -> list[Shape]:
        x, cont, *more = shapes
        static = [more.pop(0)] if self.has_static else []
        if len(x) < 2 or volume(x[2:]) != self.blobs[0].shape[1]:
            raise LayerError(f"x has shape {x}; want (steps, sequences, {self.blobs[0].shape[1]} inputs)")
        if cont != x[:2]:
            raise LayerError(f"cont has shape {cont}; want {x[:2]}, one number for each step of each sequence")
        if any(s[:1] != x[1:2] or volume(s[1:]) != self.blobs[2].shape[1] for s in static):
            raise LayerError(f"static has shape {static[0]}; want ({x[1]}, {self.blobs[2].shape[1]} inputs)")
        state = (1, x[1], self.param.num_output)
        if any(s != state for s in more):
            raise LayerError(f"the hidden bottoms' shapes are {more}; want {state}")
        return [(*x[:2], self.param.num_output), *[state] * self.exposed]

    @abstractmethod
    def step(self, a: Array, cont: Array, old: States, new: States) -> None:
        """Write the state after a step; a may be changed into what step_backward needs."""

    @abstractmethod
    def step_backward(self, a: Array, cont: Array, old: States, new: States, dnew: States, da: Array) -> States:
        """Write da; the gradients with respect to the old state, without h, which reaches the step through a alone."""

    @abstractmethod
    def emit(self, h: Array, y: Array) -> None:
        """Write the first top from the states h of all steps."""

    @abstractmethod
    def emit_backward(self, y: Blob) -> Array:
        """The gradient with respect to h of all steps."""

    def at(self, t: int) -> States:
        """The state before step t."""
        return [s[t] for s in self.trace]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        cont, begin, self.known = bottom[1].data[..., None], self.begin(bottom), None
        self.a = self.projected(bottom)
        self.trace = [np.empty((len(cont) + 1, *s.shape), self.dtype) for s in begin]
        for s, first in zip(self.trace, begin, strict=True):
            s[0] = first
        for t, a in enumerate(self.a):
            a += (cont[t] * self.trace[0][t]) @ self.blobs[self.hidden].data.T
            self.step(a, cont[t], self.at(t), self.at(t + 1))
        self.carried = [s[-1].copy() for s in self.trace]
        self.emit(self.trace[0][1:], top[0].data)
        for blob, s in zip(top[1:], self.carried, strict=False):
            blob.data[0] = s

    def begin(self, bottom: list[Blob]) -> States:
        """The state before the first step."""
        if self.exposed:
            return [b.data[0] for b in bottom[2 + self.has_static :]]
        shape = (bottom[1].shape[1], self.param.num_output)
        if not self.passes or not self.carried or self.carried[0].shape != shape:
            return [np.zeros(shape, self.dtype)] * self.states
        return self.carried

    def projected(self, bottom: list[Blob]) -> Array:
        """W_x x + b + W_s static, for every step."""
        x = bottom[0].data
        a = (rows(x) @ self.blobs[0].data.T + self.blobs[1].data).reshape(*x.shape[:2], len(self.blobs[0].data))
        if self.has_static:
            static = bottom[2].data
            a += static.reshape(len(static), volume(static.shape[1:])) @ self.blobs[2].data.T
        return a

    def deltas(self, top: list[Blob], bottom: list[Blob]) -> Array:
        """The gradient with respect to a of every step, last to first."""
        cont, w = bottom[1].data[..., None], self.blobs[self.hidden].data
        delta, dh = np.empty_like(self.a), self.emit_backward(top[0])
        dstate = [np.zeros_like(s[0]) for s in self.trace]
        for t in reversed(range(len(delta))):
            dstate[0] += dh[t]
            rest = self.step_backward(self.a[t], cont[t], self.at(t), self.at(t + 1), dstate, delta[t])
            dstate = [delta[t] @ w * cont[t], *rest]
        return delta

    def update(self, top: list[Blob], bottom: list[Blob]) -> None:
        delta = self.known = self.deltas(top, bottom)
        held = bottom[1].data[..., None] * self.trace[0][:-1]
        self.blobs[0].diff += rows(delta).T @ rows(bottom[0].data)
        self.blobs[1].diff += rows(delta).sum(axis=0)
        self.blobs[self.hidden].diff += rows(delta).T @ rows(held)
        if self.has_static:
            static = bottom[2].data
            self.blobs[2].diff += delta.sum(axis=0).T @ static.reshape(len(static), volume(static.shape[1:]))

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        delta, self.known = self.deltas(top, bottom) if self.known is None else self.known, None
        if propagate_down[0]:
            bottom[0].diff[...] = (rows(delta) @ self.blobs[0].data).reshape(bottom[0].shape)
        if self.has_static and propagate_down[2]:
            bottom[2].diff[...] = (delta.sum(axis=0) @ self.blobs[2].data).reshape(bottom[2].shape)

    def macs(self, bottom_shapes: Sequence[Shape], top_shapes: Sequence[Shape]) -> int:
        steps, sequences = bottom_shapes[0][:2]
        weights = [blob.count for blob in self.blobs if len(blob.shape) == 2]
        static = weights.pop(1) if self.has_static else 0
        return sequences * (steps * sum(weights) + static)

    @abstractmethod
    def step_to_onnx(self, graph: Any, a: str, cont: str, state: list[str]) -> list[str]:
        """`step`, as operations; the new state."""

    def emit_to_onnx(self, graph: Any, h: str, shape: Shape) -> str:
        """`emit`, as operations."""
        return h

    def to_onnx(self, graph: Any, inputs: list[str]) -> list[str]:
        """A Scan over the steps. Without expose_hidden it begins with zeros, as a net's first pass does."""
        x, cont, *more = inputs
        sizes, n = graph.sizes(cont), self.param.num_output
        wide, state = (*sizes, self.gates * n), (sizes[1], n)
        a = recurrent_onnx.linear(graph, x, wide, graph.weight(self, 0), graph.weight(self, 1))
        if self.has_static:
            static = recurrent_onnx.linear(graph, more.pop(0), wide[1:], graph.weight(self, 2))
            a = graph.op("Add", [a, static])
        begin = [recurrent_onnx.reshaped(graph, s, state) for s in more]
        if not begin:
            begin = [graph.op("Expand", [graph.const(np.float32(0)), graph.joined(state)])] * self.states
        w = graph.weight(self, self.hidden)

        def step(a: str, cont: str, old: list[str]) -> list[str]:
            held = graph.op("Mul", [old[0], cont])
            return self.step_to_onnx(graph, graph.op("Gemm", [held, w, a], transB=1), cont, old)

        last, h = recurrent_onnx.scan(graph, a, recurrent_onnx.column(graph, cont, 2), begin, state, step)
        exposed = [recurrent_onnx.reshaped(graph, s, (1, *state)) for s in last[: self.exposed]]
        return [self.emit_to_onnx(graph, h, (*sizes, n)), *exposed]


class LSTM(Recurrent):
    """c_t, h_t = LSTMUnit(c_{t-1}, W_xc x_t + b_c + W_xc_static static + W_hc (cont_t h_{t-1}), cont_t); the top is h.

    Parameters: W_xc (4 D, inputs), b_c (4 D), with a static bottom W_xc_static (4 D, inputs), W_hc (4 D, D).
    The hidden blobs are h and c.
    """

    type = "LSTM"
    bottoms = (2, 5)
    tops = (1, 3)
    gates, states = 4, 2

    def step(self, a: Array, cont: Array, old: States, new: States) -> None:
        squash(a)
        new[1][...], new[0][...] = unit(a, cont, old[1])

    def step_backward(self, a: Array, cont: Array, old: States, new: States, dnew: States, da: Array) -> States:
        return [unit_backward(a, cont, old[1], new[1], dnew[1], dnew[0], da)]

    def emit(self, h: Array, y: Array) -> None:
        y[...] = h

    def emit_backward(self, y: Blob) -> Array:
        return y.diff

    def step_to_onnx(self, graph: Any, a: str, cont: str, state: list[str]) -> list[str]:
        c, h = recurrent_onnx.unit(graph, a, cont, state[1], self.param.num_output)
        return [h, c]


class RNN(Recurrent):
    """h_t = tanh(W_xh x_t + b_h + W_xh_static static + W_hh (cont_t h_{t-1})); the top is tanh(W_ho h_t + b_o).

    Parameters: W_xh (D, inputs), b_h (D), with a static bottom W_xh_static (D, inputs), W_hh (D, D), W_ho (D, D),
    b_o (D). The hidden blob is h.
    """

    type = "RNN"
    bottoms = (2, 4)
    tops = (1, 2)
    reads = ("bottom", "top")
    gates, states = 1, 1

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        super().setup(bottom_shapes)
        n = self.param.num_output
        self.add_blob((n, n), self.param.weight_filler)
        self.add_blob((n,), self.param.bias_filler)

    def step(self, a: Array, cont: Array, old: States, new: States) -> None:
        np.tanh(a, out=a)
        new[0][...] = a

    def step_backward(self, a: Array, cont: Array, old: States, new: States, dnew: States, da: Array) -> States:
        np.multiply(dnew[0], 1 - a * a, out=da)
        return []

    def emit(self, h: Array, y: Array) -> None:
        rows(y)[...] = np.tanh(rows(h) @ self.blobs[-2].data.T + self.blobs[-1].data)

    def emit_backward(self, y: Blob) -> Array:
        return (y.diff * (1 - y.data * y.data)) @ self.blobs[-2].data

    def update(self, top: list[Blob], bottom: list[Blob]) -> None:
        super().update(top, bottom)
        y = top[0]
        delta = rows(y.diff * (1 - y.data * y.data))
        self.blobs[-2].diff += delta.T @ rows(self.trace[0][1:])
        self.blobs[-1].diff += delta.sum(axis=0)

    def step_to_onnx(self, graph: Any, a: str, cont: str, state: list[str]) -> list[str]:
        return [graph.op("Tanh", [a])]

    def emit_to_onnx(self, graph: Any, h: str, shape: Shape) -> str:
        w, b = (graph.weight(self, len(self.blobs) + i) for i in (-2, -1))
        return graph.op("Tanh", [recurrent_onnx.linear(graph, h, shape, w, b)])


def rows(x: Array) -> Array:
    """x (T, N, ...) as a matrix with a row for each step of each sequence."""
    return x.reshape(volume(x.shape[:2]), volume(x.shape[2:]))


@hookimpl
def netdef_layers() -> list[type]:
    return [LSTMUnit, LSTM, RNN]
