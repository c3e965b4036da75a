"""Runs the command line in process, and the files that it is given."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from netdef.cli import main

NET = """
name: "small"
layer {
  name: "data" type: "DummyData" top: "x" top: "label"
  dummy_data_param {
    shape { dim: 4 dim: 3 dim: 8 dim: 8 } shape { dim: 4 }
    data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 }
  }
}
layer {
  name: "conv" type: "Convolution" bottom: "x" top: "conv"
  convolution_param { num_output: 5 kernel_size: 3 weight_filler { type: "xavier" } }
}
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer {
  name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } }
}
layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""

DEPLOY = """
name: "small"
layer { name: "data" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "conv" convolution_param { num_output: 5 kernel_size: 3 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" inner_product_param { num_output: 2 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""

SOLVER = """
net: "net.prototxt" test_iter: 2 test_interval: 5 base_lr: 0.01 lr_policy: "step" gamma: 0.1 stepsize: 5
display: 2 max_iter: 10 snapshot: 5 snapshot_prefix: "small" random_seed: 1
"""


@dataclass
class Outcome:
    status: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """run("check", path): what `netdef check PATH` would leave."""
    for name in ("TRACEBACK", "PLUGIN_FILES", "ALLOW", "PREFER", "STRICT", "ALLOW_CODE"):
        monkeypatch.delenv(f"NETDEF_{name}", raising=False)
    # whether kernels must be compiled, which it would say, is a matter of what ran before
    monkeypatch.setattr(logging.getLogger("netdef.kernels"), "level", logging.WARNING)

    def call(*words: object) -> Outcome:
        capsys.readouterr()
        status = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return call


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with net.prototxt, deploy.prototxt and solver.prototxt."""
    for name, text in (("net", NET), ("deploy", DEPLOY), ("solver", SOLVER)):
        (tmp_path / f"{name}.prototxt").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path
