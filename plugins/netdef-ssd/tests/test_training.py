"""A small detector learns, and its tests say how well it finds."""

import numpy as np
import pytest
from netdef_ssd import records
from ssd_nets import options

from netdef import prototxt, registry
from netdef.solver.loop import Solver
from netdef.sources import datum, lmdb

HEAD = """
layer { name: "map" type: "Convolution" bottom: "data" top: "map"
  convolution_param { num_output: 8 kernel_size: 8 stride: 8 weight_filler { type: "xavier" } } }
layer { name: "loc" type: "Convolution" bottom: "map" top: "loc"
  convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "conf" type: "Convolution" bottom: "map" top: "conf"
  convolution_param { num_output: 2 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "loc1" type: "Permute" bottom: "loc" top: "loc1" permute_param { order: 0 order: 2 order: 3 } }
layer { name: "conf1" type: "Permute" bottom: "conf" top: "conf1" permute_param { order: 0 order: 2 order: 3 } }
layer { name: "loc2" type: "Flatten" bottom: "loc1" top: "loc2" }
layer { name: "conf2" type: "Flatten" bottom: "conf1" top: "conf2" include { phase: TRAIN } }
layer { name: "prior" type: "PriorBox" bottom: "map" bottom: "data" top: "prior"
  prior_box_param { min_size: 8 variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 } }
layer { name: "loss" type: "MultiBoxLoss" bottom: "loc2" bottom: "conf2" bottom: "prior" bottom: "label" top: "loss"
  propagate_down: true propagate_down: true propagate_down: false propagate_down: false
  include { phase: TRAIN } multibox_loss_param { num_classes: 2 code_type: CENTER_SIZE } }
layer { name: "rows" type: "Reshape" bottom: "conf1" top: "rows" reshape_param { shape { dim: 0 dim: -1 dim: 2 } }
  include { phase: TEST } }
layer { name: "soft" type: "Softmax" bottom: "rows" top: "soft" softmax_param { axis: 2 } include { phase: TEST } }
layer { name: "flat" type: "Flatten" bottom: "soft" top: "flat" include { phase: TEST } }
layer { name: "found" type: "DetectionOutput" bottom: "loc2" bottom: "flat" bottom: "prior" top: "found"
  include { phase: TEST } detection_output_param { num_classes: 2 code_type: CENTER_SIZE confidence_threshold: 0.3 } }
layer { name: "eval" type: "DetectionEvaluate" bottom: "found" bottom: "label" top: "eval"
  include { phase: TEST } detection_evaluate_param { num_classes: 2 } }
"""


@pytest.fixture
def database(tmp_path):
    """White squares on black, one to three in each image."""
    rng, items = np.random.default_rng(0), []
    for i in range(16):
        x, objects = np.zeros((1, 32, 32), np.uint8), []
        for k in rng.choice(16, 1 + i % 3, replace=False):
            top, left = 8 * (k // 4), 8 * (k % 4)
            x[0, top : top + 8, left : left + 8] = 255
            objects.append([1, 0, left / 32, top / 32, (left + 8) / 32, (top + 8) / 32, 0])
        items.append((b"%04d" % i, records.write(datum.write(x), np.array(objects))))
    lmdb.write_records(tmp_path / "squares", items)
    return tmp_path / "squares"


def test_it_learns_to_find_squares(database):
    data = (
        'layer { name: "data" type: "AnnotatedData" top: "data" top: "label" transform_param { scale: 0.004 } '
        f'data_param {{ source: "{database}" batch_size: 4 backend: LMDB }} }}'
    )
    settings = {
        "base_lr": 0.01,
        "momentum": 0.9,
        "lr_policy": '"fixed"',
        "max_iter": 100,
        "display": 0,
        "random_seed": 3,
    }
    settings |= {"test_iter": 4, "test_interval": 100, "eval_type": '"detection"', "show_per_class_result": True}
    text = f"{options(settings)} net_param {{ {data} {HEAD} }}"
    param = prototxt.parse(text, registry.default().schema.message("SolverParameter"), "solver.prototxt")
    solver = Solver(param)
    before = solver.net.forward()
    solver.step(100)
    ((name, precision, _),) = solver.test()
    assert (name, precision.shape) == ("eval", (2,))
    assert precision[0] == precision[1] > 0.95
    assert solver.net.forward() < 0.1 * before
