"""Settings of other builds: ignored with a note where no result depends on them, an error elsewhere."""

import logging

import pytest
from netdef_proto.netdef_pb2 import LayerParameter, NetParameter, SolverParameter

from netdef import prototxt
from netdef.errors import PrototxtError
from netdef.prototxt import harmless

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
]


@pytest.mark.parametrize("text", HARMLESS)
def test_ignored_with_a_note_and_refused_when_strict(text: str) -> None:
    ignored: list[str] = []
    net = prototxt.parse(f"name: 'n' {text} input: 'x'", NetParameter, "n", ignored=ignored)
    assert (net.name, list(net.input)) == ("n", ["x"])
    assert ignored and ignored[0].startswith("n:1:")
    with pytest.raises(PrototxtError):
        prototxt.parse(text, NetParameter, strict=True)


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
    for message, field in harmless.FIELDS:
        assert message == "*" or field not in messages[message].fields_by_name, (message, field)
