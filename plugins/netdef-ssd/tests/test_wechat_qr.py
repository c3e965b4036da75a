"""A published SSD, the QR code detector of OpenCV's WeChat module, against recorded outputs; skipped without them."""

import os
from pathlib import Path

import numpy as np
import pytest

from netdef import export, read, weights
from netdef.layer import TEST

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def models():
    """The folder with the models, in NETDEF_SHARED, else in `shared` beside the checkout."""
    given = os.environ.get("NETDEF_SHARED")
    folder = (Path(given) if given else Path(__file__).resolve().parents[4] / "shared") / "models" / "wechat_qr"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}; NETDEF_SHARED says where the reference material is")
    return folder


def loaded(models, name):
    net = read.net(models / f"{name}.prototxt", TEST)
    report = weights.load(net.layers, models / f"{name}.caffemodel")
    assert not report.at_filler
    return net


def recorded(models, prefix):
    with np.load(models / "detect_reference.npz") as file:
        return {key.removeprefix(prefix): file[key] for key in file.files if key.startswith(prefix)}


@pytest.fixture(scope="module")
def detect(models):
    return loaded(models, "detect")


def close(got, want):
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE * np.abs(want).max())


def test_every_recorded_blob(models, detect):
    detect.tops[detect.index("data")][0].data[...] = recorded(models, "in/")["data"]  # what follows works in place
    detect.forward()
    wanted = recorded(models, "out/")
    assert set(wanted) == {"detection_output", "mbox_loc", "mbox_conf_flatten", "mbox_priorbox"}
    for name, want in wanted.items():
        close(detect.blobs[name].data, want)


def feeds(models, shape):
    """A picture with a QR code, and one without."""
    rng = np.random.default_rng(0)
    found = recorded(models, "in/")
    return [found, {"data": rng.random(shape, np.float32)}, {"data": np.zeros(shape, np.float32)}]


def test_the_exported_detector_agrees(models, detect):
    exported = export.build(detect)
    parity = export.verify(detect, exported, feeds=feeds(models, detect.blobs["data"].shape), every=True)
    assert parity.difference <= TOLERANCE


def test_the_exported_detector_says_that_nothing_was_found(models, detect):
    feed = {"data": np.zeros(detect.blobs["data"].shape, np.float32)}
    run = export.runtime.session(export.build(detect).model, None, ["detection_output"], 1)
    assert run(feed)["detection_output"].tolist() == [[[[0, -1, -1, -1, -1, -1, -1]]]]


def test_the_exported_super_resolution_agrees(models):
    net = loaded(models, "sr")
    assert export.verify(net, export.build(net), every=True).difference <= TOLERANCE
