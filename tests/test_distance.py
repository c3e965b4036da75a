"""How far apart arrays are, against the same in one expression."""

import numpy as np
import pytest

from netdef.distance import BLOCK, Distances, apart, relative

NAN, INF = np.nan, np.inf


@pytest.mark.parametrize(
    ("got", "want", "found"),
    [
        ([1, 2, 4], [1, 2, 4], 0),
        ([1, 2, 5], [1, 2, 4], 0.25),
        ([0, 1e-9], [0, 0], INF),
        ([0, 0], [0, 0], 0),
        ([NAN, 1], [NAN, 1], 0),
        ([0, 1], [NAN, 1], INF),
        ([NAN, 1], [INF, 1], INF),
        ([INF, 2], [INF, 1], 1),
        ([-INF, 1], [INF, 1], INF),
        ([1], [1, 1], INF),
        ([[1, 1]], [1, 1], INF),
        ([], [], 0),
    ],
)
def test_differences_are_parts_of_the_largest_number_wanted(got, want, found):
    assert relative(np.array(got, np.float32), np.array(want, np.float32)) == found


def test_the_scale_is_never_less_than_the_least():
    assert relative(np.array([1.0]), np.array([0.5]), 4) == 0.125


def test_where_both_are_far_the_sign_is_enough():
    got, want = np.array([INF, 1, 3]), np.array([1e30, 1, 2])
    assert apart(got, want) == (INF, 2) and apart(got, want, far=1e18) == (1, 2)
    assert apart(-got, want, far=1e18)[0] == INF


@pytest.mark.parametrize("place", [0, BLOCK - 1, BLOCK, 3 * BLOCK + 4])
@pytest.mark.parametrize("other", [4.0, NAN])
def test_every_block_counts(place, other):
    want = np.random.default_rng(0).uniform(-1, 1, (3 * BLOCK + 5, 1)).astype(np.float32)
    want[BLOCK // 2] = -2
    got = want.copy()
    got[place] = other
    expected = np.abs(got.astype(np.float64) - want).max() / 2 if np.isfinite(other) else INF
    assert relative(got, want) == expected and relative(got.T, want.T) == expected


def test_the_scale_follows_the_largest_of_all_runs():
    seen = Distances(1e-30)
    noise = np.array([1e-6])
    assert seen.relative("a", noise, 0 * noise) > 1
    assert seen.relative("a", np.array([1.0]), np.array([1.0])) == 0
    assert seen.relative("a", noise, 0 * noise) == pytest.approx(1e-3)
    assert seen.relative("b", noise, 0 * noise) > 1
