"""Matching and MultiBoxLoss against loops, and what the loss refuses."""

import numpy as np
import pytest
import ssd_oracles as oracles
from netdef_ssd.matching import match
from ssd_nets import fed, options

from netdef.errors import LayerError

N, P, C = 3, 30, 4


def boxes(rng, count):
    low = rng.uniform(-0.1, 0.7, (count, 2))
    return np.concatenate([low, low + rng.uniform(0.05, 0.4, (count, 2))], axis=1)


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("per_prediction", [False, True])
@pytest.mark.parametrize("objects", [0, 1, 7, 40])
def test_matches(objects, per_prediction, inside):
    rng = np.random.default_rng(objects)
    priors, found = boxes(rng, P), boxes(rng, objects)
    want = oracles.match(priors.tolist(), found.tolist(), 0.3, per_prediction, inside)
    index, overlap = match(priors, found, 0.3, per_prediction, inside)
    assert index.tolist() == want[0]
    assert overlap == pytest.approx(want[1])


def test_the_better_pair_is_matched_first_and_ties_take_the_first():
    twice = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0.5, 1]], float)
    assert match(twice, twice[:1], 0.4, False, False)[0].tolist() == [0, -1, -1]
    assert match(twice, twice[[0, 2]], 0.4, False, False)[0].tolist() == [0, -1, 1]
    assert match(twice, twice[[0, 2]], 0.6, True, False)[0].tolist() == [0, 0, 1]


def inputs(seed=0):
    """Predictions, priors and objects; the last image has none, and one row says so."""
    rng = np.random.default_rng(seed)
    variances = np.tile([0.1, 0.1, 0.2, 0.2], P)
    rows = np.zeros((1, 1, 8, 8))
    rows[0, 0, :, 0] = [0, 1, 1, 0, -1, 0, 1, 0]
    rows[0, 0, :, 1] = rng.integers(1, C, 8)
    rows[0, 0, :, 3:7] = boxes(rng, 8)
    rows[0, 0, :, 7] = rng.integers(0, 2, 8)
    prior = np.stack([boxes(rng, P).ravel(), variances])[None]
    return {"loc": rng.normal(0, 1, (N, 4 * P)), "conf": rng.normal(0, 1, (N, P * C)), "prior": prior, "rows": rows}


def layer(more="", **given):
    settings = f"num_classes: {C} code_type: CENTER_SIZE {options(given)}"
    return f'type: "MultiBoxLoss" {more} multibox_loss_param {{ {settings} }}'


def loss(text, given, **settings):
    return float(fed(text, given, phase=0, **settings).blobs["y"].data)


def wanted(given, mining="MAX_NEGATIVE", code=2, **settings):
    corners, variances = given["prior"][0].reshape(2, P, 4)
    rows = given["rows"][0, 0]
    objects = [[(int(r[1]), r[3:7].tolist()) for r in rows if r[0] == i] for i in range(N)]
    loc, conf = given["loc"].reshape(N, P, 4).tolist(), given["conf"].reshape(N, P, C).tolist()
    settings = {"ratio": 3, "neg_overlap": 0.5, "threshold": 0.5} | settings
    anchors = [corners.tolist()] * N
    return oracles.multibox(loc, conf, anchors, variances.tolist(), objects, code, mining=mining, **settings)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("given", "settings"),
    [
        ({}, {}),
        ({"neg_pos_ratio": 1.5, "neg_overlap": 0.2, "overlap_threshold": 0.35}, {"ratio": 1.5, "neg_overlap": 0.2}),
        ({"mining_type": "HARD_EXAMPLE", "sample_size": 8}, {"mining": "HARD_EXAMPLE", "sample": 8}),
    ],
    ids=["as in SSD", "other numbers", "hard examples"],
)
def test_loss(given, settings, seed):
    x = inputs(seed)
    want = wanted(x, **settings, threshold=given.get("overlap_threshold", 0.5))
    assert loss(layer(**given), x) == pytest.approx(want, rel=1e-6)
    assert loss(layer(**given), x, dtype=np.float32) == pytest.approx(want, rel=1e-4)


@pytest.mark.parametrize(("mode", "divisor"), [("NONE", 1), ("BATCH_SIZE", N), ("FULL", N * P)])
def test_normalization(mode, divisor):
    given = inputs()
    whole = loss(layer("loss_param { normalization: NONE }"), given)
    assert loss(layer(f"loss_param {{ normalization: {mode} }}"), given) == pytest.approx(whole / divisor)


def test_variances_in_the_target_change_where_the_targets_are_not_their_sum():
    given = inputs()
    within = given | {"loc": given["loc"] * given["prior"][0, 1]}
    assert loss(layer(encode_variance_in_target=True), within) == pytest.approx(loss(layer(), given))


def test_no_object_no_loss():
    given = inputs()
    given["rows"][0, 0, :, 0] = -1
    assert loss(layer(), given) == 0
    assert loss(layer(mining_type="NONE"), given) > 0


def test_difficult_objects_may_be_left_out():
    given = inputs()
    easy = given | {"rows": given["rows"][:, :, given["rows"][0, 0, :, 7] == 0]}
    assert loss(layer(use_difficult_gt=False), given) == pytest.approx(loss(layer(), easy))


def test_parts_may_be_left_out():
    given = inputs()
    parts = [loss(layer("propagate_down: {} propagate_down: {}".format(*p) + " propagate_down: false" * 2), given)
             for p in (("true", "false"), ("false", "true"))]  # fmt: skip
    assert sum(parts) == pytest.approx(loss(layer(), given))


def test_all_objects_may_be_of_one_class():
    given = inputs()
    given["conf"] = given["conf"].reshape(N, P, C)[:, :, :2].reshape(N, -1)
    given["rows"][0, 0, :, 1] = 1
    text = layer().replace(f"num_classes: {C}", "num_classes: 2")
    assert loss(text.replace("code_type", "map_object_to_agnostic: true code_type"), given) == loss(text, given)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (layer(share_location=False), "mining without share_location"),
        (layer(do_neg_mining=False), "do_neg_mining contradicts"),
        (layer(background_label_id=4), "background 4"),
        (layer(map_object_to_agnostic=True), "want 2"),
        (layer(mining_type="HARD_EXAMPLE", sample_size=0), "sample_size"),
        (layer(background_label_id=2), "an object has label 2"),
        (layer().replace(f"num_classes: {C}", "num_classes: 3"), r"scores of shape \(3, 120\); want \(3, 90\)"),
    ],
)
def test_refused(text, message):
    given = inputs()
    given["rows"][0, 0, :, 1] = [1, 2, 3, 1, 2, 3, 1, 2]
    with pytest.raises(LayerError, match=message):
        loss(text, given)
