"""Conformance to netdef's contract, and the pull to 0 beside the gradient of a net with an L1 loss."""

import numpy as np
import pytest

from netdef import prototxt, registry
from netdef.errors import LayerError
from netdef.net import Net
from netdef.testing import check_layer

NET = """
force_backward: true
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "y" type: "Sparsify" bottom: "x" top: "OUT" sparsify_param { OPTIONS } }
layer { name: "loss" type: "EuclideanLoss" bottom: "OUT" bottom: "t" top: "loss" }
"""
WITH_L1 = """
layer { name: "l1" type: "Reduction" bottom: "x" top: "l1" loss_weight: 0.25 reduction_param { operation: ASUM } }
"""


def test_conforms(netdef_case):
    check_layer(netdef_case)


def gradient(text):
    net = Net(prototxt.parse(text, registry.default().schema.message("NetParameter")), 0, dtype=np.float64)
    rng = np.random.default_rng(2)
    net.blobs["x"].data[...], net.blobs["t"].data[...] = rng.normal(size=(2, 2, 3))
    net.blobs["x"].data[0, 0] = 0
    net.forward()
    net.backward()
    return float(net.blobs["loss"].data), net.blobs["x"].diff.copy()


@pytest.mark.parametrize("out", ["y", "x"])
def test_the_pull_is_that_of_an_l1_loss_which_is_not_shown(out):
    loss, dx = gradient(NET.replace("OUT", out).replace("OPTIONS", "coef: 0.25"))
    plain, want = gradient(NET.replace("OUT", "y").replace("OPTIONS", "") + WITH_L1)
    assert loss == plain
    np.testing.assert_allclose(dx, want)


@pytest.mark.parametrize(("options", "message"), [("coef: -1", "coef is -1"), ("thre: 0.1", "thre is 0.1")])
def test_refused(options, message):
    with pytest.raises(LayerError, match=message):
        gradient(NET.replace("OUT", "y").replace("OPTIONS", options))
