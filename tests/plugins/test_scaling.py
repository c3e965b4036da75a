"""Scale and Bias: against float64 broadcasting along all kinds of axes, and what they refuse."""

from functools import partial

import nets
import numpy as np
import pytest
from nets import close, fed

from netdef.errors import NetdefError

RNG = np.random.default_rng(6)


made_of, run = partial(nets.made_of, RNG), partial(nets.run, RNG)


ALONG = [  # axis, num_axes, the axes that the operand covers
    (1, 1, [1]),
    (0, -1, [0, 1, 2]),
    (1, -1, [1, 2]),
    (0, 2, [0, 1]),
    (-1, 1, [2]),
    (1, 0, []),
]


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("axis", "num_axes", "covered"), ALONG)
def test_scale(axis, num_axes, covered, bias, learned):
    x = RNG.standard_normal((2, 3, 4))
    shape = tuple(x.shape[a] for a in covered)
    options = f"axis: {axis} bias_term: {str(bias).lower()}" + (f" num_axes: {num_axes}" if learned else "")
    arrays = {"x": x} if learned else {"x": x, "g": RNG.standard_normal(shape)}
    made = made_of("Scale", f"scale_param {{ {options} }}", arrays)
    blobs = made.layers[-1].blobs
    factor = blobs[0] if learned else made.blobs["g"]
    assert [b.shape for b in blobs] == [shape] * (learned + bias)
    dy = run(made)
    aligned = tuple(n if a in covered else 1 for a, n in enumerate(x.shape))
    others = tuple(a for a in range(3) if a not in covered)
    g = factor.data.reshape(aligned)
    close(made.blobs["y"].data, x * g + (blobs[-1].data.reshape(aligned) if bias else 0))
    close(made.blobs["x"].diff, dy * g)
    close(factor.diff, (x * dy).sum(axis=others))
    if bias:
        close(blobs[-1].diff, dy.sum(axis=others))


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize(("axis", "num_axes", "covered"), ALONG)
def test_bias(axis, num_axes, covered, learned):
    x = RNG.standard_normal((2, 3, 4))
    shape = tuple(x.shape[a] for a in covered)
    options = f"axis: {axis}" + (f" num_axes: {num_axes}" if learned else "")
    made = made_of(
        "Bias", f"bias_param {{ {options} }}", {"x": x} if learned else {"x": x, "b": RNG.standard_normal(shape)}
    )
    term = made.layers[-1].blobs[0] if learned else made.blobs["b"]
    assert term.shape == shape
    dy = run(made)
    close(made.blobs["y"].data, x + term.data.reshape([n if a in covered else 1 for a, n in enumerate(x.shape)]))
    close(made.blobs["x"].diff, dy)
    close(term.diff, dy.sum(axis=tuple(a for a in range(3) if a not in covered)))


def test_gradients_add_up_in_parameters_and_not_in_bottoms():
    x = RNG.standard_normal((2, 3))
    made = made_of("Scale", "scale_param { bias_term: true }", {"x": x})
    first = run(made)
    second = run(made)
    close(made.layers[-1].blobs[0].diff, (x * (first + second)).sum(axis=0))
    close(made.layers[-1].blobs[1].diff, (first + second).sum(axis=0))
    close(made.blobs["x"].diff, second * made.layers[-1].blobs[0].data)


def test_scale_is_one_and_bias_zero_unless_filled():
    scale = fed('layer { type: "Scale" bottom: "x" top: "y" scale_param { bias_term: true } }', {"x": np.ones((1, 3))})
    assert [b.data.tolist() for b in scale.layers[-1].blobs] == [[1, 1, 1], [0, 0, 0]]
    bias = fed('layer { type: "Bias" bottom: "x" top: "y" }', {"x": np.ones((1, 3))})
    assert bias.layers[-1].blobs[0].data.tolist() == [0, 0, 0]


@pytest.mark.parametrize("kind", ["Scale", "Bias"])
def test_large_batches_go_in_slabs(kind):
    x = RNG.standard_normal((9, 5, 60, 70))
    made = made_of(kind, "", {"x": x})
    operand = made.layers[-1].blobs[0]
    dy = run(made)
    b = operand.data[:, None, None]
    close(made.blobs["y"].data, x * b if kind == "Scale" else x + b)
    np.testing.assert_allclose(operand.diff, (dy * x if kind == "Scale" else dy).sum(axis=(0, 2, 3)), rtol=1e-9)


@pytest.mark.parametrize(
    ("kind", "options", "shapes", "message"),
    [
        ("Scale", "", [(3,)], "axis 1 is out of range"),
        ("Scale", "scale_param { num_axes: 3 }", [(2, 3)], "num_axes 3: want 0 to 1 from axis 1"),
        ("Scale", "scale_param { num_axes: -2 }", [(2, 3)], "num_axes -2"),
        ("Scale", "", [(2, 3, 4), (4,)], r"a scale of shape \(4,\) does not fit shape \(2, 3, 4\) from axis 1 on"),
        ("Bias", "", [(2, 3), (3, 1)], r"a bias of shape \(3, 1\) does not fit shape \(2, 3\) from axis 1 on"),
    ],
)
def test_refusals(kind, options, shapes, message):
    with pytest.raises(NetdefError, match=message):
        made_of(kind, options, {f"x{i}": np.zeros(s) for i, s in enumerate(shapes)})
