"""PriorBox against loops, and the options it refuses."""

import numpy as np
import pytest
import ssd_oracles as oracles
from ssd_nets import fed, options

from netdef import export, registry
from netdef.errors import LayerError
from netdef.registry import Registry, Settings

OPTIONS = {
    "one size": {"min_size": [12]},
    "two sizes with their larger ones": {"min_size": [4, 9], "max_size": [9, 20], "aspect_ratio": [2, 3]},
    "no flip": {"min_size": [6], "aspect_ratio": [2, 0.5, 3], "flip": False},
    "flip of what is there": {"min_size": [6], "aspect_ratio": [1, 2, 2, 0.5]},
    "clipped": {"min_size": [20], "max_size": [33], "clip": True},
    "steps and offset": {"min_size": [6], "step_h": 7, "step_w": 11, "offset": 0.25},
    "fractions do not count": {"min_size": [6.9], "max_size": [13.9], "aspect_ratio": [2]},
}


def net(given, dtype=np.float64):
    layer = f'type: "PriorBox" prior_box_param {{ {options(given)} }}'
    return fed(layer, {"x": np.zeros((2, 3, 3, 4)), "image": np.zeros((2, 3, 30, 44))}, dtype=dtype)


def run(given):
    return net(given).blobs["y"].data


@pytest.mark.parametrize("name", OPTIONS)
def test_boxes(name):
    want = oracles.prior_box(3, 4, 30, 44, OPTIONS[name])
    got = run(OPTIONS[name])
    assert got.shape == (1, 2, want.size)
    assert got[0, 0].reshape(-1, 4) == pytest.approx(want, abs=1e-6)  # options are float32


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("variance", [[], [0.1, 0.2, 0.3, 0.4]])
def test_a_model_counts_them_where_sizes_are_open(name, variance):
    built = net(OPTIONS[name] | {"variance": variance}, np.float32)
    assert export.verify(built, export.build(built, dynamic=["image"])).runs > 5


@pytest.mark.parametrize("size", [{"img_size": 60}, {"img_h": 60, "img_w": 50}])
def test_a_model_may_leave_the_map_open_for_one_image(size):
    built = net({"min_size": [9]} | size, np.float32)
    exported = export.build(built, dynamic=["image"])
    assert [value.name for value in exported.model.graph.input] == ["x"]
    export.verify(built, exported)


def test_more_of_the_small_squares(monkeypatch):
    """FaceBoxes' own count: 21 for a pixel, and where four of them lie."""
    settings = Settings(prefer={"PriorBox": "netdef-ssd:ssd.FaceBoxesPriorBox"})
    found = Registry(settings).load()
    monkeypatch.setattr(registry, "default", lambda: found)
    got = run({"min_size": [32, 64, 128], "step": 32})[0, 0].reshape(3, 4, 21, 4) * [44, 30, 44, 30]
    first = got[0, 0]  # centre 16, 16
    assert first[0] == pytest.approx([-15.5, -15.5, 15.5, 15.5])  # two steps of 8 before it
    assert first[1] == pytest.approx([-7.5, -15.5, 23.5, 15.5])  # then across
    assert first[15] == pytest.approx([8.5, 8.5, 39.5, 39.5])
    assert first[16] == pytest.approx([-31.5, -31.5, 31.5, 31.5])  # one step of 16
    assert first[20] == pytest.approx([-47.5, -47.5, 79.5, 79.5])
    assert got[2, 3] == pytest.approx(first + np.array([96, 64, 96, 64]))


def test_that_is_for_those_who_ask_for_it():
    assert run({"min_size": [32, 64, 128]}).size == 3 * 4 * 3 * 4 * 2


def test_variances():
    assert np.unique(run({"min_size": [4]})[0, 1]) == pytest.approx(0.1)
    assert np.unique(run({"min_size": [4], "variance": [0.3]})[0, 1]) == pytest.approx(0.3)
    four = run({"min_size": [4], "variance": [0.1, 0.2, 0.3, 0.4]})[0, 1].reshape(-1, 4)
    assert four == pytest.approx(np.tile([0.1, 0.2, 0.3, 0.4], (len(four), 1)))


@pytest.mark.parametrize("size", [{"img_size": 60}, {"img_h": 60, "img_w": 60}])
def test_an_image_of_another_size(size):
    want = oracles.prior_box(3, 4, 60, 60, {"min_size": [9]})
    assert run({"min_size": [9]} | size)[0, 0].reshape(-1, 4) == pytest.approx(want)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "min_size"),
        ({"min_size": [4, 5], "max_size": [6]}, "1 max_size for 2 min_size"),
        ({"min_size": [8], "max_size": [6]}, "max_size 6 with min_size 8"),
        ({"min_size": [8], "variance": [0.1, 0.2]}, "variance"),
        ({"min_size": [8], "img_size": 3, "img_h": 3, "img_w": 3}, "img_size beside"),
        ({"min_size": [8], "step_h": 3}, "step_h and step_w"),
    ],
)
def test_refused(given, message):
    with pytest.raises(LayerError, match=message):
        run(given)


def test_boxes_of_given_sizes():
    text = "width: 9.5 width: 20 height: 4 height: 7.25 step: 11 variance: 0.2"
    x = {"x": np.zeros((1, 1, 2, 3)), "image": np.zeros((1, 1, 30, 44))}
    got = fed(f'type: "PriorBoxClustered" prior_box_param {{ {text} }}', x).blobs["y"].data[0, 0].reshape(2, 3, 2, 4)
    assert got[1, 2, 0] * [44, 30, 44, 30] == pytest.approx([27.5 - 4.75, 16.5 - 2, 27.5 + 4.75, 16.5 + 2])
    assert got[1, 2, 1] * [44, 30, 44, 30] == pytest.approx([27.5 - 10, 16.5 - 3.625, 27.5 + 10, 16.5 + 3.625])
    with pytest.raises(LayerError, match="as many of both"):
        fed('type: "PriorBoxClustered" prior_box_param { width: 3 }', x)
