"""An input is one blob under its name, as in Caffe, whatever a layer does to it in place."""

import nets
import numpy as np
import toys

INPUT = 'force_backward: true layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 } } }'


def test_an_input_made_anew_in_place_is_still_where_one_writes():
    text = INPUT + ' layer { name: "opaque" type: "Opaque" bottom: "data" top: "data" }'
    text += ' layer { name: "same" type: "Same" bottom: "data" top: "out" }'
    net = toys.net(text)
    net.blobs["data"].data[...] = 7
    net.forward()
    assert (net.blobs["out"].data == 7).all()


def test_what_is_written_read_and_its_gradient_are_one_blob():
    text = INPUT + ' layer { name: "square" type: "Power" bottom: "data" top: "data" power_param { power: 2 } }'
    check(nets.net(text))


def test_the_same_with_planned_memory():
    text = INPUT + ' layer { name: "square" type: "Power" bottom: "data" top: "data" power_param { power: 2 } }'
    check(nets.net(text, plan=True))


def check(net):
    for shape in ((1, 3), (2, 3)):
        net.blobs["data"].reshape(*shape)
        x = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
        net.blobs["data"].data[...] = x
        net.forward()
        np.testing.assert_allclose(net.blobs["data"].data, x * x)
        net.blobs["data"].diff[...] = 1
        net.backward()
        np.testing.assert_allclose(net.blobs["data"].diff, 2 * x)
