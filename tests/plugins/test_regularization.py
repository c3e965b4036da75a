"""Dropout: how many it drops, that the same pass drops the same, and that nothing else decides."""

import numpy as np
import pytest
from nets import TEST, TRAIN, fed

from netdef.errors import NetdefError


def dropped(x, options="", name="drop", passes=1, **settings):
    """The net after some forward passes of one Dropout layer."""
    text = f'force_backward: true layer {{ name: "{name}" type: "Dropout" bottom: "x" top: "y" {options} }}'
    made = fed(text, {"x": x}, **settings)
    for _ in range(passes):
        made.forward()
    return made


def ratio(r):
    return f"dropout_param {{ dropout_ratio: {r} }}"


@pytest.mark.parametrize("r", [0.1, 0.5, 0.9])
def test_the_share_dropped_is_the_ratio(r):
    n = 200_000
    y = dropped(np.ones(n), ratio(r)).blobs["y"].data
    kept = y != 0
    np.testing.assert_allclose(y[kept], 1 / (1 - r), rtol=1e-6)
    assert abs(kept.mean() - (1 - r)) < 5 * np.sqrt(r * (1 - r) / n)


def test_neighbours_rows_and_passes_are_independent():
    x = np.ones((400, 500))
    a, b = (dropped(x, passes=k).blobs["y"].data != 0 for k in (1, 2))
    pairs = [(a[:, 1:], a[:, :-1]), (a[1:], a[:-1]), (a[:, 64:], a[:, :-64]), (a, b)]
    for u, v in pairs:
        assert abs((u == v).mean() - 0.5) < 5 * 0.5 / np.sqrt(u.size)


def test_backward_drops_what_forward_dropped():
    made = dropped(np.ones((3, 50_000)), passes=2)
    made.blobs["y"].diff[...] = 3
    made.backward()
    np.testing.assert_array_equal(made.blobs["x"].diff, 3 * made.blobs["y"].data)


def test_seed_name_and_pass_decide_and_nothing_else():
    x = np.ones(999)
    y = dropped(x).blobs["y"].data
    np.testing.assert_array_equal(dropped(x).blobs["y"].data, y)
    np.testing.assert_array_equal(dropped(x, dtype=np.float64).blobs["y"].data, y)
    np.testing.assert_array_equal(dropped(x.reshape(3, 333)).blobs["y"].data.reshape(-1), y)
    for other in (dropped(x, seed=2), dropped(x, name="other"), dropped(x, passes=2)):
        assert (other.blobs["y"].data != y).any()


def test_in_place_is_the_same():
    text = 'layer { name: "p" type: "Power" bottom: "x" top: "u" }'
    text += 'layer { name: "drop" type: "Dropout" bottom: "u" top: "u" }'
    made = fed(text, {"x": np.ones(99)})
    made.forward()
    np.testing.assert_array_equal(made.blobs["u"].data, dropped(np.ones(99)).blobs["y"].data)


@pytest.mark.parametrize(("options", "phase"), [("", TEST), (ratio(0), TRAIN), ("phase: TEST", TRAIN)])
def test_the_identity(options, phase):
    x = np.arange(6.0)
    made = dropped(x, options, phase=phase)
    made.blobs["y"].diff[...] = x + 1
    made.backward()
    np.testing.assert_array_equal(made.blobs["y"].data, x)
    np.testing.assert_array_equal(made.blobs["x"].diff, x + 1)


def test_scale_train_false_scales_in_test_instead():
    options = "dropout_param { dropout_ratio: 0.25 scale_train: false }"
    np.testing.assert_allclose(np.unique(dropped(np.ones(99), options).blobs["y"].data), [0, 1], rtol=1e-6)
    made = dropped(np.ones(9), options, phase=TEST)
    made.blobs["y"].diff[...] = 2
    made.backward()
    np.testing.assert_array_equal(made.blobs["y"].data, 0.75)
    np.testing.assert_array_equal(made.blobs["x"].diff, 1.5)


@pytest.mark.parametrize("r", [1, -0.5, 2])
def test_refuses_a_ratio_that_is_none(r):
    with pytest.raises(NetdefError, match=f"dropout_ratio {r}: want 0 or more, and less than 1"):
        dropped(np.ones(3), ratio(r))
