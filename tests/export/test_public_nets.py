"""A sample of the public nets, with filler weights, compared in every blob; tests/bench/exports.py takes them all."""

import pytest
from bench.exports import ABSENT, AGREES, export

SAMPLE = [
    "BVLC__caffe__examples__cifar10__cifar10_full",
    "BVLC__caffe__examples__cifar10__cifar10_full_sigmoid_train_test_bn",
    "BVLC__caffe__examples__hdf5_classification__nonlinear_auto_test",
    "BVLC__caffe__examples__mnist__lenet_train_test",
    "BVLC__caffe__examples__net_surgery__conv",
    "BVLC__caffe__examples__pycaffe__linreg",
    "BVLC__caffe__examples__siamese__mnist_siamese_train_test",
    "PaddlePaddle__X2Paddle__test_benchmark__Caffe__FaceDetction__deploy",
    "beniz__deepdetect__examples__caffe__mnist__lenet_deploy",
    "beniz__deepdetect__examples__graph__recurrent",
    "weiliu89__caffe__examples__cifar10__cifar10_full_sigmoid_train_test_bn",
    "ydwen__caffe-face__mnist_example__mnist_deploy",
]


@pytest.mark.parametrize("name", SAMPLE)
def test_a_public_net_agrees_with_onnx_runtime(shared, name):
    what, why = export(shared / "prototxts" / "net" / f"{name}.prototxt")
    if what == ABSENT:
        pytest.skip(why)
    assert what == AGREES, why
