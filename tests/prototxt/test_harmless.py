"""Settings of other builds: ignored with a note where no result depends on them, an error elsewhere."""

import logging
from pathlib import Path

import pytest
from netdef_proto.netdef_pb2 import LayerParameter, NetParameter, SolverParameter

from netdef import prototxt, read
from netdef.errors import PrototxtError
from netdef.layer import TEST, TRAIN
from netdef.prototxt import harmless
from netdef.solver import Solver

HARMLESS = [
    "engine: 'MKLDNN'",
    "layer { engine: 'MKL2017' }",
    "layer { convolution_param { engine: MKL2017 } }",
    "layer { convolution_param { engine: 3 } }",
    "layer { relu_param { engine: INTEL } }",
    "layer { batch_norm_param { engine: CAFFE } }",
    "layer { convolution_param { cudnn_flavor: SINGLE_HANDLE } }",
    "layer { convolution_param { cudnn_convolution_algo_seeker: FINDEX } }",
    "layer { quantization_param { bw_params: 8 fl_params: [1, 2] scale_in < x: '}' > } }",
    "mem_param { optimize_train: true }",
    "layer { forward_type: FLOAT16 }",
    "layer { data_param { threads: 4, cache: true } }",
    "layer { convolution_param { conv_mode: DIRECT_DCONV } }",
]
TRAINING = [
    "bn_stats_batch_size: 32",
    "layer { connectivity_mode: DISCONNECTED_GRPWISE }",
    "layer { data_param { shuffle_buffer_size: 10 } }",
    "layer { param { lr_mult: 1 kernel_shape_decay_mult: 0.5 } }",
    "layer { param { block_group_lasso { xdimen: 144 ydimen: 16 } } }",
    "layer { param { force_mult: 1 } }",
    "layer { param { regularization_type: 'L1' } }",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_ignored_with_a_note_and_refused_when_strict(text: str) -> None:
    ignored: list[str] = []
    net = prototxt.parse(f"name: 'n' {text} input: 'x'", NetParameter, "n", ignored=ignored)
    assert (net.name, list(net.input)) == ("n", ["x"])
    assert ignored and ignored[0].startswith("n:1:")
    with pytest.raises(PrototxtError):
        prototxt.parse(text, NetParameter, strict=True)


@pytest.mark.parametrize("text", TRAINING)
def test_what_only_training_depends_on_is_refused_there_and_noted_elsewhere(text: str) -> None:
    ignored: list[str] = []
    net = prototxt.parse(f"name: 'n' {text} input: 'x'", NetParameter, "n", ignored=ignored, training=False)
    assert (net.name, list(net.input), len(ignored)) == ("n", ["x"], 1)
    for settings in ({}, {"training": False, "strict": True}):
        with pytest.raises(
            PrototxtError, match=r"^n:1:.* unknown field '\w+' in \w+; netdef does not train by it \(it"
        ):
            prototxt.parse(text, NetParameter, "n", ignored=[], **settings)


def test_a_solver_refuses_what_a_net_for_use_leaves_out(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(
        """layer { name: 'x' type: 'Input' top: 'x' input_param { shape { dim: 1 dim: 2 } } }
        layer { name: 'y' type: 'InnerProduct' bottom: 'x' top: 'y' param { force_mult: 1 }
          inner_product_param { num_output: 1 } }"""
    )
    (tmp_path / "solver.prototxt").write_text(f"net: '{tmp_path / 'net.prototxt'}' base_lr: 1 lr_policy: 'fixed'")
    assert read.net(tmp_path / "net.prototxt", TEST).params["y"]
    with pytest.raises(PrototxtError, match=r"net\.prototxt:2:.*force_mult.*does not train by it"):
        read.net(tmp_path / "net.prototxt", TRAIN)
    with pytest.raises(PrototxtError, match=r"net\.prototxt:2:.*force_mult.*does not train by it"):
        Solver.read(tmp_path / "solver.prototxt")


def test_what_stands_around_is_read() -> None:
    text = "convolution_param { pad: 1, engine: MKL2017, stride: 2; engine: CUDNN }"
    with pytest.raises(PrototxtError, match="takes one value"):
        prototxt.parse(text, LayerParameter)
    text = "convolution_param { pad: 1, engine: MKL2017, stride: 2; cudnn_flavor\n:\nX # }\n } name: 'a'"
    layer = prototxt.parse(text, LayerParameter, ignored=[])
    assert (layer.name, layer.convolution_param.pad, layer.convolution_param.stride) == ("a", [1], [2])
    assert not layer.convolution_param.HasField("engine")


def test_one_note_for_one_setting() -> None:
    ignored: list[str] = []
    text = "layer { relu_param { engine: MKL2017 } }\n" * 3 + "layer { quantization_param { } }"
    prototxt.parse(text, NetParameter, "n.prototxt", ignored=ignored)
    assert ignored == [
        "n.prototxt:1:22: ignored engine: MKL2017, 3 times: "
        "it chooses the library that computes a layer, not what is computed",
        "n.prototxt:4:9: ignored quantization_param { }: it describes an int8 build of the same float weights",
    ]


def test_notes_are_logged_when_nobody_takes_them(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        prototxt.parse("engine: 'MKLDNN'", NetParameter, "n")
    assert "n:1:1: ignored engine: 'MKLDNN'" in caplog.text


def test_a_list_of_devices() -> None:
    ignored: list[str] = []
    solver = prototxt.parse("device_id: [0,1]\nbase_lr: 1", SolverParameter, ignored=ignored)
    assert (solver.base_lr, solver.HasField("device_id"), len(ignored)) == (1, False, 1)


@pytest.mark.parametrize(
    "text",
    [
        "layer { pooling_param { ceil_mode: false } }",
        "layer { dropout_param { scale_train: false } }",
        "layer { batch_norm_param { bias_term: true } }",
        "layer { data_param { shuffle: true } }",
        "bn_stats_batch_size: 32",
        "layer { convolution_param { engine: CAFE } }",
        "layer { pooling_param { pool: AVE_TF } }",
    ],
)
def test_never_ignored_where_a_result_depends_on_it(text: str) -> None:
    with pytest.raises(PrototxtError):
        prototxt.parse(text, NetParameter, ignored=[])


def test_the_table_holds_no_field_of_our_schema() -> None:
    classes = {"NetParameter": NetParameter, "SolverParameter": SolverParameter, "LayerParameter": LayerParameter}
    messages = LayerParameter.DESCRIPTOR.file.message_types_by_name
    assert set(classes) <= set(messages)
    for message, field in (*harmless.FIELDS, *harmless.TRAINING):
        assert message == "*" or field not in messages[message].fields_by_name, (message, field)
