"""LSTM and RNN against the unrolled nets that they stand for, built from other layers; and the state they carry."""

import numpy as np
import pytest
from nets import TEST, fed

from netdef.errors import NetdefError

T, N, I, S, D = 4, 3, 2, 5, 3
FILLERS = 'weight_filler { type: "uniform" min: -0.8 max: 0.8 } bias_filler { type: "uniform" min: -0.3 max: 0.3 }'


def arrays(static=False, exposed=()):
    """x, cont with breaks in it, and if wanted a static input and a state to begin with."""
    rng = np.random.default_rng(0)
    cont = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 1], [0, 1, 0]], float)
    found = {"x": rng.standard_normal((T, N, I)), "cont": cont}
    if static:
        found["static"] = rng.standard_normal((N, S))
    return found | {f"{name}_0": rng.standard_normal((1, N, D)) for name in exposed}


def layer(kind, given, exposed=()):
    bottoms = " ".join(f'bottom: "{name}"' for name in given)
    tops = 'top: "y" ' + " ".join(f'top: "{name}_T"' for name in exposed)
    options = f"num_output: {D} {FILLERS}" + (" expose_hidden: true" if exposed else "")
    text = f'force_backward: true layer {{ name: "l" type: "{kind}" {bottoms} {tops} recurrent_param {{ {options} }} }}'
    return fed(text, given, dtype=np.float64)


def line(name, kind, bottoms, tops, options=""):
    bottoms, tops = (" ".join(f'{side}: "{n}"' for n in names) for side, names in (("bottom", bottoms), ("top", tops)))
    return f'layer {{ name: "{name}" type: "{kind}" {bottoms} {tops} {options} }}\n'


def dense(name, bottom, top, outputs, axis, *parameters):
    names = " ".join(f'param {{ name: "{p}" }}' for p in parameters)
    options = f"num_output: {outputs} axis: {axis} bias_term: {'true' if len(parameters) > 1 else 'false'}"
    return line(name, "InnerProduct", [bottom], [top], f"{names} inner_product_param {{ {options} }}")


def unrolled(kind, given):
    """The net of a recurrent layer, a few layers for each step, as Caffe builds it."""
    rows, steps = {"LSTM": 4 * D, "RNN": D}[kind], range(1, T + 1)
    text = "force_backward: true\n"
    text += line("conts", "Slice", ["cont"], [f"cont_{t}" for t in steps], "slice_param { axis: 0 }")
    text += dense("inputs", "x", "a", rows, 2, "W_x", "b")
    text += line("input", "Slice", ["a"], [f"a_{t}" for t in steps], "slice_param { axis: 0 }")
    if "static" in given:
        text += dense("static", "static", "flat", rows, 1, "W_s")
        text += line("time", "Reshape", ["flat"], ["s"], f"reshape_param {{ shape {{ dim: [1, -1, {rows}] }} }}")
    for t in steps:
        text += line(f"hold{t}", "Scale", [f"h_{t - 1}", f"cont_{t}"], [f"held_{t}"], "scale_param { axis: 0 }")
        text += dense(f"hidden{t}", f"held_{t}", f"r_{t}", rows, 2, "W_h")
        text += line(f"sum{t}", "Eltwise", [f"r_{t}", f"a_{t}", *["s"] * ("static" in given)], [f"g_{t}"])
        if kind == "LSTM":
            text += line(f"unit{t}", "LSTMUnit", [f"c_{t - 1}", f"g_{t}", f"cont_{t}"], [f"c_{t}", f"h_{t}"])
        else:
            text += line(f"unit{t}", "TanH", [f"g_{t}"], [f"h_{t}"])
            text += dense(f"out{t}", f"h_{t}", f"p_{t}", D, 2, "W_o", "b_o")
            text += line(f"squash{t}", "TanH", [f"p_{t}"], [f"q_{t}"])
    outputs = [f"{'h' if kind == 'LSTM' else 'q'}_{t}" for t in steps]
    text += line("join", "Concat", outputs, ["y"], "concat_param { axis: 0 }")
    return fed(text, given, dtype=np.float64)


STATES = {"LSTM": ("h", "c"), "RNN": ("h",)}
kinds = pytest.mark.parametrize("kind", STATES)


@kinds
@pytest.mark.parametrize("static", [False, True])
def test_is_the_unrolled_net(kind, static):
    given = arrays(static, STATES[kind])
    ours, theirs = layer(kind, given, STATES[kind]), unrolled(kind, given)
    learned = [p.blob for p in theirs.parameters]  # in the order of the unrolled net's layers, which Caffe files have
    assert [b.shape for b in ours.params["l"]] == [b.shape for b in learned]
    for mine, its in zip(ours.params["l"], learned, strict=True):
        its.data[...] = mine.data
    for made in (ours, theirs):
        made.forward()
        made.blobs["y"].diff[...] = np.random.default_rng(1).standard_normal((T, N, D))
        made.backward()
    np.testing.assert_allclose(ours.blobs["y"].data, theirs.blobs["y"].data, rtol=1e-12)
    for name in STATES[kind]:
        np.testing.assert_allclose(ours.blobs[f"{name}_T"].data, theirs.blobs[f"{name}_{T}"].data, rtol=1e-12)
    for mine, its in zip(ours.params["l"], learned, strict=True):
        np.testing.assert_allclose(mine.diff, its.diff, rtol=1e-10, atol=1e-14)
    for name in ["x", *["static"] * static]:
        np.testing.assert_allclose(ours.blobs[name].diff, theirs.blobs[name].diff, rtol=1e-10, atol=1e-14)


@kinds
def test_a_pass_goes_on_where_the_last_one_ended(kind):
    given = arrays()
    given["cont"][...] = 1
    whole = layer(kind, given)
    whole.forward()
    half = layer(kind, {name: a[:2] for name, a in given.items()})
    half.share_with(whole)
    for start in (0, 2):
        for name in ("x", "cont"):
            half.blobs[name].data[...] = given[name][start : start + 2]
        half.forward()
        np.testing.assert_allclose(half.blobs["y"].data, whole.blobs["y"].data[start : start + 2], rtol=1e-12)


@kinds
def test_cont_0_begins_anew(kind):
    given = arrays()
    given["cont"][0] = 0
    made = layer(kind, given)
    made.forward()
    first = made.blobs["y"].data.copy()
    made.forward()
    np.testing.assert_array_equal(made.blobs["y"].data, first)


@kinds
def test_another_number_of_sequences_and_steps_begins_from_zeros(kind):
    given = arrays()
    given["cont"][...] = 1
    made = layer(kind, given)
    made.forward()
    made.blobs["x"].reshape(6, 1, I)
    made.blobs["cont"].reshape(6, 1)
    made.blobs["cont"].data[...] = 1
    made.blobs["x"].data[...] = x = np.random.default_rng(3).standard_normal((6, 1, I))
    made.forward()
    fresh = layer(kind, {"x": x, "cont": np.ones((6, 1))})
    fresh.share_with(made)
    fresh.forward()
    np.testing.assert_array_equal(made.blobs["y"].data, fresh.blobs["y"].data)


def test_no_gradient_passes_through_an_exposed_state():
    made = layer("LSTM", arrays(exposed="hc"), "hc")
    made.forward()
    made.blobs["y"].diff[...] = 1
    made.backward()
    want = [b.diff.copy() for b in made.params["l"]]
    made.clear_param_diffs()
    made.blobs["h_T"].diff[...] = made.blobs["c_T"].diff[...] = 7
    made.backward()
    for blob, diff in zip(made.params["l"], want, strict=True):
        np.testing.assert_array_equal(blob.diff, diff)
    assert not made.blobs["h_0"].diff.any()


def test_lstm_unit_saturates_without_overflow():
    text = 'layer { type: "LSTMUnit" bottom: "c" bottom: "g" bottom: "cont" top: "c1" top: "h1" }'
    gates = np.array([1, 1, 1, 1, -1, -1, -1, -1] * 2).reshape(2, 8)[None] * 1e4
    with np.errstate(all="raise", under="ignore"):
        made = fed(text, {"c": np.ones((1, 2, 2)), "g": gates, "cont": np.ones((1, 2))})
        made.forward()
    np.testing.assert_array_equal(made.blobs["c1"].data, 0)


def test_cost_is_counted_in_multiply_adds():
    shapes = [(T, N, I), (T, N)]
    assert layer("LSTM", arrays()).layers[-1].macs(shapes, []) == T * N * 4 * D * (I + D)
    static = layer("RNN", arrays(static=True)).layers[-1]
    assert static.macs([*shapes, (N, S)], []) == T * N * (D * I + D * D + D * D) + N * D * S


def test_what_does_not_fit_is_refused():
    given = arrays()
    with pytest.raises(NetdefError, match=r"cont has shape \(3, 4\); want \(4, 3\)"):
        layer("LSTM", given | {"cont": given["cont"].T})
    with pytest.raises(NetdefError, match=r"static has shape \(2, 5\); want \(3, 5 inputs\)"):
        layer("RNN", given | {"static": np.ones((2, S))})
    with pytest.raises(NetdefError, match="has 2 bottoms; want 4, or 5 with a static one"):
        layer("LSTM", given, "hc")
    with pytest.raises(NetdefError, match=r"hidden bottoms' shapes are \[\(1, 3, 4\)\]; want \(1, 3, 3\)"):
        layer("RNN", given | {"h_0": np.ones((1, N, D + 1))}, "h")
    with pytest.raises(NetdefError, match="num_output is 0"):
        text = 'layer { type: "RNN" bottom: "x" bottom: "cont" top: "y" }'
        fed(text, given, phase=TEST)
    with pytest.raises(NetdefError, match=r"want \(1, N, D\), \(1, N, 4 D\), \(1, N\)"):
        text = 'layer { type: "LSTMUnit" bottom: "c" bottom: "g" bottom: "cont" top: "c1" top: "h1" }'
        fed(text, {"c": np.ones((1, 2, 3)), "g": np.ones((1, 2, 8)), "cont": np.ones((1, 2))})
