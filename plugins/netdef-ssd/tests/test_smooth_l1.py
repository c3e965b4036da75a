"""SmoothL1Loss against a loop, with and without weights."""

import numpy as np
import pytest
import ssd_oracles as oracles
from ssd_nets import fed

from netdef.errors import LayerError

RNG = np.random.default_rng(0)
A, B, W, V = (RNG.normal(0, 1.5, (3, 4, 2, 2)) for _ in range(4))


def loss(*bottoms, more=""):
    given = dict(zip("abwv", bottoms, strict=False))
    return float(fed(f'type: "SmoothL1Loss" {more}', given, phase=0).blobs["y"].data)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_loss(count):
    inside, outside = (x if count > k else np.ones_like(A) for k, x in ((2, W), (3, V)))
    terms = zip(A.ravel(), B.ravel(), inside.ravel(), outside.ravel(), strict=True)
    want = sum(v * oracles.smooth_l1(w * (a - b)) for a, b, w, v in terms) / 3
    assert loss(*(A, B, W, V)[:count]) == pytest.approx(want)


def test_sigma_moves_where_squares_end():
    flat = np.zeros((1, 1))
    assert loss(flat + 0.2, flat, more="smooth_l1_loss_param { sigma: 2 }") == pytest.approx(4 * 0.04 / 2)
    assert loss(flat + 0.3, flat, more="smooth_l1_loss_param { sigma: 2 }") == pytest.approx(0.3 - 0.125)


def test_refused():
    with pytest.raises(LayerError, match="want them all alike"):
        loss(A, B[:, :2])
    with pytest.raises(LayerError, match="sigma is 0"):
        loss(A, B, more="smooth_l1_loss_param { sigma: 0 }")
