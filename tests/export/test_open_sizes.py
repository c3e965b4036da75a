"""Every layer's cases with an open batch or an open image: equal at other sizes too, or refused by its name."""

from pathlib import Path

import numpy as np
import pytest

from netdef import registry as registries
from netdef.errors import ExportError
from netdef.export import build, verify
from netdef.export.parity import random_feeds
from netdef.layer import TEST
from netdef.testing import load_cases
from netdef.testing.bench import Bench

CASES = sorted((Path(__file__).parents[1] / "layers").glob("*.prototxt"))
OF_ONE_SIZE = {
    "Bias": ["all_axes batch", "two_axes image"],
    "Convolution": ["axis_negative image"],
    "InnerProduct": ["axis_0 batch", "axis_2 image", "default image"],
    "LSTM": ["image_input image"],
    "LSTMUnit": ["fraction batch", "binary batch", "one batch"],
    "Parameter": ["times_x batch", "a_reader_in_place batch"],
    "RNN": ["image_input image"],
    "SPP": [
        f"{name} image" for name in ("ave", "max", "one_image", "one_level", "stochastic_test", "stochastic_train")
    ],
    "Scale": ["all_axes batch", "two_axes image"],
}
"""Parameters as large as the image, sizes that the layer counts with, options that hold one."""


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dynamic", ["batch", "image"])
@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_every_layer_leaves_sizes_open_or_is_refused(file, dynamic):
    registry, refused = registries.default(), set()
    for case in load_cases(file):
        try:
            net = Bench(case, registry, np.float32, phase=TEST).net
            build(net)
        except Exception:
            continue  # what cannot be exported is for other tests
        try:
            exported = build(net, dynamic=[dynamic])
        except ExportError as e:
            assert "layer '" in str(e)
            refused.add(f"{case.name} {dynamic}")
            continue
        exported.sizes = exported.sizes[-1:]
        feeds = [{name: np.abs(x) for name, x in feed.items()} for feed in random_feeds(net, exported)]
        assert verify(net, exported, feeds=[feeds[0], *feeds[-2:]], every=True, threads=1).difference < 1e-4
    assert refused == {name for name in OF_ONE_SIZE.get(file.stem, ()) if name.endswith(dynamic)}
