"""VideoData: what its prototxts declare, and that nothing is read."""

import pytest
from netdef_ssd import VideoData

from netdef import prototxt, registry
from netdef.errors import NetdefError
from netdef.layer import Context
from netdef.net import Net

CLIP = "source: 'list.txt' batch_size: 4 num_segments: 3"


def layer(options):
    text = f'layer {{ name: "v" type: "VideoData" top: "data" top: "label" {options} }}'
    return prototxt.parse(text, registry.default().schema.message("NetParameter")).layer[0]


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ("data_param { batch_size: 2 } transform_param { resize_param { height: 30 width: 20 } }", (2, 3, 30, 20)),
        ("data_param { batch_size: 2 } transform_param { crop_size: 7 }", (2, 3, 7, 7)),
        ("data_param { batch_size: 2 }", None),
        (f"video_data_param {{ {CLIP} modality: RGB }} transform_param {{ crop_size: 7 }}", (4, 9, 7, 7)),
        (f"video_data_param {{ {CLIP} modality: FLOW new_length: 5 new_height: 8 new_width: 9 }}", (4, 30, 8, 9)),
        (f"video_data_param {{ {CLIP} new_length: 5 }} transform_param {{ crop_size: 7 }}", None),
        (f"video_data_param {{ {CLIP} modality: RGB grayscale: true }} transform_param {{ crop_size: 7 }}", None),
    ],
)
def test_declared_shapes(options, shape):
    found = VideoData(layer(options), Context(declared=registry.default().schema.declared)).declared_shapes()
    assert found == (shape and [shape, shape[:1]])


@pytest.mark.parametrize(
    "transform", ["multi_scale: true", "random_resize_param { min_size: 3 }", "random_aspect_ratio_param { }"]
)
def test_a_layer_that_reads_says_what_it_does_not_do(transform):
    text = f"""layer {{ name: "d" type: "Data" top: "x" data_param {{ source: "nowhere" batch_size: 1 }}
      transform_param {{ {transform} }} }}"""
    net = prototxt.parse(text, registry.default().schema.message("NetParameter"))
    with pytest.raises(NetdefError, match=transform.split(":")[0].split(" ")[0]):
        Net(net, 0)
