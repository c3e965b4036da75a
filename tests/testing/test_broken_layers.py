"""Layers that break the contract, each in one way: check_layer must find it and say so in the author's words."""

import re

import numpy as np
import pytest
import toys

from netdef.layer import Layer, ParameterFree
from netdef.testing import BrokenPromiseError, check_gradient, check_layer

DATA = 'layer { name: "data" type: "Input" top: "x" input_param { shape { dim: 3 dim: 4 } } }\n'
TWO = DATA.replace('top: "x"', 'top: "x" top: "z"')


def one(kind, bottoms="x", tops="y"):
    names = "".join(f' bottom: "{b}"' for b in bottoms) + "".join(f' top: "{t}"' for t in tops)
    head = TWO if "z" in bottoms else DATA
    return head + f'layer {{ name: "it" type: "{kind}"{names} }}'


class Cube(ParameterFree):
    """y = x^3"""

    type = "Cube"

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data ** 3

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 3 * bottom[0].data ** 2 * top[0].diff

    def to_onnx(self, graph, inputs):
        return [graph.op("Mul", [inputs[0], graph.op("Mul", [inputs[0], inputs[0]])])]


class Gain(Layer):
    """y = w x, w for each column"""

    type = "Gain"

    def setup(self, bottom_shapes):
        self.add_blob(bottom_shapes[0][1:])

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data * self.blobs[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = top[0].diff * self.blobs[0].data

    def update(self, top, bottom):
        self.blobs[0].diff[...] += (top[0].diff * bottom[0].data).sum(0)

    def to_onnx(self, graph, inputs):
        return [graph.op("Mul", [inputs[0], graph.weight(self, 0)])]


class Product(ParameterFree):
    """y = x z"""

    type, bottoms = "Product", 2

    def infer(self, x, z):
        return [x]

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data * bottom[1].data

    def backward(self, top, propagate_down, bottom):
        for j in (0, 1):
            if propagate_down[j]:
                bottom[j].diff[...] = top[0].diff * bottom[1 - j].data

    def to_onnx(self, graph, inputs):
        return [graph.op("Mul", inputs)]


def test_right_layers_pass():
    registry = toys.registry(Cube, Gain, Product)
    for case in (one("Cube"), one("Gain"), one("Product", "xz"), one("Relu"), one("Halves", "x", "ab")):
        check_layer(case, registry=registry)


def broken(base, case=None, says="", **members):
    """A test parameter: a subclass with some members replaced, the net that shows it, and what must be said."""
    name = members.pop("name")
    cls = type(name, (base,), {"type": name, "__doc__": base.__doc__} | members)
    return pytest.param(cls, case or one(name), says, id=name)


def half_backward(self, top, propagate_down, bottom):
    bottom[0].diff[...] = 3 * bottom[0].data ** 2 * top[0].diff
    bottom[0].diff[1, 2] *= 0.999


def adding_backward(self, top, propagate_down, bottom):
    bottom[0].diff[...] += 3 * bottom[0].data ** 2 * top[0].diff


def partial_backward(self, top, propagate_down, bottom):
    Cube.backward(self, top, propagate_down, bottom)


def writing_update(self, top, bottom):
    self.blobs[0].diff[...] = (top[0].diff * bottom[0].data).sum(0)


def wrong_update(self, top, bottom):
    self.blobs[0].diff[...] += (top[0].diff * bottom[0].data).mean(0)


def hungry_update(self, top, bottom):
    Gain.update(self, top, bottom)
    top[0].diff[...] = 0


def scribbling_backward(self, top, propagate_down, bottom):
    Cube.backward(self, top, propagate_down, bottom)
    top[0].data[...] = 0


def deaf_backward(self, top, propagate_down, bottom):
    for j in (0, 1):
        bottom[j].diff[...] = top[0].diff * bottom[1 - j].data


def random_forward(self, bottom, top):
    top[0].data[...] = bottom[0].data ** 3 + np.random.default_rng().normal(size=bottom[0].shape)


def counting_forward(self, bottom, top):
    self.calls = getattr(self, "calls", 0) + 1
    top[0].data[...] = bottom[0].data ** 3 + self.calls


def adding_forward(self, bottom, top):
    top[0].data[...] += bottom[0].data ** 3


def remembering_setup(self, bottom_shapes):
    self.rows = bottom_shapes[0][0]


def remembering_forward(self, bottom, top):
    top[0].data[...] = bottom[0].data ** 3
    top[0].data[self.rows :] = 0


def single_forward(self, bottom, top):
    top[0].data[...] = bottom[0].data ** 3
    if self.dtype == np.float32:
        top[0].data[...] *= 1.01


def wrong_onnx(self, graph, inputs):
    return [graph.op("Mul", inputs * 2)]


def misshapen_onnx(self, graph, inputs):
    return [graph.op("Reshape", [graph.op("Mul", [*inputs, *[graph.op("Mul", inputs * 2)]]), graph.const([4, 3])])]


def no_onnx(self, graph, inputs):
    return Layer.to_onnx(self, graph, inputs)


def jagged_forward(self, bottom, top):
    top[0].data[...] = np.floor(1e7 * bottom[0].data) / 1e7


def affine(self):
    return self.blobs[0].data, np.zeros_like(self.blobs[0].data)


def affine_without_a_term(self):
    return self.blobs[0].data, np.ones_like(self.blobs[0].data)


def twice_in_place(self, bottom, top):
    Gain.forward(self, bottom, top)
    if bottom[0] is top[0]:
        Gain.forward(self, bottom, top)


def forward_alone(self, bottom, top, affine, rectified):
    self.forward(bottom, top)


BROKEN = [
    broken(Cube, name="Half", backward=half_backward, says=r"backward to bottom 'x'.* at \(1, 2\) it is"),
    broken(Cube, name="Adding", backward=adding_backward, says=r"must write bottom 0 \('x'\)'s diff"),
    broken(Cube, name="Scribbling", backward=scribbling_backward, says="changes the data of top 0"),
    broken(Cube, name="LyingReads", reads=("top",), says=r"reads the bottom's data, but .* reads = \('top',\)"),
    broken(Cube, name="LyingInPlace", in_place=True, says="in place differs from out of place: gradient of input 'x'"),
    broken(Cube, name="Random", forward=random_forward, says="the same pass run twice differs"),
    broken(Cube, name="Counting", forward=counting_forward, says="the same pass run twice differs"),
    broken(Cube, name="AddingForward", forward=adding_forward, says="must write its tops"),
    broken(
        Cube,
        name="Remembering",
        setup=remembering_setup,
        forward=remembering_forward,
        says="reshaped to twice the batch it differs from a net of that size: .*top 'y'",
    ),
    broken(Cube, name="Single", forward=single_forward, says="float32 differs from float64: .*top 'y'"),
    broken(Cube, name="WrongOnnx", to_onnx=wrong_onnx, says="ONNX: .*layer 'it'.* is the first where"),
    broken(Cube, name="MisshapenOnnx", to_onnx=misshapen_onnx, says="ONNX: "),
    broken(
        Cube,
        name="NoOnnx",
        to_onnx=no_onnx,
        says=r"ONNX: .*'it' \(NoOnnx\): NoOnnx has no ONNX form; write to_onnx, or end",
    ),
    broken(Cube, name="Jagged", forward=jagged_forward, says="never agreed about the slope"),
    broken(Cube, name="LyingRectifier", rectifies=True, says=r"says rectifies, but y is not max\(0, x\): y"),
    broken(Gain, name="LyingAffine", as_affine=affine_without_a_term, says=r"as_affine gives \(g, b\), but y is not"),
    broken(Gain, name="NotInPlace", forward=twice_in_place, as_affine=affine, says="in place y is not g x"),
    broken(Gain, name="Absorber", absorbs=("affine",), forward_then=forward_alone, says="forward_then is not forward"),
    broken(Gain, name="Absorber2", absorbs=("rectified",), forward_then=forward_alone, says="forward_then is not"),
    broken(Gain, name="WritingUpdate", update=writing_update, says="update must add to the diff of parameter 0"),
    broken(Gain, name="WrongUpdate", update=wrong_update, says=r"update of parameter 0: .* at \(\d,\) it is"),
    broken(Gain, name="HungryUpdate", update=hungry_update, says="update changes the diff of top 0"),
    broken(
        Product,
        one("Deaf", "xz"),
        name="Deaf",
        backward=deaf_backward,
        says=r"writes the diff of bottom 0 \('x'\) though propagate_down\[0\] is false",
    ),
]


@pytest.mark.parametrize(("cls", "case", "says"), BROKEN)
def test_a_broken_promise_is_found(cls, case, says):
    with pytest.raises(BrokenPromiseError, match=says):
        check_layer(case, registry=toys.registry(cls))


def test_an_exception_is_a_fault_and_the_other_checks_go_on():
    def forward(self, bottom, top):
        if self.dtype == np.float32:
            raise IndexError("out of reach")
        Cube.forward(self, bottom, top)

    cls = type("Raises", (Cube,), {"type": "Raises", "forward": forward})
    with pytest.raises(BrokenPromiseError, match=r"single precision, onnx form.*: .*layer 'it'.*out of reach"):
        check_layer(one("Raises"), registry=toys.registry(cls))


def test_a_refusal_promised_and_not_given_is_a_fault():
    registry = toys.registry(Cube)
    with pytest.raises(BrokenPromiseError, match=r"says that there is no form \(it is odd\)"):
        check_layer(one("Cube"), registry=registry, onnx="it is odd")
    check_layer(one("Opaque"), registry=registry, onnx="opaque")


def test_gradients_alone():
    half = next(p.values[0] for p in BROKEN if p.id == "Half")
    registry = toys.registry(half, Cube)
    check_gradient(one("Cube"), registry=registry)
    with pytest.raises(BrokenPromiseError) as e:
        check_gradient(one("Half"), registry=registry)
    assert len(str(e.value).splitlines()) == 2
    assert re.search(r"along a random direction the gradient is \S+, forward moves by \S+;", str(e.value))


def test_kinks_are_stepped_around():
    check_gradient(one("Relu"), registry=toys.registry(), ranges={"x": "uniform:-0.0001:0.0001"})
