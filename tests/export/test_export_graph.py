"""What layers call to build their operations, against NumPy."""

import numpy as np
import pytest
import toys

from netdef.export import build, verify
from netdef.layer import ParameterFree

DATA = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 3 dim: 5 dim: 6 } } }'
CUT = 'layer { name: "cut" type: "Cut" bottom: "data" top: "y" }'


class Cut(ParameterFree):
    """x[slices], in ONNX by the graph's cut with these bounds."""

    type, reads = "Cut", ()
    slices, bounds = (), ()

    def infer(self, x):
        return [np.empty(x)[self.slices].shape]

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data[self.slices]

    def backward(self, top, propagate_down, bottom):
        raise NotImplementedError

    def to_onnx(self, graph, inputs):
        return [graph.cut(inputs[0], *self.bounds)]


@pytest.mark.parametrize(
    ("slices", "bounds"),
    [
        (np.s_[:, 1:3], (1, 1, 3)),
        (np.s_[1:], (0, 1)),
        (np.s_[:, :-1], (1, None, -1)),
        (np.s_[:, :, -2:], (-1, -2)),
        (np.s_[:, ::-1], (1, None, None, -1)),
        (np.s_[:, :, 4:1:-2], (2, 4, 1, -2)),
        (np.s_[:, 3::-1, ::-1], ((1, 2), (3, None), None, -1)),
        (np.s_[:, 1:-1, 1:-1], (range(1, 3), 1, -1)),
        (np.s_[:, 1:4, 2:], ((1, 2), (1, 2), (4, None))),
    ],
)
def test_a_cut_is_numpys(slices, bounds):
    kind = type("Cut", (Cut,), {"slices": slices, "bounds": bounds})
    net = toys.net(DATA + CUT, registry_=toys.registry(kind))
    exported = build(net)
    assert [node.op_type for node in exported.model.graph.node] == ["Slice"]
    assert verify(net, exported).difference == 0


class Shorter(Cut):
    """All but the last two images, counted from the batch size."""

    type = "Cut"
    slices = np.s_[:-2]

    def to_onnx(self, graph, inputs):
        return [graph.cut(inputs[0], 0, 0, graph.sizes(inputs[0])[0] - 2)]


def test_a_bound_may_be_a_size_that_stays_open():
    net = toys.net(DATA + CUT, registry_=toys.registry(Shorter))
    exported = build(net, dynamic=["batch"])
    assert len(exported.sizes) == 2
    assert verify(net, exported).difference == 0
