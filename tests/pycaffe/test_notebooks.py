"""What Caffe's notebooks do, from end to end: surgery, a training loop by hand, fine-tuning, gradients of an image."""

import numpy as np
import pytest

CLASSIFY = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 6 dim: 6 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "gaussian" std: 1 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
"""
DENSE = """layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "score"
  inner_product_param { num_output: 5 weight_filler { type: "gaussian" std: 1 } } }"""
MAP = """layer { name: "fc-conv" type: "Convolution" bottom: "conv" top: "score"
  convolution_param { num_output: 5 kernel_size: 4 } }"""


@pytest.fixture
def x():
    return np.random.default_rng(3).standard_normal((2, 3, 6, 6)).astype("f4")


def test_a_fully_connected_layer_becomes_a_convolution_by_hand(caffe, folder, x):
    (folder / "dense.prototxt").write_text(CLASSIFY + DENSE)
    (folder / "map.prototxt").write_text(CLASSIFY + MAP)
    dense = caffe.Net("dense.prototxt", caffe.TEST)
    dense.save("dense.caffemodel")
    full = caffe.Net("map.prototxt", "dense.caffemodel", caffe.TEST)
    full.params["fc-conv"][0].data.flat = dense.params["fc"][0].data.flat
    full.params["fc-conv"][1].data[...] = dense.params["fc"][1].data
    want = dense.forward(data=x)["score"]
    assert full.forward(data=x)["score"][:, :, 0, 0] == pytest.approx(want, rel=1e-4, abs=1e-4)
    full.blobs["data"].reshape(1, 3, 8, 7)
    full.reshape()
    full.blobs["data"].data[0, :, 2:, 1:] = x[1]
    assert full.forward()["score"].shape == (1, 5, 3, 2)
    assert full.blobs["score"].data[0, :, 2, 1] == pytest.approx(want[1], rel=1e-4, abs=1e-4)


def spec(caffe, learns):
    """A net of two inner products under a loss; the first learns or not, the second bears another name."""
    n, rates = caffe.NetSpec(), [{"lr_mult": learns}, {"lr_mult": 2 * learns, "decay_mult": 0}]
    shape = [{"dim": [4, 3]}, {"dim": [4]}]
    fillers = [{"type": "gaussian"}, {"type": "constant", "value": 1}]
    n.data, n.label = caffe.layers.DummyData(shape=shape, data_filler=fillers, ntop=2)
    n.fc = caffe.layers.InnerProduct(n.data, num_output=5, weight_filler={"type": "xavier"}, param=rates)
    n.relu = caffe.layers.ReLU(n.fc, in_place=True)
    score = caffe.layers.InnerProduct(n.relu, num_output=3, weight_filler={"type": "xavier"})
    setattr(n, "old" if learns else "new", score)
    n.loss = caffe.layers.SoftmaxWithLoss(score, n.label)
    n.accuracy = caffe.layers.Accuracy(score, n.label)
    return n.to_proto()


def solver_file(caffe, net):
    """A solver as scripts make it: a message, written as text."""
    s = caffe.proto.caffe_pb2.SolverParameter()
    s.train_net, s.base_lr, s.lr_policy, s.momentum, s.max_iter = net, 0.1, "fixed", 0.9, 100
    s.test_net.append(net)
    s.test_iter.append(1)
    s.test_interval = 1000
    s.solver_mode = caffe.proto.caffe_pb2.SolverParameter.GPU
    return str(s)


def test_fine_tuning_keeps_what_is_frozen_and_learns_what_is_renamed(caffe, folder):
    (folder / "old.prototxt").write_text(str(spec(caffe, 1)))
    (folder / "new.prototxt").write_text(str(spec(caffe, 0)))
    (folder / "solver.prototxt").write_text(solver_file(caffe, "new.prototxt"))
    old = caffe.Net("old.prototxt", caffe.TRAIN)
    old.save("old.caffemodel")
    solver = caffe.get_solver("solver.prototxt")
    solver.net.copy_from("old.caffemodel")
    assert np.array_equal(solver.net.params["fc"][0].data, old.params["fc"][0].data)
    begin = solver.net.params["new"][0].data.copy()
    losses = []
    for _ in range(20):
        solver.step(1)
        losses.append(float(solver.net.blobs["loss"].data))
    assert losses[-1] < 0.5 * losses[0]
    assert np.array_equal(solver.net.params["fc"][0].data, old.params["fc"][0].data)
    assert not np.array_equal(solver.net.params["new"][0].data, begin)
    assert solver.test_nets[0].forward()["accuracy"] == 1
    before = solver.test_nets[0].blobs["data"].data.copy()
    solver.test_nets[0].forward(start="fc")  # the same batch once more
    assert np.array_equal(solver.test_nets[0].blobs["data"].data, before)


def test_an_image_is_changed_along_the_gradient_of_a_layer(caffe, folder, x):
    (folder / "dream.prototxt").write_text("force_backward: true\n" + CLASSIFY + DENSE)
    net = caffe.Net("dream.prototxt", caffe.TEST)
    source, wanted = net.blobs["data"], net.blobs["conv"]
    source.data[...] = x
    net.forward(end="relu")
    before = float((wanted.data**2).sum())
    wanted.diff[...] = wanted.data
    net.backward(start="relu")
    source.data[...] += 0.01 * source.diff
    net.forward(end="relu")
    assert float((wanted.data**2).sum()) > before
