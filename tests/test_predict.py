"""Predictions of a net and of its model: the same, and those of the formulas."""

import json
from pathlib import Path

import numpy as np
import pytest
from cli.conftest import files, run  # noqa: F401 (fixtures)
from netdef_proto import netdef_pb2

from netdef import read, weights

cv2 = pytest.importorskip("cv2")

NET = """
name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 6 dim: 6 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 4 weight_filler { type: "gaussian" std: 0.01 } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""
WORDS = ["net.prototxt", "--weights", "w.caffemodel", "--json"]
PREPARE = ["--mean", "104,117,123", "--scale", "0.5"]


@pytest.fixture
def net(files):  # noqa: F811
    Path("net.prototxt").write_text(NET)
    found = read.net("net.prototxt", 1, seed=3)
    weights.save("w.caffemodel", "small", found.layers)
    picture = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    cv2.imwrite("a.png", picture)
    Path("labels.txt").write_text("zero\none\ntwo\nthree\n")
    return found, picture


def softmax(net, x):
    w, b = (blob.data.astype(np.float64) for blob in net.params["fc"])
    z = np.exp(x.reshape(len(x), -1) @ w.T + b)
    return z / z.sum(axis=1, keepdims=True)


def prepared(x):
    return (x.astype(np.float64).transpose(0, 3, 1, 2) - np.array([104, 117, 123]).reshape(3, 1, 1)) * 0.5


def check(found, scores):
    order = np.argsort(-scores)
    assert found["indices"] == order[: len(found["indices"])].tolist()
    np.testing.assert_allclose(found["scores"], scores[found["indices"]], rtol=1e-4)


def test_a_picture_is_cropped_and_prepared(run, net):  # noqa: F811
    done = run("predict", *WORDS, *PREPARE, "--resize", 8, "--labels", "labels.txt", "--top", 2, "a.png")
    assert (done.status, done.err) == (0, "")
    (found,) = json.loads(done.out)
    check(found, softmax(net[0], prepared(net[1][None, 1:7, 1:7]))[0])
    assert found["labels"] == [["zero", "one", "two", "three"][i] for i in found["indices"]]


def test_ten_crops_are_averaged(run, net):  # noqa: F811
    (found,) = json.loads(run("predict", *WORDS, *PREPARE, "--resize", 8, "--oversample", "a.png").out)
    crops = [net[1][y : y + 6, x : x + 6] for y, x in ((1, 1), (0, 0), (0, 2), (2, 0), (2, 2))]
    crops += [crop[:, ::-1] for crop in crops]
    check(found, softmax(net[0], prepared(np.stack(crops))).mean(axis=0))


def test_arrays_go_in_as_they_are(run, net):  # noqa: F811
    x = np.random.default_rng(1).standard_normal((3, 3, 6, 6))
    np.save("x.npy", x)
    (found,) = json.loads(run("predict", *WORDS, "x.npy").out)
    for one, scores in zip([found, *found["items"]], softmax(net[0], x), strict=True):
        check(one, scores)


@pytest.mark.parametrize(
    "more", [[], ["--uint8", "--layout", "nhwc", "--channel-order", "rgb"], ["--dynamic", "batch"]]
)
def test_the_model_predicts_the_same(run, net, more):  # noqa: F811
    given = [*PREPARE, *more] if "--uint8" in more else more
    assert run("export", *WORDS[:3], "-o", "net.onnx", *given).status == 0
    own = [] if "--uint8" in more else PREPARE
    (want,) = json.loads(run("predict", *WORDS, *PREPARE, "--resize", 7, "a.png").out)
    (found,) = json.loads(run("predict", "net.onnx", *own, "--resize", 7, "--json", "a.png").out)
    assert found["indices"] == want["indices"]
    np.testing.assert_allclose(found["scores"], want["scores"], rtol=1e-4)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([*WORDS, "nothere.png"], "nothere.png: cannot be read: No such file"),
        ([*WORDS, "net.prototxt"], "net.prototxt: cannot be decoded as an image"),
        ([*WORDS, "--blob", "prb", "a.png"], "a.png: no output 'prb'; did you mean 'prob'?"),
        ([*WORDS, "--resize", "3", "a.png"], "smaller than the input, 6 x 6"),
        (["net.prototxt", "a.png"], "no weights given; add --weights W.caffemodel"),
        (["w.onnx", "a.png"], "cannot open w.onnx as an ONNX model"),
    ],
)
def test_what_cannot_be_predicted_is_told(run, net, words, said):  # noqa: F811
    done = run("predict", *words)
    assert done.status in (1, 2) and said in done.err


def test_a_table_for_people(run, net):  # noqa: F811
    done = run("predict", *WORDS[:3], "--labels", "labels.txt", "--top", 1, "a.png")
    assert done.out.split()[:4] == ["file", "output", "label", "score"]
    assert "a.png" in done.out


@pytest.mark.parametrize("file", ["mean.npy", "mean.binaryproto"])
def test_a_mean_file_is_subtracted_where_the_crop_is_or_at_the_centre(run, net, file):  # noqa: F811
    """A mean image larger than the input counts by its centre, as it stands for the uncropped picture."""
    mean = np.random.default_rng(2).uniform(90, 130, (3, 8, 8)).astype(np.float32)
    np.save("mean.npy", mean)
    blob = netdef_pb2.BlobProto(num=1, channels=3, height=8, width=8, data=mean.ravel())
    Path("mean.binaryproto").write_bytes(blob.SerializeToString())
    (found,) = json.loads(run("predict", *WORDS, "--mean", file, "--resize", 8, "a.png").out)
    x = net[1].astype(np.float64).transpose(2, 0, 1) - mean
    check(found, softmax(net[0], x[None, :, 1:7, 1:7])[0])


def test_arrays_and_ten_crops_through_the_model(run, net):  # noqa: F811
    """More items than the model's batch among them."""
    np.save("x.npy", np.random.default_rng(1).standard_normal((3, 3, 6, 6)))
    assert run("export", *WORDS[:3], "-o", "net.onnx").status == 0
    for words in (["x.npy"], [*PREPARE, "--resize", 8, "--oversample", "a.png"]):
        (want,) = json.loads(run("predict", *WORDS, *words).out)
        (found,) = json.loads(run("predict", "net.onnx", "--json", *words).out)
        for one, other in zip([found, *found["items"]], [want, *want["items"]], strict=True):
            assert one["indices"] == other["indices"]
            np.testing.assert_allclose(one["scores"], other["scores"], rtol=1e-4)


def test_a_gray_net_sees_gray(run, net):  # noqa: F811
    Path("gray.prototxt").write_text(NET.replace("dim: 3 ", "dim: 1 "))
    gray = read.net("gray.prototxt", 1, seed=3)
    weights.save("gray.caffemodel", "small", gray.layers)
    picture = np.random.default_rng(7).integers(0, 256, (6, 6), np.uint8)
    cv2.imwrite("g.png", picture)
    words = ["gray.prototxt", "--weights", "gray.caffemodel"]
    assert run("export", *words, "-o", "gray.onnx").status == 0
    want = softmax(gray, (picture[None, None].astype(np.float64) - 100) * 0.01)[0]
    for given in (words, ["gray.onnx"]):
        (found,) = json.loads(run("predict", *given, "--mean", "100", "--scale", "0.01", "--json", "g.png").out)
        check(found, want)
