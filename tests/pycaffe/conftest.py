"""A small net and its solver as files, for scripts that know pycaffe."""

import pytest

from netdef import pycaffe
from netdef.pycaffe import settings

NET = """name: "small"
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 } } }
layer { name: "ip1" type: "InnerProduct" bottom: "data" top: "ip1"
  inner_product_param {
    num_output: 5 weight_filler { type: "gaussian" std: 1 } bias_filler { type: "constant" value: 1 } } }
layer { name: "relu" type: "ReLU" bottom: "ip1" top: "ip1" }
layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2"
  inner_product_param { num_output: 2 weight_filler { type: "gaussian" std: 1 } } }
"""
TRAINING = """name: "train"
layer { name: "made" type: "DummyData" top: "data" top: "label"
  dummy_data_param {
    shape { dim: 4 dim: 3 } shape { dim: 4 }
    data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "gaussian" std: 1 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
SOLVER = """net: "train.prototxt" test_iter: 2 test_interval: 10 base_lr: 0.01 momentum: 0.9
lr_policy: "inv" gamma: 0.0001 power: 0.75 max_iter: 20 snapshot_prefix: "model"
"""


@pytest.fixture
def caffe():
    return pycaffe


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working directory of each test, with net.prototxt, train.prototxt and solver.prototxt; the seed is fixed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings, "_seed", 7)
    for name, text in (("net", NET), ("train", TRAINING), ("solver", SOLVER)):
        (tmp_path / f"{name}.prototxt").write_text(text)
    return tmp_path
