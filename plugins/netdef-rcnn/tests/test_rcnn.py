"""Conformance to netdef's contract, and a detector that trains."""

import numpy as np

from netdef import registry
from netdef.net import Net
from netdef.prototxt import parse
from netdef.testing import check_layer


def test_conforms(netdef_case):
    check_layer(netdef_case)


def test_a_detector_trains_without_propagate_down():
    """Prototxts of Faster R-CNN do not say that no gradient passes a proposal: features learn, scores do not."""
    text = """
        layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 6 dim: 6 } } }
        layer { name: "info" type: "Input" top: "info" input_param { shape { dim: 1 dim: 3 } } }
        layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
          convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: "gaussian" std: 1 } } }
        layer { name: "rpn" type: "Convolution" bottom: "conv" top: "rpn"
          convolution_param { num_output: 6 kernel_size: 1 weight_filler { type: "gaussian" std: 0.1 } } }
        layer { name: "parts" type: "Slice" bottom: "rpn" top: "score" top: "moves" slice_param { slice_point: 2 } }
        layer { name: "rois" type: "Proposal" bottom: "score" bottom: "moves" bottom: "info" top: "rois"
          proposal_param { feat_stride: 8 base_size: 8 min_size: 1 ratio: 1 scale: 2 post_nms_topn: 3 } }
        layer { name: "pool" type: "ROIPooling" bottom: "conv" bottom: "rois" top: "pool"
          roi_pooling_param { pooled_h: 2 pooled_w: 2 spatial_scale: 0.125 } }
        layer { name: "loss" type: "Reduction" bottom: "pool" top: "loss" loss_weight: 1 }"""
    made = Net(parse(text, registry.default().schema.message("NetParameter")), 0, dtype=np.float64, seed=1)
    made.blobs["data"].data[...] = np.random.default_rng(1).normal(size=(1, 2, 6, 6))
    made.blobs["info"].data[...] = [[48, 48, 1]]
    made.forward()
    made.backward()
    assert np.abs(made.params["conv"][0].diff).max() > 0
    assert not made.params["rpn"][0].diff.any()
