"""Split, Concat, Slice, Silence, Filter and BatchReindex: against NumPy's own, with nothing selected, and refusals."""

import numpy as np
import pytest
from nets import fed

from netdef.errors import NetdefError

RNG = np.random.default_rng(4)


def made_of(kind, options, arrays, tops=("y",), dtype=np.float64, after=""):
    ends = " ".join([f'bottom: "{name}"' for name in arrays] + [f'top: "{name}"' for name in tops])
    return fed(
        f'force_backward: true layer {{ name: "l" type: "{kind}" {ends} {options} }}' + after, arrays, dtype=dtype
    )


def run(made, tops=("y",)):
    """Forward, then backward from random diffs, which are returned."""
    made.forward()
    pulls = [RNG.standard_normal(made.blobs[t].shape) for t in tops]
    for t, dy in zip(tops, pulls, strict=True):
        made.blobs[t].diff[...] = dy
    made.backward()
    return pulls


@pytest.mark.parametrize("count", [1, 2, 3])
def test_split(count):
    tops = "abc"[:count]
    made = made_of("Split", "", {"x": RNG.standard_normal((2, 3))}, tops)
    pulls = run(made, tops)
    for t in tops:
        assert np.shares_memory(made.blobs[t].data, made.blobs["x"].data)
    np.testing.assert_allclose(made.blobs["x"].diff, sum(pulls), rtol=1e-12)


def test_a_reader_in_place_leaves_the_other_readers_alone():
    negate = 'layer { name: "n" type: "Power" bottom: "a" top: "a" power_param { scale: -1 } }'
    made = made_of("Split", "", {"x": np.ones(3)}, "ab", after=negate)
    made.forward()
    assert made.blobs["a"].data.tolist() == [-1] * 3 and made.blobs["b"].data.tolist() == [1] * 3


@pytest.mark.parametrize(
    ("options", "axis", "shapes"),
    [
        ("", 1, [(2, 3, 4), (2, 1, 4), (2, 2, 4)]),
        ("concat_param { axis: 0 }", 0, [(2, 3), (1, 3)]),
        ("concat_param { axis: -1 }", 2, [(2, 3, 1), (2, 3, 5)]),
        ("concat_param { concat_dim: 0 }", 0, [(2, 3), (4, 3)]),
        ("", 1, [(2, 3)]),
    ],
)
def test_concat_and_slice(options, axis, shapes):
    xs = {f"x{i}": RNG.standard_normal(s) for i, s in enumerate(shapes)}
    joined = np.concatenate(list(xs.values()), axis=axis)
    points = np.cumsum([s[axis] for s in shapes])[:-1]
    made = made_of("Concat", options, xs)
    (dy,) = run(made)
    np.testing.assert_array_equal(made.blobs["y"].data, joined)
    for name, want in zip(xs, np.split(dy, points, axis=axis), strict=True):
        np.testing.assert_array_equal(made.blobs[name].diff, want)
    options = f"slice_param {{ axis: {axis} {' '.join(f'slice_point: {p}' for p in points)} }}"
    made = made_of("Slice", options, {"x": joined}, list(xs))
    pulls = run(made, list(xs))
    for name, want in xs.items():
        np.testing.assert_array_equal(made.blobs[name].data, want)
    np.testing.assert_array_equal(made.blobs["x"].diff, np.concatenate(pulls, axis=axis))


def test_slice_into_equal_parts_after_reshape():
    made = made_of("Slice", "slice_param { slice_dim: 1 }", {"x": np.zeros((2, 6))}, "abc")
    made.blobs["x"].reshape(1, 9, 2)
    made.forward()
    assert made.blobs["c"].shape == (1, 3, 2)


def test_concat_leaves_out_who_needs_no_gradient():
    text = 'layer { name: "p" type: "PReLU" bottom: "a" top: "u" }'
    text += 'layer { name: "c" type: "Concat" bottom: "u" bottom: "b" top: "y" }'
    text += 'layer { name: "r" type: "Reduction" bottom: "y" top: "loss" loss_weight: 1 }'
    made = fed(text, {"a": np.ones((1, 2)), "b": np.ones((1, 3))})
    made.blobs["b"].diff[...] = 9
    made.forward()
    made.backward()
    assert made.blobs["u"].diff.tolist() == [[1, 1]] and made.blobs["b"].diff.tolist() == [[9, 9, 9]]


def test_silence_gives_zero_gradients():
    made = made_of("Silence", "", {"x": np.ones(3), "z": np.ones((2, 2))}, ())
    for name in "xz":
        made.blobs[name].diff[...] = 1
    made.layers[-1].backward([], [True, False], made.bottoms[-1])
    assert not made.blobs["x"].diff.any() and made.blobs["z"].diff.all()


@pytest.mark.parametrize("chosen", [[1, 0, 2, 0], [0, 0, 0, 0], [1, 1, -1, 0.5]])
def test_filter(chosen):
    x, z, s = RNG.standard_normal((4, 3, 2)), RNG.standard_normal(4), np.array(chosen, float).reshape(4, 1)
    after = 'layer { name: "n" type: "Reduction" bottom: "a" top: "s2" reduction_param { axis: 1 } }'
    made = made_of("Filter", "", {"x": x, "z": z, "s": s}, "ab", after=after)
    pulls = run(made, ("s2", "b"))
    kept = np.flatnonzero(s)
    np.testing.assert_array_equal(made.blobs["a"].data, x[kept])
    np.testing.assert_array_equal(made.blobs["b"].data, z[kept])
    want = np.zeros_like(x)
    want[kept] = pulls[0][:, None, None]
    np.testing.assert_array_equal(made.blobs["x"].diff, want)
    made.blobs["s"].data[...] = 1
    made.forward()
    np.testing.assert_array_equal(made.blobs["a"].data, x)


def test_batch_reindex():
    x, index = RNG.standard_normal((3, 2, 2)), np.array([2, 0, 0, 2, 2.9])
    made = made_of("BatchReindex", "", {"x": x, "i": index})
    (dy,) = run(made)
    np.testing.assert_array_equal(made.blobs["y"].data, x[[2, 0, 0, 2, 2]])
    want = np.zeros_like(x)
    for n, row in zip([2, 0, 0, 2, 2], dy, strict=True):
        want[n] += row
    np.testing.assert_allclose(made.blobs["x"].diff, want, rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "options", "shapes", "tops", "message"),
    [
        (
            "Concat",
            "",
            [(2, 3, 4), (2, 1, 5)],
            "y",
            r"bottom 1 has shape \(2, 1, 5\), bottom 0 has \(2, 3, 4\): only axis 1",
        ),
        ("Concat", "", [(2, 3), (2, 3, 1)], "y", r"bottom 1 has shape \(2, 3, 1\), bottom 0 has \(2, 3\)"),
        ("Concat", "concat_param { axis: 2 }", [(2, 3)], "y", "axis 2 is out of range"),
        ("Concat", "concat_param { axis: 1 concat_dim: 1 }", [(2, 3)], "y", "both axis 1 and concat_dim 1"),
        ("Slice", "", [(2, 5)], "ab", "axis 1 of size 5 is not divisible into 2 equal tops"),
        ("Slice", "slice_param { slice_point: 1 }", [(2, 5)], "abc", "has 1 slice_point for 3 tops; want 2"),
        ("Slice", "slice_param { slice_point: 3 slice_point: 2 }", [(2, 5)], "abc", "want them to grow"),
        ("Slice", "slice_param { slice_point: 5 }", [(2, 5)], "ab", "at most 4"),
        ("Slice", "slice_param { slice_dim: 2 }", [(2, 5)], "ab", "slice_dim 2 is out of range"),
        ("Filter", "", [(2, 3), (2, 1)], "ab", "has 2 tops for 2 bottoms; want 1"),
        ("Filter", "", [(2, 3), (2, 3)], "y", r"the selector \(the last bottom\) has shape \(2, 3\)"),
        ("Filter", "", [(2, 3), (3,)], "y", r"bottom 0 has shape \(2, 3\), the selector \(3,\)"),
        ("BatchReindex", "", [(2, 3), (3, 1)], "y", r"have shapes \(2, 3\) and \(3, 1\)"),
    ],
)
def test_refusals(kind, options, shapes, tops, message):
    with pytest.raises(NetdefError, match=message):
        made_of(kind, options, {f"x{i}": np.zeros(s) for i, s in enumerate(shapes)}, tops)


@pytest.mark.parametrize("wrong", [3, -1, np.nan])
def test_an_index_out_of_range_is_named(wrong):
    made = made_of("BatchReindex", "", {"x": np.zeros((3, 2)), "i": np.array([0, wrong])})
    with pytest.raises(NetdefError, match=rf"index {wrong:g} at \(1,\): want 0 to 2"):
        made.forward()
