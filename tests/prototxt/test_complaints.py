"""Every complaint names file, line and column, what stands there and what would have been right."""

import random
import re
from pathlib import Path

import pytest
from netdef_proto.netdef_pb2 import NetParameter, SolverParameter

from netdef import prototxt
from netdef.errors import PrototxtError

# text (or bytes of a file) -> the whole message behind "n.prototxt"
COMPLAINTS = [
    # names
    (
        "layer {\n  convolution_param { kernal_size: 3 }\n}",
        ":2:23: unknown field 'kernal_size' in ConvolutionParameter; did you mean 'kernel_size'?",
    ),
    (
        "layer { convoluton_param { } }",
        ":1:9: unknown field 'convoluton_param' in LayerParameter; did you mean 'convolution_param'?",
    ),
    (
        "layer { permute_param { } }",
        ":1:9: unknown field 'permute_param' in LayerParameter; install netdef-ssd, which provides it "
        "(in the clone: pip install plugins/netdef-ssd)",
    ),
    (
        "layer { blobs_lr: 1 }",
        ":1:9: unknown field 'blobs_lr' in LayerParameter; did you mean 'blobs'? "
        "It belongs to V1LayerParameter, V0LayerParameter",
    ),
    ("base_lr: 0.1", ":1:1: unknown field 'base_lr' in NetParameter; it belongs to SolverParameter"),
    ("zzz: 1", ":1:1: unknown field 'zzz' in NetParameter"),
    # values
    (
        "layer {\n\tpooling_param { pool: AVG }\n}",
        ":2:24: 'pool' in PoolingParameter takes MAX, AVE, STOCHASTIC (did you mean AVE?), got AVG",
    ),
    ("layer { pooling_param { pool: 7 } }", ":1:31: 'pool' in PoolingParameter takes MAX, AVE, STOCHASTIC, got 7"),
    ("layer { phase: 'TEST' }", ":1:16: 'phase' in LayerParameter takes TRAIN, TEST (did you mean TEST?), got 'TEST'"),
    (
        "layers { type: CONVOLUTON }",
        ":1:16: 'type' in V1LayerParameter takes one of 40 names (did you mean CONVOLUTION?), got CONVOLUTON",
    ),
    ("layer { type: Convolution }", ":1:15: 'type' in LayerParameter takes text in quotes, got Convolution"),
    ("name: 3", ":1:7: 'name' in NetParameter takes text in quotes, got 3"),
    ("force_backward: yes", ":1:17: 'force_backward' in NetParameter takes true or false, got yes"),
    ("input_dim: 1 input_dim: 2.5", ":1:25: 'input_dim' in NetParameter takes a whole number, got 2.5"),
    ("input_dim: 9999999999", ":1:12: 'input_dim' in NetParameter takes a whole number, got 9999999999"),
    (
        "layer { convolution_param { pad: -1 } }",
        ":1:34: 'pad' in ConvolutionParameter takes a whole number from 0 to 4294967295, got -1",
    ),
    (
        "layer { relu_param {\nnegative_slope: 0,1 } }",
        ":2:21: expected a value after '1', got '}'",
    ),
    ("layer { loss_weight: x }", ":1:22: 'loss_weight' in LayerParameter takes a number, got x"),
    ("layer { relu_param: 1 }", ":1:21: 'relu_param' in LayerParameter takes a block { }, got 1"),
    ("name { }", ":1:6: 'name' in NetParameter takes text in quotes, got a block"),
    ('name: "\\xff"', ":1:7: 'name' in NetParameter takes text in quotes, got \"\\xff\""),
    # once
    ('name: "a"\nname: "b"', ":2:1: 'name' in NetParameter takes one value, but line 1 gives it already"),
    ('name: ["a"]', ":1:1: 'name' in NetParameter takes one value, not a list"),
    (
        "layer { relu_param { } relu_param { } }",
        ":1:24: 'relu_param' in LayerParameter takes one value, but line 1 gives it already",
    ),
    # required
    (
        "layer { }\nlayer { clip_param { min: 0 } }",
        ":2:1: 'max' is missing: layer[1].clip_param.max must be given",
    ),
    # shape of the text
    ("layer {\n  relu_param {\n  }\n", ":4:1: the file ends where '}' is missing for the '{' of line 1"),
    ("layer { bottom: ['a'", ":1:21: the file ends where ']' is missing for the '[' of line 1"),
    ("layer { bottom: ['a' 'b' 3] }", ":1:26: expected ',' or ']' in the list, got '3'"),
    ("layer { } }", ":1:11: expected the name of a setting, got }"),
    ('layer { name: "a\n}', ":1:15: text that does not end on its line: a closing quote is missing"),
    ("name 'a'", ":1:6: expected ':' after 'name'"),
    ("name:", ":1:6: expected a value after 'name', got the end of the file"),
    ("name: }", ":1:7: expected a value after 'name', got '}'"),
    ("name = 'a'", ":1:6: unexpected character '='"),
    ("[x.y]: 1", ":1:1: expected the name of a setting, got ["),
    ("layer {" * 101, ":1:707: blocks nested deeper than 100"),
    ("layer {" + "relu_param <" * 200, ":1:1207: blocks nested deeper than 100"),
    # bytes
    (b'name: "caf\xe9"', ":1:11: byte 0xe9 is not UTF-8"),
    (b"name: \xe9", ":1:7: unexpected character byte 0xe9"),
    (b"", ": no setting in this file; want a NetParameter"),
    (b"# only this\n", ": no setting in this file; want a NetParameter"),
    ("name: 'a'".encode("utf-16"), ": UTF-16 text; save it as UTF-8"),
    (
        NetParameter(name="net").SerializeToString() + b"\0",
        ": binary (byte 0x03 at 1), want prototxt text; weights and means are binary, nets and solvers are text",
    ),
]


@pytest.mark.parametrize(("text", "message"), COMPLAINTS)
def test_complaint(text: str | bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("n.prototxt").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(PrototxtError) as caught:
        prototxt.read("n.prototxt", NetParameter)
    assert str(caught.value) == f"n.prototxt{message}"


def test_missing_file_and_directory(tmp_path: Path) -> None:
    with pytest.raises(PrototxtError, match=r"none\.prototxt: No such file"):
        prototxt.read(tmp_path / "none.prototxt", NetParameter)
    with pytest.raises(PrototxtError, match="directory"):
        prototxt.read(tmp_path, NetParameter)


def test_large_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.prototxt"
    with path.open("wb") as file:
        file.truncate(prototxt.MAX_BYTES + 1)  # sparse: takes no room
    with pytest.raises(PrototxtError, match="larger than 64 MiB"):
        prototxt.read(path, NetParameter)


def test_nothing_but_our_own_error_whatever_the_bytes(tmp_path: Path) -> None:
    """Damaged nets either read or are refused with a place."""
    good = (
        b'name: "n" # c\ninput: "x" input_dim: [1, 3, 4, 4]\nlayer {\n  name: \'a\' type: "Convolution"\n'
        b"  convolution_param { num_output: 0x10 pad: 1 engine: MKL2017 weight_filler < std: 1e-2 > }\n}\n"
        b'layers { layer { type: "conv" } }\n'
    )
    junk = [b'"', b"'", b"{", b"}", b"<", b"[", b"]", b":", b",", b"#", b"\\", b"\\x", b"\\ud800", b"\\400", b"\xff"]
    junk += [b"\0", b"-", b".", b"1e999", b"nan", b"08", b"\xc2\xa0", b"\xe2\x80\xa8", b"{" * 150, b"[" * 90, b"\r"]
    rng, path = random.Random(1), tmp_path / "f"
    for _ in range(1500):
        text = bytearray(good)
        for _ in range(rng.randrange(1, 5)):
            at = rng.randrange(len(text) + 1)
            text[at : at + rng.choice([0, 0, 1, 20])] = rng.choice(junk) if rng.random() < 0.8 else b""
        path.write_bytes(text)
        try:
            prototxt.read(path, rng.choice([NetParameter, SolverParameter]), ignored=[])
        except PrototxtError as error:
            assert re.match(r"(:\d+:\d+)?: \S", str(error).removeprefix(str(path))), error
