"""pycaffe's Net as scripts use it: names, argument order, arrays assigned through [...]."""

import h5py
import numpy as np
import pytest

from netdef.errors import LayerError, NetdefError, WeightsError

X = np.random.default_rng(0).standard_normal((4, 3)).astype("f4")


def written_out(net, x):
    (w1, b1), (w2, b2) = ([b.data for b in net.params[name]] for name in ("ip1", "ip2"))
    return np.maximum(x @ w1.T + b1, 0) @ w2.T + b2


@pytest.fixture
def net(caffe):
    return caffe.Net("net.prototxt", caffe.TEST)


def test_everything_a_script_may_ask_for_is_there(caffe, net):
    names = "Net SGDSolver NesterovSolver AdaGradSolver RMSPropSolver AdaDeltaSolver AdamSolver get_solver"
    names += " set_mode_cpu set_mode_gpu set_device set_random_seed layer_type_list TRAIN TEST Layer io NetSpec"
    names += " Classifier Detector draw coord_map"
    assert [name for name in names.split() if not hasattr(caffe, name)] == []
    names = "blobs params layers layer_dict inputs outputs top_names bottom_names forward backward forward_all"
    names += " forward_backward_all reshape copy_from share_with save load_hdf5 save_hdf5 clear_param_diffs"
    names += " blob_loss_weights set_input_arrays name _layer_names _blob_names"
    assert [name for name in names.split() if not hasattr(net, name)] == []
    assert (caffe.TRAIN, caffe.TEST) == (0, 1)
    assert {"Convolution", "InnerProduct", "ReLU", "SoftmaxWithLoss"} <= set(caffe.layer_type_list())


def test_settings_that_mean_nothing_here_are_accepted(caffe):
    caffe.set_mode_cpu()
    caffe.set_mode_gpu()
    caffe.set_device(0)
    caffe.set_multiprocess(True)
    caffe.set_solver_count(1)
    caffe.set_solver_rank(0)
    caffe.init_log(0)
    caffe.log("said")
    assert (caffe.solver_count(), caffe.solver_rank(), caffe.has_nccl()) == (1, 0, False)
    with pytest.raises(NetdefError, match="4 solvers side by side"):
        caffe.set_solver_count(4)


def test_names_and_shapes(net):
    assert net.name == "small"
    assert list(net.blobs) == ["data", "ip1", "ip2"]
    assert {name: blob.data.shape for name, blob in net.blobs.items()} == {"data": (4, 3), "ip1": (4, 5), "ip2": (4, 2)}
    assert list(net.params) == ["ip1", "ip2"]
    assert [b.data.shape for b in net.params["ip1"]] == [(5, 3), (5,)]
    assert (net.inputs, net.outputs) == (["data"], ["ip2"])
    assert net.top_names == {"in": ["data"], "ip1": ["ip1"], "relu": ["ip1"], "ip2": ["ip2"]}
    assert net.bottom_names == {"in": [], "ip1": ["data"], "relu": ["ip1"], "ip2": ["ip1"]}
    assert list(net._layer_names) == ["in", "ip1", "relu", "ip2"]
    assert [layer.type for layer in net.layers] == ["Input", "InnerProduct", "ReLU", "InnerProduct"]
    assert [len(layer.blobs) for layer in net.layers] == [0, 2, 0, 2]
    assert net.layer_dict["ip2"] is net.layers[3]
    assert net.layers[1].blobs[0].data is net.params["ip1"][0].data


def test_an_array_is_assigned_and_the_net_run(net):
    net.blobs["data"].data[...] = X
    out = net.forward()
    assert list(out) == ["ip2"]
    assert out["ip2"] == pytest.approx(written_out(net, X), rel=1e-5)
    assert out["ip2"] is net.blobs["ip2"].data, "the array itself, as in pycaffe"


def test_inputs_as_arguments(net):
    assert net.forward(data=X)["ip2"] == pytest.approx(written_out(net, X), rel=1e-5)
    with pytest.raises(ValueError, match=r"do not match net inputs.*Given: dat; the net has: data"):
        net.forward(dat=X)
    with pytest.raises(ValueError, match=r"'data' is not batch sized: \(3, 3\) given, \(4, 3\) needed"):
        net.forward(data=X[:3])


def test_blobs_asked_for_and_part_of_the_net(net):
    out = net.forward(data=X, blobs=["ip1"])
    assert sorted(out) == ["ip1", "ip2"]
    net.blobs["ip1"].data[...] = 1
    out = net.forward(start="ip2")
    assert out["ip2"] == pytest.approx(net.params["ip2"][0].data.sum(1) + 0 * out["ip2"], rel=1e-5)
    net.blobs["ip2"].data[...] = 77
    out = net.forward(end="relu", data=X)
    assert list(out) == ["ip1"]
    assert (net.blobs["ip2"].data == 77).all()
    assert (out["ip1"] >= 0).all()
    with pytest.raises(LayerError, match=r"no layer 'reluu'.*did you mean 'relu'"):
        net.forward(end="reluu")


def test_backward_with_diffs_given_and_asked_for(caffe, folder):
    path = folder / "net.prototxt"
    path.write_text("force_backward: true\n" + path.read_text())
    net = caffe.Net("net.prototxt", caffe.TRAIN)
    net.forward(data=X)
    delta = np.random.default_rng(1).standard_normal((4, 2)).astype("f4")
    back = net.backward(ip2=delta, diffs=["ip1"])
    assert sorted(back) == ["data", "ip1"]
    (w1, b1), (w2, _) = ([b.data for b in net.params[name]] for name in ("ip1", "ip2"))
    hidden = delta @ w2 * (X @ w1.T + b1 > 0)
    assert back["data"] == pytest.approx(hidden @ w1, rel=1e-4)
    assert net.params["ip1"][0].diff == pytest.approx(hidden.T @ X, rel=1e-4)
    assert net.params["ip2"][1].diff == pytest.approx(delta.sum(0), rel=1e-5)
    net.clear_param_diffs()
    assert not net.params["ip1"][0].diff.any()
    net.forward(data=X)
    net.blobs["ip1"].diff[...] = 1
    back = net.backward(start="ip1", end="ip1")
    assert list(back) == ["data"]
    assert back["data"] == pytest.approx(np.tile(w1.sum(0), (4, 1)), rel=1e-5)
    with pytest.raises(ValueError, match="do not match net outputs"):
        net.backward(ip1=delta)


@pytest.mark.parametrize("items", [1, 4, 5, 8, 11])
def test_forward_all_takes_any_number_of_items(net, items):
    x = np.random.default_rng(items).standard_normal((items, 3)).astype("f4")
    out = net.forward_all(data=x, blobs=["ip1"])
    assert out["ip2"].shape == (items, 2)
    assert out["ip2"] == pytest.approx(written_out(net, x), rel=1e-4, abs=1e-5)
    assert out["ip1"].shape == (items, 5)


def test_a_loss_is_a_number_a_batch(caffe, folder):
    text = (folder / "net.prototxt").read_text()
    target = 'layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 4 dim: 2 } } }'
    loss = 'layer { name: "l" type: "EuclideanLoss" bottom: "ip2" bottom: "t" top: "loss" }'
    (folder / "loss.prototxt").write_text(text + target + loss)
    net = caffe.Net("loss.prototxt", caffe.TEST)
    x, t = np.random.default_rng(1).standard_normal((2, 8, 3)).astype("f4")[:, :, :3]
    out = net.forward_all(data=x, t=t[:, :2], blobs=["ip2"])
    each = ((out["ip2"] - t[:, :2]) ** 2).reshape(2, -1).sum(1) / 8
    assert out["loss"] == pytest.approx(each, rel=1e-5)
    assert net.forward_all()["loss"] == pytest.approx(each[1:], rel=1e-5)  # no inputs: one batch, as it lies there


def test_layers_by_number(caffe, folder):
    path = folder / "net.prototxt"
    path.write_text("force_backward: true\n" + path.read_text())
    net = caffe.Net("net.prototxt", caffe.TEST)
    net.blobs["data"].data[...] = X
    assert net._forward(0, len(net.layers) - 1) == 0
    assert net.blobs["ip2"].data == pytest.approx(written_out(net, X), rel=1e-5)
    assert [net._blob_names[i] for i in net._inputs + net._outputs] == ["data", "ip2"]
    assert net._blobs[1] is net.blobs["ip1"]
    net.blobs["ip2"].diff[...] = 1
    net._backward(3, 0)
    assert net.params["ip2"][1].diff == pytest.approx([4, 4])


def test_forward_backward_all(caffe, folder):
    path = folder / "net.prototxt"
    path.write_text("force_backward: true\n" + path.read_text())
    net = caffe.Net("net.prototxt", caffe.TRAIN)
    rng = np.random.default_rng(2)
    x, delta = rng.standard_normal((6, 3)).astype("f4"), rng.standard_normal((6, 2)).astype("f4")
    out, back = net.forward_backward_all(data=x, ip2=delta, diffs=["ip1"])
    assert out["ip2"] == pytest.approx(written_out(net, x), rel=1e-4, abs=1e-5)
    (w1, b1), (w2, _) = ([b.data for b in net.params[name]] for name in ("ip1", "ip2"))
    assert back["data"] == pytest.approx((delta @ w2 * (x @ w1.T + b1 > 0)) @ w1, rel=1e-4, abs=1e-5)
    assert back["ip1"].shape == (6, 5)


def test_reshape(net):
    net.blobs["data"].reshape(2, 3)
    net.reshape()
    assert net.blobs["ip2"].data.shape == (2, 2)
    assert net.forward(data=X[:2])["ip2"] == pytest.approx(written_out(net, X[:2]), rel=1e-5)
    net.blobs["data"].reshape(6, 3)
    net.blobs["data"].data[...] = 1
    assert net.forward()["ip2"].shape == (6, 2)


def same(one, two):
    return all(
        np.array_equal(a.data, b.data)
        for name in one.params
        for a, b in zip(one.params[name], two.params[name], strict=True)
    )


@pytest.mark.parametrize(
    ("save", "load"), [("save", "copy_from"), ("save_hdf5", "load_hdf5"), ("save_hdf5", "copy_from")]
)
def test_saved_and_loaded(caffe, net, save, load):
    other = caffe.Net("net.prototxt", caffe.TEST)
    net.params["ip1"][0].data[...] = X[0, 0]
    getattr(net, save)("w")
    assert h5py.is_hdf5("w") == (save == "save_hdf5")
    assert not same(net, other)
    getattr(other, load)("w")
    assert same(net, other)


def test_the_ways_to_open_a_net(caffe, net, folder):
    net.params["ip2"][1].data[...] = 3
    net.save("w.caffemodel")
    nets = [
        caffe.Net("net.prototxt", "w.caffemodel", caffe.TEST),
        caffe.Net("net.prototxt", caffe.TEST, weights="w.caffemodel"),
        caffe.Net(network_file="net.prototxt", phase=caffe.TEST, weights="w.caffemodel"),
        caffe.Net(folder / "net.prototxt", caffe.TRAIN, weights=folder / "w.caffemodel"),
    ]
    assert all(same(net, other) for other in nets)
    with pytest.raises(WeightsError, match=r"cannot read none\.caffemodel"):
        caffe.Net("net.prototxt", "none.caffemodel", caffe.TEST)


def test_several_files_of_weights_and_a_name_with_a_comma(caffe, net):
    net.params["ip1"][1].data[...] = 3
    net.save("a,b.caffemodel")
    net.params["ip1"][1].data[...] = 4
    net.save("c.caffemodel")
    other = caffe.Net("net.prototxt", caffe.TEST)
    other.copy_from("a,b.caffemodel")
    assert (other.params["ip1"][1].data == 3).all()
    net.params["ip2"][1].data[...] = 5
    net.save("d.caffemodel")
    other.copy_from("d.caffemodel,c.caffemodel")
    assert (other.params["ip1"][1].data == 4).all(), "the later file wins"


def test_share_with(caffe, net):
    other = caffe.Net("net.prototxt", caffe.TEST)
    other.share_with(net)
    net.params["ip1"][0].data[...] = 9
    assert (other.params["ip1"][0].data == 9).all()


STAGED = """
layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 } } }
layer { name: "a" type: "Power" bottom: "x" top: "a" include { min_level: 1 } }
layer { name: "b" type: "Power" bottom: "x" top: "b" include { stage: "b" } }
layer { name: "t" type: "Power" bottom: "x" top: "t" include { phase: TRAIN } }
"""


@pytest.mark.parametrize(
    ("arguments", "outputs"),
    [
        ({}, ["x"]),
        ({"level": 1}, ["a"]),
        ({"stages": ["b"]}, ["b"]),
        ({"level": 3, "stages": ["b", "c"]}, ["a", "b"]),
        ({"phase": 0}, ["t"]),
    ],
)
def test_level_and_stages(caffe, folder, arguments, outputs):
    (folder / "staged.prototxt").write_text(STAGED)
    assert caffe.Net("staged.prototxt", **{"phase": caffe.TEST, **arguments}).outputs == outputs


def test_a_seed_makes_nets_alike(caffe):
    caffe.set_random_seed(5)
    one, two = (caffe.Net("net.prototxt", caffe.TEST) for _ in range(2))
    caffe.set_random_seed(6)
    three = caffe.Net("net.prototxt", caffe.TEST)
    assert same(one, two)
    assert not same(one, three)


def test_arrays_in_memory(caffe, folder):
    (folder / "memory.prototxt").write_text(
        """layer { name: "m" type: "MemoryData" top: "x" top: "label"
          memory_data_param { batch_size: 2 channels: 3 height: 1 width: 1 } }"""
    )
    net = caffe.Net("memory.prototxt", caffe.TEST)
    net.set_input_arrays(X.reshape(4, 3, 1, 1), np.arange(4, dtype="f4"))
    for rows in (slice(0, 2), slice(2, 4), slice(0, 2)):
        net.forward()
        assert np.array_equal(net.blobs["x"].data[:, :, 0, 0], X[rows])
        assert net.blobs["label"].data.tolist() == list(range(4))[rows]


def test_loss_weights(caffe):
    net = caffe.Net("train.prototxt", caffe.TRAIN)
    assert net.blob_loss_weights["loss"] == 1
    assert net.blob_loss_weights["ip"] == 0
    out = net.forward()
    assert [layer.passes for layer in net.layers] == [1, 1, 1]
    assert list(out) == ["loss"]
    assert np.float32(out["loss"]) > 0
    assert net.outputs == ["loss"]
