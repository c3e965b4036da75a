"""Every form of a layer in torch gives what the layer gives, over all its cases: outputs and gradients."""

import json
from pathlib import Path

import numpy as np
import pytest

from netdef import cli, registry, testing
from netdef.report.against import Check, sources
from netdef.testing.bench import Bench

torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is needed by netdef time --against torch")
CASES = [c for f in sorted((Path(__file__).parents[1] / "layers").glob("*.prototxt")) for c in testing.load_cases(f)]
# What torch leaves to chance, does otherwise or not at all, though it has the layer.
OTHERWISE = {
    ("Accuracy", "ties"),
    ("BatchNorm", "train_vector"),
    ("BatchNorm", "test_vector"),
    ("Pooling", "max_empty_window"),
    ("Pooling", "ave_empty_window"),
    ("SoftmaxWithLoss", "ignore_all"),
}


@pytest.fixture(scope="module")
def forms():
    from netdef_plugins.peers.torch_forms import FORMS

    return FORMS


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{Path(case.file).stem}-{case.name}")
def test_a_form_gives_what_the_layer_gives(case, forms):
    kind = Path(case.file).stem
    if kind not in forms:
        pytest.skip(f"torch has no form for {kind}")
    bench = Bench(case, registry.default(), np.float32)
    for name, x in bench.draw().items():
        bench.inputs[name].data[...] = x
    peer = registry.default().get("peers", "torch")(bench.net, sources(bench.net))
    Check(bench.net, peer)
    refused = [peer.lacking[i] for i, x in enumerate(bench.net.layers) if x.type == kind and i in peer.lacking]
    if (kind, case.name) in OTHERWISE:
        assert refused
    else:
        assert all("no form" in why or "channels on axis" in why for why in refused)


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
@pytest.mark.parametrize("net", ["lenet", "cifar10_quick", "cifar10_full"])
def test_known_nets_agree_as_a_whole(shared, capsys, net, phase):
    words = ["time", str(shared / f"bench/nets/{net}.prototxt"), "--against", "torch", "--phase", phase]
    assert cli.main([*words, "--iterations", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["left_out"] == {} and told["difference"] < 1e-4
    assert told["whole"]["ratio"] > 0 and told["layout"] in ("contiguous", "channels_last")
    assert (phase == "TRAIN") == any(x["peer"][told["layout"]]["backward"] > 0 for x in told["layers"])
