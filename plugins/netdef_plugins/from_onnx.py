"""Layers for operators of ONNX: what `netdef import` makes a prototxt of."""

from typing import Any

import numpy as np

from netdef.errors import ExportError
from netdef.layer import hookimpl

MAX, AVE = 0, 1
PROD, SUM, LARGEST = 0, 1, 2


def refuse(why: str) -> None:
    raise ExportError(why)


def spatial(node: Any, block: Any, begin: list[int], end: list[int]) -> None:
    """kernel, stride, pad and dilation of an operation with a window, Caffe's spellings."""
    kernel, axes = node.attributes["kernel_shape"], len(begin)
    stride = node.attributes.get("strides", [1] * axes)
    dilation = node.attributes.get("dilations", [1] * axes)
    if begin != end:
        refuse(f"pads {begin} before and {end} behind; a {node.op} of Caffe pads alike")
    for name, values, default in (("kernel", kernel, 0), ("stride", stride, 1), ("pad", begin, 0)):
        field = getattr(block, name if name != "kernel" else "kernel_size")
        if any(v != default for v in values):
            field.extend(values if len(set(values)) > 1 else values[:1])
    if any(v != 1 for v in dilation):
        block.dilation.extend(dilation if len(set(dilation)) > 1 else dilation[:1])


def convolution(node: Any) -> None:
    """Conv, ConvTranspose: the weights are laid out alike."""
    transposed = node.op == "ConvTranspose"
    w = node.weight(1)
    if any(node.attributes.get("output_padding", [])) or "output_shape" in node.attributes:
        refuse("output_padding or output_shape; a Deconvolution of Caffe has none")
    b = node.weight(2) if len(node.inputs) > 2 and node.inputs[2] else None
    axes = w.ndim - 2
    pads = node.own_padding(axes) if transposed else node.padding(axes)
    layer = node.layer("Deconvolution" if transposed else "Convolution", [w] if b is None else [w, b])
    p = layer.convolution_param
    group = node.attributes.get("group", 1)
    p.num_output = w.shape[1] * group if transposed else w.shape[0]
    if group != 1:
        p.group = group
    if b is None:
        p.bias_term = False
    node.attributes.setdefault("kernel_shape", list(w.shape[2:]))
    spatial(node, p, *pads)


def pooling(node: Any) -> None:
    """MaxPool, AveragePool: rounding up or down, whichever gives the size that ONNX gives."""
    shape, top = node.shape(0), node.top_shape()
    axes = len(shape) - 2
    kernel, stride = node.attributes["kernel_shape"], node.attributes.get("strides", [1] * axes)
    if any(d != 1 for d in node.attributes.get("dilations", [])):
        refuse("dilations, which no Pooling of Caffe has")
    begin, end = node.padding(axes)
    if node.op == "AveragePool" and any(node.own_padding(axes)[0]) and not node.attributes.get("count_include_pad", 0):
        refuse("count_include_pad 0 with pads; Caffe's average counts padding")
    modes = [down for down in (False, True) if _sizes(node.source_shape(0)[2:], kernel, stride, begin, down) == top[2:]]
    if not modes or len(node.node.output) > 1:
        refuse(f"pads {begin} and {end}: no Pooling of Caffe gives {top[2:]} of {shape[2:]}")
    p = node.layer("Pooling").pooling_param
    p.pool = AVE if node.op == "AveragePool" else MAX
    for name, values, default in (("kernel", kernel, 0), ("stride", stride, 1), ("pad", begin, 0)):
        if len(set(values)) == 1:
            if values[0] != default:
                setattr(p, "kernel_size" if name == "kernel" else name, values[0])
        else:
            for side, value in zip("hw", values, strict=True):
                setattr(p, f"{name}_{side}", value)
    if modes == [True]:
        p.round_mode = 1


def _sizes(image: Any, kernel: Any, stride: Any, pad: Any, down: bool) -> tuple[int, ...]:
    found = []
    for size, k, s, p in zip(image, kernel, stride, pad, strict=True):
        room = size + 2 * p - k
        n = (room // s if down else -(-room // s)) + 1
        found.append(n - (any(pad) and (n - 1) * s >= size + p))
    return tuple(found)


def global_pooling(node: Any) -> None:
    p = node.layer("Pooling").pooling_param
    p.pool, p.global_pooling = (AVE if node.op == "GlobalAveragePool" else MAX), True


def gemm(node: Any) -> None:
    """alpha A B + beta C with constant B and C is an InnerProduct."""
    a = node.attributes
    if a.get("transA") or len(node.shape(0)) != 2:
        refuse("a matrix product that no InnerProduct of Caffe computes")
    w = node.weight(1) * a.get("alpha", 1.0)
    w = w if a.get("transB") else w.T
    b = node.weight(2) * a.get("beta", 1.0) if len(node.inputs) > 2 and node.inputs[2] else None
    if w.ndim != 2 or (b is not None and b.size not in (1, len(w))):
        refuse("a matrix product that no InnerProduct of Caffe computes")
    blobs = [w] if b is None else [w, np.broadcast_to(b.reshape(-1), (len(w),))]
    p = node.layer("InnerProduct", blobs).inner_product_param
    p.num_output = len(w)
    if b is None:
        p.bias_term = False


def batch_norm(node: Any) -> None:
    """A BatchNorm with the statistics, and a Scale behind it where it does something."""
    g, b, mean, variance = (node.weight(i) for i in range(1, 5))
    plain = np.all(g == 1) and np.all(b == 0)
    layer = node.layer("BatchNorm", [mean, variance, np.ones(1, np.float32)], last=bool(plain))
    layer.batch_norm_param.eps = node.attributes.get("epsilon", 1e-5)
    if not plain:
        node.layer("Scale", [g, b]).scale_param.bias_term = True


def activation(node: Any) -> None:
    simple = {"Relu": "ReLU", "Sigmoid": "Sigmoid", "Tanh": "TanH", "Abs": "AbsVal", "Softplus": "BNLL", "Log": "Log"}
    node.layer({**simple, "Exp": "Exp", "Dropout": "Dropout", "Identity": "Split"}[node.op])


def leaky(node: Any) -> None:
    node.layer("ReLU").relu_param.negative_slope = node.attributes.get("alpha", 0.01)


def elu(node: Any) -> None:
    node.layer("ELU").elu_param.alpha = node.attributes.get("alpha", 1.0)


def prelu(node: Any) -> None:
    slope, channels = node.weight(1), node.shape(0)[1]
    if slope.size not in (1, channels):
        refuse(f"{slope.size} slopes for {channels} channels")
    layer = node.layer("PReLU", [slope.reshape(-1) if slope.size > 1 else slope.reshape(())])
    if slope.size == 1:
        layer.prelu_param.channel_shared = True


def clip(node: Any) -> None:
    low, high = (node.weight(i) if len(node.inputs) > i and node.inputs[i] else None for i in (1, 2))
    p = node.layer("Clip").clip_param
    p.min = float(low) if low is not None else -float(np.finfo(np.float32).max)
    p.max = float(high) if high is not None else float(np.finfo(np.float32).max)


def softmax(node: Any) -> None:
    node.layer("Softmax").softmax_param.axis = node.attributes.get("axis", -1)


def lrn(node: Any) -> None:
    p, a = node.layer("LRN").lrn_param, node.attributes
    p.local_size, p.alpha, p.beta, p.k = a["size"], a.get("alpha", 1e-4), a.get("beta", 0.75), a.get("bias", 1.0)


def concat(node: Any) -> None:
    node.layer("Concat", bottoms=node.inputs).concat_param.axis = node.attributes["axis"]


def flatten(node: Any) -> None:
    if node.attributes.get("axis", 1) != 1:
        refuse(f"axis {node.attributes['axis']}; want 1")
    node.layer("Flatten")


def reshape(node: Any) -> None:
    node.layer("Reshape").reshape_param.shape.dim.extend(int(d) for d in node.weight(1))


def combine(node: Any) -> None:
    """Add, Sub, Mul, Div, Sum, Max: of blobs an Eltwise, with a constant a Power, Scale or Bias."""
    constant = [i for i, name in enumerate(node.inputs) if node.is_constant(name)]
    if constant:
        return with_constant(node, constant[0])
    if any(node.shape(i) != node.shape(0) for i in range(len(node.inputs))) or node.op == "Div":
        refuse("blobs of shapes that no Eltwise of Caffe combines")
    p = node.layer("Eltwise", bottoms=node.inputs).eltwise_param
    p.operation = {"Mul": PROD, "Max": LARGEST}.get(node.op, SUM)
    if node.op == "Sub":
        p.coeff.extend([1, -1])


def with_constant(node: Any, i: int) -> None:
    c, x = node.weight(i), node.shape(1 - i)
    if node.op == "Max" or len(node.inputs) != 2 or (i == 0 and node.op in ("Sub", "Div")):
        refuse("a constant that no layer of Caffe has a place for")
    c = {"Sub": -c, "Div": 1 / c if np.all(c) else c}.get(node.op, c)
    multiplies = node.op in ("Mul", "Div")
    if c.size == 1:
        p = node.layer("Power", bottoms=[node.inputs[1 - i]]).power_param
        setattr(p, "scale" if multiplies else "shift", float(c.reshape(())))
        return
    aligned = c.reshape((1,) * (len(x) - c.ndim) + c.shape)
    if len(x) < 2 or c.ndim > len(x) or aligned.size != x[1] or aligned.shape[1] != x[1]:
        refuse(f"a constant of shape {c.shape} for a blob of shape {x}; want one number, or one for each channel")
    node.layer("Scale" if multiplies else "Bias", [aligned.reshape(-1)], bottoms=[node.inputs[1 - i]])


def power(node: Any) -> None:
    exponent = node.weight(1)
    if exponent.size != 1:
        refuse("several exponents; a Power of Caffe has one")
    node.layer("Power").power_param.power = float(exponent.reshape(()))


def split(node: Any) -> None:
    sizes = [node.top_shape(t)[node.attributes.get("axis", 0)] for t in range(len(node.node.output))]
    p = node.layer("Slice").slice_param
    p.axis = node.attributes.get("axis", 0)
    p.slice_point.extend(int(v) for v in np.cumsum(sizes)[:-1])


def pad(node: Any) -> None:
    """Zeros around an image, which the operation that follows takes over."""
    pads = node.weight(1).astype(int).tolist() if len(node.inputs) > 1 else node.attributes["pads"]
    value = node.weight(2) if len(node.inputs) > 2 and node.inputs[2] else 0
    n = len(pads) // 2
    if node.attributes.get("mode", "constant") not in ("constant", b"constant") or np.any(value):
        refuse("padding other than zeros")
    if any(pads[:2]) or any(pads[n : n + 2]) or min(pads) < 0:
        refuse("padding of other axes than an image's")
    node.postpone(pads[2:n], pads[n + 2 :])


@hookimpl
def netdef_importers() -> dict[str, Any]:
    found = {"Conv": convolution, "ConvTranspose": convolution, "MaxPool": pooling, "AveragePool": pooling}
    found |= {"GlobalAveragePool": global_pooling, "GlobalMaxPool": global_pooling, "Gemm": gemm, "MatMul": gemm}
    found |= dict.fromkeys(
        ("Relu", "Sigmoid", "Tanh", "Abs", "Softplus", "Log", "Exp", "Dropout", "Identity"), activation
    )
    found |= dict.fromkeys(("Add", "Sub", "Mul", "Div", "Sum", "Max"), combine)
    found |= {"LeakyRelu": leaky, "Elu": elu, "PRelu": prelu, "Clip": clip, "Softmax": softmax, "LRN": lrn}
    found |= {"Concat": concat, "Flatten": flatten, "Reshape": reshape, "Pow": power, "Split": split, "Pad": pad}
    return found | {"BatchNormalization": batch_norm}
