"""A net drawn: Graphviz's text holds every layer and blob, and dot is asked only for pictures."""

import os

import pytest
from google.protobuf import text_format

from netdef.errors import NetdefError
from netdef.pycaffe import draw
from netdef.pycaffe.proto import caffe_pb2

NET = """name: "a \\"net\\""
layer { name: "in" type: "Input" top: "x" }
layer { name: "conv" type: "Convolution" bottom: "x" top: "y" convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "relu" type: "ReLU" bottom: "y" top: "y" relu_param { negative_slope: 0.1 } }
layer { name: "pool" type: "Pooling" bottom: "y" top: "z" pooling_param { pool: AVE } include { phase: TEST } }
"""


@pytest.fixture
def net():
    return text_format.Parse(NET, caffe_pb2.NetParameter())


def test_the_text(net, tmp_path):
    draw.draw_net_to_file(net, str(tmp_path / "net.dot"))
    text = (tmp_path / "net.dot").read_text()
    assert text.startswith('digraph "a \\"net\\"" {')
    assert 'label="conv\\n(Convolution)\\nnum_output: 4\\nkernel_size: 3"' in text
    assert "negative_slope: 0.1" in text and "pool: AVE" in text
    lines = [line.strip() for line in text.splitlines()]
    assert {'"x" -> layer1;', 'layer1 -> "y";', '"y" -> layer2 [dir=both];', 'layer3 -> "z";'} <= set(lines)
    assert 'layer2 -> "y";' not in lines
    train = draw.draw_net(net, "TB", "gv", caffe_pb2.TRAIN).decode()
    assert "Pooling" not in train and 'rankdir="TB"' in train


def test_a_picture_is_dot_s_work(net, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NetdefError, match="Graphviz"):
        draw.draw_net_to_file(net, str(tmp_path / "net.png"))
    assert not (tmp_path / "net.png").exists()
    dot = tmp_path / "dot"
    dot.write_text('#!/bin/sh\nif [ "$1" = -Tbad ]; then echo no such kind >&2; exit 1; fi\necho "drawn $1"\n')
    dot.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin:/usr/bin")
    assert draw.draw_net(net, "LR", "svg") == b"drawn -Tsvg\n"
    with pytest.raises(NetdefError, match="no such kind"):
        draw.draw_net(net, "LR", "bad")
