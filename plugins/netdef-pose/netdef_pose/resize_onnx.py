"""ImResize as ONNX operations: a matrix for each scale along each axis, computed in the model where a size is open."""

from typing import Any

import numpy as np

from netdef_pose.spline import CUBIC, enlarging

FLOAT, INT64, DOUBLE = 1, 7, 11


def build(layer: Any, graph: Any, x: str) -> str:
    """The value of the top of an ImResize whose bottom is x."""
    rows, columns = (_constant(layer, graph, x, axis) or _computed(layer, graph, x, axis) for axis in (2, 3))
    columns = graph.op("Transpose", [columns], perm=[0, 1, 3, 2])
    y = graph.op("MatMul", [graph.op("MatMul", [rows, x]), columns])
    alone = graph.shape(x)[0] == 1 and 0 not in graph.open_axes(x)
    return str(y if alone else graph.op("ReduceMean", [y, graph.const(np.array([0]))]))


def _constant(layer: Any, graph: Any, x: str, axis: int) -> str:
    """(scales, 1, out, size); nothing where one of these is open."""
    if {0, axis}.intersection(graph.open_axes(x)):
        return ""
    shape = graph.shape(x)
    size, out = shape[axis], layer.infer(shape)[0][axis]
    found = [enlarging(size, layer.pad(n, size), out) for n in range(shape[0])]
    return str(graph.const(np.stack(found)[:, None]))


def _computed(layer: Any, graph: Any, x: str, axis: int) -> str:
    """The same of sizes that are known when the model runs; places are counted in whole numbers, 2 out to a pixel."""

    def op(kind: str, *inputs: Any, **more: Any) -> str:
        return str(graph.op(kind, inputs, **more))

    scales, size = (graph.sizes(x)[k] for k in (0, axis))
    pad = op("Unsqueeze", _pad(op, layer.param, graph, scales, size), np.array([1]))
    inner = op("Sub", graph.joined([size]), op("Add", pad, pad))
    out = _out(op, layer.param, graph, size, axis)
    pixel = op("Add", out, out)
    odd = op("Add", op("Mul", graph.numbers(0, out), np.array(2)), np.array(1))
    at = op("Sub", op("Mul", odd, inner), out)
    second = op("Div", at, pixel)
    part = op("Cast", op("Sub", at, op("Mul", second, pixel)), to=FLOAT)
    part = op("Unsqueeze", op("Div", part, op("Cast", pixel, to=FLOAT)), np.array([-1]))
    weights = op("MatMul", op("Pow", part, np.arange(4, dtype=np.float32)), np.float32(CUBIC.T))
    four = op("Add", op("Unsqueeze", second, np.array([-1])), np.arange(-1, 3))
    last = op("Unsqueeze", op("Sub", inner, np.array(1)), np.array([-1]))
    four = op("Add", op("Min", op("Max", four, np.array(0)), last), op("Unsqueeze", pad, np.array([-1])))
    met = op("Equal", op("Unsqueeze", four, np.array([-1])), graph.numbers(0, size))
    found = op("MatMul", op("Unsqueeze", weights, np.array([2])), op("Cast", met, to=FLOAT))
    return op("Transpose", found, perm=[0, 2, 1, 3])


def _pad(op: Any, param: Any, graph: Any, scales: Any, size: Any) -> str:
    """(scales,): pixels to leave out at either end, as `ImResize.pad` has it."""
    steps = op("Mul", op("Cast", graph.numbers(0, scales), to=FLOAT), np.float32(param.scale_gap))
    cut = op("Add", np.float32(1) - np.float32(param.start_scale), steps)
    half = op("Cast", graph.joined([size // 2]), to=FLOAT)
    return str(op("Cast", op("Floor", op("Mul", half, cut)), to=INT64))


def _out(op: Any, param: Any, graph: Any, size: Any, axis: int) -> str:
    """(1,): the top's size, in float64 as the layer counts it."""
    if not param.factor:
        return str(graph.joined([param.target_spatial_height if axis == 2 else param.target_spatial_width]))
    factor, times = (op("Cast", v, to=DOUBLE) for v in (np.float32(param.factor), graph.joined([size])))
    return str(op("Cast", op("Mul", times, factor), to=INT64))
