"""netdef check: the table, its sums, upgrades, blobs fed by hand."""

import json

import pytest

from netdef.cli.shapes import feed


def rows(text: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split() for line in text.splitlines() if line}


def test_the_table_counts_what_a_hand_counts(run, files):
    done = run("check", "net.prototxt", "--phase", "TRAIN")
    assert (done.status, done.err) == (0, "")
    table = rows(done.out)
    assert table["layer"] == ["layer", "type", "tops", "shapes", "parameters", "multiply-adds", "memory"]
    assert table["data"][2:4] == ["x,label", "4x3x8x8,4"]
    assert table["conv"][:5] == ["conv", "Convolution", "conv", "4x5x6x6", str(5 * 3 * 3 * 3 + 5)]
    assert table["conv"][5].replace(",", "") == str(4 * 5 * 6 * 6 * 3 * 3 * 3)
    assert table["relu"][-2:] == ["0", "B"]  # in place
    assert table["fc"][4:6] == [str(5 * 36 * 2 + 2), "1,440"]
    assert table["loss"][3] == "scalar"
    assert "accuracy" not in table
    assert "net 'small', phase TRAIN: inputs none, outputs loss\n" in done.out


def test_splits_are_the_engine_s_own_affair(run, files):
    done = run("check", "net.prototxt", "--json")
    found = json.loads(done.out)
    assert [layer["name"] for layer in found["layers"]] == ["data", "conv", "relu", "fc", "accuracy", "loss"]
    assert found["layers"][-1]["bottoms"] == ["fc", "label"]
    assert found["outputs"] == ["accuracy", "loss"]


def test_json_says_everything(run, files):
    found = json.loads(run("check", "net.prototxt", "--phase", "TRAIN", "--stage", "a,b", "--level", "1", "--json").out)
    assert (found["file"], found["net"], found["phase"]) == ("net.prototxt", "small", "TRAIN")
    assert (found["level"], found["stages"]) == (1, ["a", "b"])
    conv = found["layers"][1]
    assert conv["plugin"] == "netdef-nn:convolution" and conv["parameter_shapes"] == [[5, 3, 3, 3], [5]]
    assert found["parameters"] == sum(layer["parameters"] for layer in found["layers"])
    assert found["memory"] == found["planned"] + found["weights"]
    assert found["data"] == sum(layer["memory"] for layer in found["layers"])
    assert found["data"] < found["one_by_one"] >= found["planned"]
    assert found["weights"] == found["parameters"] * 8  # float32, and a gradient for each
    assert found["upgraded"] == found["ignored"] == []


def test_a_net_that_is_only_used_has_no_gradients(run, files):
    found = json.loads(run("check", "deploy.prototxt", "--json").out)
    assert found["one_by_one"] == found["data"] and found["weights"] == found["parameters"] * 4


def test_no_parameter_takes_memory(run, files):
    text = (files / "deploy.prototxt").read_text().replace("num_output: 2 ", "num_output: 20000000 ")
    (files / "huge.prototxt").write_text(text)
    assert run("check", "huge.prototxt").status == 0  # 14 GB of weights


def test_settings_ignored_and_upgrades_are_told(run, files):
    (files / "old.prototxt").write_text("""
        input: "x" input_dim: 1 input_dim: 1 input_dim: 4 input_dim: 4
        layers { name: "r" type: RELU bottom: "x" top: "y" relu_param { engine: MKL2017 } }
    """)
    done = run("check", "old.prototxt")
    assert done.status == 0
    assert "netdef: warning: old.prototxt:3:" in done.err and "ignored engine: MKL2017" in done.err
    assert "netdef: note: upgraded: " in done.err and "netdef upgrade old.prototxt NEW" in done.err
    strict = run("check", "old.prototxt", "--strict")
    assert strict.status == 1 and "MKL2017" in strict.err
    found = json.loads(run("check", "old.prototxt", "--json").out)
    assert len(found["ignored"]) == 1 and found["upgraded"]


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ('layer { name: "r" type: "ReLu" bottom: "x" top: "y" }', "unknown layer type 'ReLu'; did you mean 'ReLU'?"),
        ('layer { name: "r" bottom: "x" top: "y" }', "(no type): want a type, one of those that netdef layers lists"),
        ('layer { name: "r" type: "ReLU" bottom: "z" top: "y" }', "nothing before it produces bottom 'z'"),
        ('layer { name: "r" type: "ReLU" bottom: "x" bottom: "x" top: "y" }', "ReLU takes 1 bottom, got 2"),
        (
            'layer { name: "r" type: "Bias" bottom: "x" top: "y" bias_param { axis: 0 filler { type: "xaviour" } } }',
            "unknown filler 'xaviour'; did you mean 'xavier'?",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(run, files, layer, said):
    text = f'layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 2 }} }} }}\n{layer}\n'
    (files / "wrong.prototxt").write_text(text)
    done = run("check", "wrong.prototxt")
    assert done.status == 1
    assert done.err.startswith("netdef: error: wrong.prototxt:2:1: layer 'r'") and said in done.err


def test_a_blob_fed_by_hand_replaces_its_data_layer(run, files):
    text = (files / "net.prototxt").read_text().replace('"DummyData"', '"HDF5Data" hdf5_data_param { source: "gone" }')
    (files / "gone.prototxt").write_text(text)
    assert "gone" in run("check", "gone.prototxt").err
    done = run("check", "gone.prototxt", "--shape", "x=2,3,8,8", "--shape", "label=2")
    assert (done.status, done.err) == (0, "")
    assert rows(done.out)["conv"][3] == "2x5x6x6"
    missing = run("check", "gone.prototxt", "--shape", "x=2,3,8,8")
    assert missing.status == 2 and "also makes 'label'; give --shape label=... too" in missing.err
    wrong = run("check", "gone.prototxt", "--shape", "labl=2")
    assert wrong.status == 2 and "no layer without bottoms makes 'labl'; did you mean 'label'?" in wrong.err


def test_feeding_leaves_the_net_and_other_phases_alone():
    from netdef_proto.netdef_pb2 import NetParameter

    from netdef import prototxt

    net = prototxt.parse(
        'layer { name: "a" type: "Data" top: "x" include { phase: TRAIN } }'
        'layer { name: "b" type: "Data" top: "x" include { phase: TEST } }',
        NetParameter,
    )
    fed = feed(net, {"x": (1, 2)}, "Input", 1, 0, ())
    assert [layer.type for layer in net.layer] == ["Data", "Data"]
    assert [layer.type for layer in fed.layer] == ["Data", "Input"]
    assert list(fed.layer[1].input_param.shape[0].dim) == [1, 2] and fed.layer[1].include == net.layer[1].include


ABSENT = """
layer {{ name: "data" type: "Data" top: "x" top: "label" data_param {{ source: "nowhere" batch_size: 5 }}
  transform_param {{ {} mean_file: "nowhere.binaryproto" }} }}
layer {{ name: "fc" type: "InnerProduct" bottom: "x" top: "fc" inner_product_param {{ num_output: 2 }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }}
"""


def test_an_absent_file_leaves_what_the_prototxt_declares(run, files):
    (files / "a.prototxt").write_text(ABSENT.format("crop_size: 20"))
    done = run("check", "a.prototxt")
    assert done.status == 0 and "5x3x20x20,5" in done.out
    assert done.err == "netdef: note: no data here; shapes of x, label are as the prototxt declares them\n"
    given = run("check", "a.prototxt", "--shape", "x=2,1,4,4", "--shape", "label=2")
    assert (given.status, given.err) == (0, "") and "2x1x4x4,2" in given.out


def test_where_the_prototxt_declares_nothing_shapes_are_asked_for(run, files):
    (files / "a.prototxt").write_text(ABSENT.format(""))
    done = run("check", "a.prototxt")
    assert done.status == 1 and "layer 'data' (Data): no file" in done.err and "--shape BLOB=" in done.err
