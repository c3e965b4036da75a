"""Views, Crop and Tile: against NumPy's own indexing, shared memory, other sizes later, and what they refuse."""

import numpy as np
import pytest
from nets import fed

from netdef.errors import NetdefError

RNG = np.random.default_rng(3)


def made_of(kind, options, arrays, dtype=np.float64):
    bottoms = " ".join(f'bottom: "{name}"' for name in arrays)
    text = f'force_backward: true layer {{ name: "l" type: "{kind}" {bottoms} top: "y" {options} }}'
    made = fed(text, arrays, dtype=dtype)
    made.forward()
    return made


def backward(made, dy):
    made.blobs["y"].diff[...] = dy
    made.backward()
    return made.blobs["x"].diff


@pytest.mark.parametrize(
    ("options", "shape", "want"),
    [
        ("", (2, 3, 4, 5), (2, 60)),
        ("flatten_param { axis: 0 }", (2, 3, 4), (24,)),
        ("flatten_param { axis: 1 end_axis: 2 }", (2, 3, 4, 5), (2, 12, 5)),
        ("flatten_param { axis: -2 }", (2, 3, 4), (2, 12)),
        ("flatten_param { axis: 1 end_axis: 1 }", (2, 3, 4), (2, 3, 4)),
    ],
)
def test_flatten(options, shape, want):
    assert made_of("Flatten", options, {"x": np.zeros(shape)}).blobs["y"].shape == want


@pytest.mark.parametrize(
    ("options", "shape", "want"),
    [
        ("shape { dim: 0 dim: -1 dim: 10 }", (2, 3, 4, 5), (2, 6, 10)),
        ("shape { dim: -1 }", (2, 3), (6,)),
        ("shape { }", (1, 1), ()),
        ("axis: 1 num_axes: 1 shape { dim: 2 dim: 4 }", (2, 8, 3), (2, 2, 4, 3)),
        ("axis: 1 shape { dim: 0 dim: 2 dim: -1 }", (2, 3, 8), (2, 3, 2, 4)),
        ("axis: -1 num_axes: 0 shape { dim: 1 }", (2, 3), (2, 3, 1)),
        ("axis: -2 shape { dim: 3 }", (2, 3), (2, 3)),
        ("axis: 0 num_axes: 0 shape { dim: 1 }", (2, 3), (1, 2, 3)),
    ],
)
def test_reshape(options, shape, want):
    made = made_of("Reshape", f"reshape_param {{ {options} }}", {"x": np.zeros(shape)})
    assert made.blobs["y"].shape == want


@pytest.mark.parametrize("kind", ["Flatten", "Reshape"])
def test_views_share_data_and_gradient(kind):
    options = "reshape_param { shape { dim: -1 } }" if kind == "Reshape" else ""
    made = made_of(kind, options, {"x": RNG.standard_normal((2, 3, 4))})
    x, y = made.blobs["x"], made.blobs["y"]
    assert np.shares_memory(x.data, y.data) and np.shares_memory(x.diff, y.diff)
    x.reshape(5, 3, 4)
    x.data[...] = 7
    made.forward()
    assert y.count == 60 and (y.data == 7).all()


CROPS = [
    ("", (2, 3, 6, 7), (2, 3, 4, 5), np.s_[:, :, 0:4, 0:5]),
    ("offset: 2", (2, 3, 6, 7), (2, 3, 4, 5), np.s_[:, :, 2:6, 2:7]),
    ("offset: 2 offset: 1", (2, 3, 6, 7), (9, 9, 4, 5), np.s_[:, :, 2:6, 1:6]),
    ("axis: 1 offset: 1 offset: 0 offset: 2", (2, 3, 6, 7), (2, 2, 4, 5), np.s_[:, 1:3, 0:4, 2:7]),
    ("axis: -1 offset: 3", (2, 7), (5, 2), np.s_[:, 3:5]),
]


@pytest.mark.parametrize(("options", "shape", "reference", "window"), CROPS)
def test_crop(options, shape, reference, window):
    x = RNG.standard_normal(shape)
    made = made_of("Crop", f"crop_param {{ {options} }}", {"x": x, "r": np.ones(reference)})
    np.testing.assert_array_equal(made.blobs["y"].data, x[window])
    made.blobs["x"].diff[...] = made.blobs["r"].diff[...] = 5
    dy = RNG.standard_normal(x[window].shape)
    want = np.zeros(shape)
    want[window] = dy
    np.testing.assert_array_equal(backward(made, dy), want)
    assert not made.blobs["r"].diff.any()


@pytest.mark.parametrize(("axis", "tiles"), [(0, 2), (1, 3), (-1, 4), (1, 1)])
def test_tile(axis, tiles):
    x = RNG.standard_normal((2, 3, 4))
    made = made_of("Tile", f"tile_param {{ axis: {axis} tiles: {tiles} }}", {"x": x})
    want = np.concatenate([x] * tiles, axis=axis)
    np.testing.assert_array_equal(made.blobs["y"].data, want)
    dy = RNG.standard_normal(want.shape)
    np.testing.assert_allclose(backward(made, dy), sum(np.split(dy, tiles, axis=axis)), rtol=1e-12)


def test_other_sizes_later():
    made = made_of("Crop", "crop_param { offset: 1 }", {"x": np.zeros((1, 1, 5, 5)), "r": np.zeros((1, 1, 3, 3))})
    made.blobs["x"].reshape(2, 1, 9, 8)
    made.blobs["r"].reshape(2, 1, 4, 7)
    made.forward()
    assert made.blobs["y"].shape == (2, 1, 4, 7)


@pytest.mark.parametrize(
    ("kind", "options", "shapes", "message"),
    [
        ("Flatten", "flatten_param { axis: 2 end_axis: 1 }", [(2, 3, 4)], "axis 2 comes after end_axis 1"),
        ("Flatten", "flatten_param { axis: 4 }", [(2, 3)], r"axis 4 is out of range for shape \(2, 3\); want -2 to 1"),
        ("Flatten", "flatten_param { end_axis: 2 }", [(2, 3)], "end_axis 2 is out of range"),
        ("Reshape", "reshape_param { shape { dim: 5 } }", [(2, 3)], r"cannot make shape \(2, 3\) of 6 elements \(5,\)"),
        (
            "Reshape",
            "reshape_param { shape { dim: -1 dim: 4 } }",
            [(2, 3)],
            r"cannot make shape \(2, 3\) of 6 elements",
        ),
        ("Reshape", "reshape_param { shape { dim: -1 dim: -1 } }", [(2, 3)], "-1 once at most"),
        ("Reshape", "reshape_param { shape { dim: -2 dim: -3 } }", [(2, 3)], "0 to keep an axis"),
        ("Reshape", "reshape_param { shape { dim: 0 dim: 0 dim: 0 } }", [(2, 3)], "keeps axis 2, which a bottom"),
        ("Reshape", "reshape_param { axis: 3 }", [(2, 3)], "axis 3 is out of range for shape .* want -3 to 2"),
        ("Reshape", "reshape_param { axis: 1 num_axes: 2 }", [(2, 3)], "num_axes 2: want 0 to 1 from axis 1"),
        ("Crop", "", [(1, 1, 4, 4), (1, 1, 5, 4)], "axis 2: 5 from offset 0 on reach past 4"),
        ("Crop", "crop_param { offset: 1 }", [(1, 1, 4, 4), (1, 1, 4, 3)], "axis 2: 4 from offset 1 on reach past 4"),
        ("Crop", "crop_param { axis: 1 offset: 1 offset: 2 }", [(1, 1, 4, 4)] * 2, "2 offsets for 3 axes, 1 to 3"),
        ("Crop", "", [(1, 1, 4, 4), (4, 4)], r"shapes \(1, 1, 4, 4\) and \(4, 4\) differ in their number of axes"),
        ("Tile", "", [(2, 3)], "tiles 0: want 1 or more"),
    ],
)
def test_refusals(kind, options, shapes, message):
    with pytest.raises(NetdefError, match=message):
        made_of(kind, options, {name: np.zeros(shape) for name, shape in zip("xr", shapes, strict=False)})
