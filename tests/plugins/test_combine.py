"""Eltwise: against float64 sums, products and a loop for ties; in place, and what it refuses."""

from functools import partial

import nets
import numpy as np
import pytest
from nets import close, fed

from netdef.errors import NetdefError

RNG = np.random.default_rng(6)


made_of, run = partial(nets.made_of, RNG), partial(nets.run, RNG)


def inputs(n, shape=(2, 3, 4)):
    return {f"x{i}": RNG.standard_normal(shape) for i in range(n)}


@pytest.mark.parametrize("coeff", [(1, 1), (1, -1), (0.5, 0, 3), (2, 1, 1, 1)])
def test_sum(coeff):
    xs = inputs(len(coeff))
    options = "" if set(coeff) == {1} else "eltwise_param { " + " ".join(f"coeff: {c}" for c in coeff) + " }"
    made = made_of("Eltwise", options, xs)
    dy = run(made)
    close(made.blobs["y"].data, sum(c * x for c, x in zip(coeff, xs.values(), strict=True)))
    for c, name in zip(coeff, xs, strict=True):
        close(made.blobs[name].diff, c * dy)


@pytest.mark.parametrize("stable", ["true", "false"])
@pytest.mark.parametrize("n", [2, 3, 4])
def test_product(stable, n):
    xs = inputs(n)
    xs["x0"][0, 0, 0] = 0
    made = made_of("Eltwise", f"eltwise_param {{ operation: PROD stable_prod_grad: {stable} }}", xs)
    dy = run(made)
    close(made.blobs["y"].data, np.prod(list(xs.values()), axis=0))
    for name in xs:
        close(made.blobs[name].diff, dy * np.prod([x for other, x in xs.items() if other != name], axis=0))


def test_maximum_gives_ties_to_the_second_of_the_first_two_and_else_to_the_first():
    """By Caffe's loop: it compares the first two with >, then each further one with > against the largest so far."""
    xs = {f"x{i}": RNG.integers(0, 3, (60, 7)).astype(float) for i in range(4)}
    made = made_of("Eltwise", "eltwise_param { operation: MAX }", xs)
    dy = run(made)
    winner = np.zeros((60, 7), int)
    for at in np.ndindex(60, 7):
        a, b, *rest = (x[at] for x in xs.values())
        winner[at], best = (0, a) if a > b else (1, b)
        for j, value in enumerate(rest, 2):
            if value > best:
                winner[at], best = j, value
    close(made.blobs["y"].data, np.max(list(xs.values()), axis=0))
    for i, name in enumerate(xs):
        close(made.blobs[name].diff, np.where(winner == i, dy, 0))


@pytest.mark.parametrize("options", ["eltwise_param { coeff: 2 coeff: -1 }", "eltwise_param { operation: PROD }"])
def test_eltwise_in_place(options):
    text = 'force_backward: true layer { name: "p" type: "Power" bottom: "x0" top: "u" power_param { scale: 1 } }'
    text += 'layer { name: "e" type: "Eltwise" bottom: "u" bottom: "x1" top: "%s" ' + options + " }"
    xs, results = inputs(2), []
    for top in ("u", "v"):
        made = fed(text % top, xs, dtype=np.float64)
        made.forward()
        made.blobs[top].diff[...] = 3
        made.backward()
        results.append([made.blobs[top].data, made.blobs["x0"].diff, made.blobs["x1"].diff])
    for in_place, apart in zip(*results, strict=True):
        np.testing.assert_array_equal(in_place, apart)


@pytest.mark.parametrize(
    ("kind", "options", "shapes", "message"),
    [
        ("Eltwise", "", [(2, 3), (2, 4)], r"bottom 1 has shape \(2, 4\), bottom 0 has \(2, 3\); want equal shapes"),
        ("Eltwise", "eltwise_param { coeff: 1 }", [(2,), (2,)], "has 1 coeff for 2 bottoms"),
        ("Eltwise", "eltwise_param { operation: PROD coeff: 1 coeff: 2 }", [(2,), (2,)], "for operation SUM alone"),
    ],
)
def test_refusals(kind, options, shapes, message):
    with pytest.raises(NetdefError, match=message):
        made_of(kind, options, {f"x{i}": np.zeros(s) for i, s in enumerate(shapes)})
