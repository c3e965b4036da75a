"""RefineDet's two layers against loops: boxes relative to a first stage's boxes, and its scores as a gate."""

import numpy as np
import pytest
import ssd_oracles as oracles
from ssd_nets import fed, options

from netdef import export
from netdef.errors import LayerError

N, P, C = 2, 20, 3
STAGES = "loc conf prior arm_conf arm_loc"
NMS = {"threshold": 0.45, "top_k": -1, "score_above": 0.05, "eta": 1.0}


def boxes(rng, count):
    low = rng.uniform(0, 0.6, (count, 2))
    return np.concatenate([low, low + rng.uniform(0.1, 0.4, (count, 2))], axis=1)


def inputs(seed=0):
    rng = np.random.default_rng(seed)
    variances = np.tile([0.1, 0.1, 0.2, 0.2], P)
    rows = np.zeros((1, 1, 5, 8))
    rows[0, 0, :, 0] = [0, 1, 1, 0, -1]
    rows[0, 0, :, 1] = rng.integers(1, C, 5)
    rows[0, 0, :, 3:7] = boxes(rng, 5)
    found = {
        "loc": rng.normal(0, 1, (N, 4 * P)),
        "conf": rng.uniform(0, 1, (N, P * C)),
        "prior": np.stack([boxes(rng, P).ravel(), variances])[None],
        "rows": rows,
        "arm_conf": rng.uniform(0, 1, (N, 2 * P)),
        "arm_loc": rng.normal(0, 1, (N, 4 * P)),
    }
    return {name: x.astype(np.float32).astype(float) for name, x in found.items()}


def anchors(given, code=2):
    """The first stage's boxes, [image][prior]."""
    corners, variances = given["prior"][0].reshape(2, P, 4)
    loc = given["arm_loc"].reshape(N, P, 4)
    return [[oracles.decode(loc[i, p], corners[p], variances[p], code) for p in range(P)] for i in range(N)]


def detection(**given):
    settings = f"num_classes: {C} code_type: CENTER_SIZE confidence_threshold: 0.05 {options(given)}"
    return f'type: "DetectionOutput" detection_output_param {{ {settings} nms_param {{ nms_threshold: 0.45 }} }}'


def for_detection(given):
    return {name: given[name] for name in STAGES.split()}


def rows(given, least):
    """What DetectionOutput should find."""
    first, variances = anchors(given), given["prior"][0, 1].reshape(P, 4)
    loc, sure = given["loc"].reshape(N, P, 4), given["arm_conf"].reshape(N, P, 2)[..., 1] >= least
    at = [[oracles.decode(loc[i, p], first[i][p], variances[p], 2) for p in range(P)] for i in range(N)]
    scores = (given["conf"].reshape(N, P, C) * sure[..., None]).tolist()
    return np.array(oracles.detections([[at[i]] * C for i in range(N)], scores, 0, NMS, -1))


@pytest.mark.parametrize("least", [0.01, 0.6])
def test_detections(least):
    given = inputs()
    want = rows(given, least)
    got = fed(detection(objectness_score=least), for_detection(given)).blobs["y"].data[0, 0]
    assert got.shape == want.shape
    assert got == pytest.approx(want, abs=1e-6)


def test_fewer_are_found_where_the_first_stage_sees_less():
    assert len(rows(inputs(), 0.6)) < len(rows(inputs(), 0.01))


def test_the_model_finds_the_same():
    feeds = [{k: v.astype(np.float32) for k, v in for_detection(inputs(seed)).items()} for seed in range(3)]
    built = fed(detection(objectness_score=0.5, keep_top_k=9), feeds[0], dtype=np.float32)
    export.verify(built, export.build(built), feeds=feeds)


def loss(given, names, **settings):
    text = options({"num_classes": C, "code_type": "CENTER_SIZE", "neg_overlap": 0.9} | settings)
    layer = f'type: "MultiBoxLoss" multibox_loss_param {{ {text} }}'
    return float(fed(layer, {name: given[name] for name in names}, phase=0).blobs["y"].data)


def wanted(given, first, may=None):
    rows, variances = given["rows"][0, 0], given["prior"][0, 1].reshape(P, 4).tolist()
    objects = [[(int(r[1]), r[3:7].tolist()) for r in rows if r[0] == i] for i in range(N)]
    loc, conf = given["loc"].reshape(N, P, 4).tolist(), given["conf"].reshape(N, P, C).tolist()
    return oracles.multibox(loc, conf, first, variances, objects, 2, 3, 0.9, 0.5, "MAX_NEGATIVE", may=may)


@pytest.mark.parametrize("seed", range(3))
def test_loss_of_the_second_stage(seed):
    given = inputs(seed)
    may = (given["arm_conf"].reshape(N, P, 2)[..., 1] >= 0.7).tolist()
    got = loss(given, given, objectness_score=0.7)
    assert got == pytest.approx(wanted(given, anchors(given), may), rel=1e-6)
    assert got != pytest.approx(wanted(given, anchors(given)), rel=1e-6)


def test_loss_of_the_first_stage_has_one_class_of_objects():
    given = inputs()
    one = given | {"conf": np.delete(given["conf"].reshape(N, P, C), 2, axis=2).reshape(N, -1)}
    names = ("loc", "conf", "prior", "rows")
    assert set(given["rows"][0, 0, :, 1]) == {1, 2}
    found = loss(one, names, num_classes=2, objectness_score=0.01)
    one["rows"] = one["rows"].copy()
    one["rows"][0, 0, :, 1] = 1
    assert found == loss(one, names, num_classes=2) == loss(one, names, num_classes=2, objectness_score=0.5)


def test_priors_alone_without_a_third_of_them():
    given = inputs()
    names = ("loc", "conf", "prior", "rows", "arm_conf")
    corners = given["prior"][0, 0].reshape(P, 4).tolist()
    may = (given["arm_conf"].reshape(N, P, 2)[..., 1] >= 0.01).tolist()
    assert loss(given, names) == pytest.approx(wanted(given, [corners] * N, may), rel=1e-6)


@pytest.mark.parametrize(
    ("names", "change", "settings", "message"),
    [
        (STAGES, {"arm_conf": np.zeros((N, P))}, {}, r"scores have shape \(2, 20\); want \(2, 40\)"),
        (STAGES, {"loc": np.zeros((N, 12 * P))}, {"share_location": False}, "share_location"),
        ("loc conf prior rows arm_conf arm_loc", {}, {"mining_type": "HARD_EXAMPLE"}, "HARD_EXAMPLE"),
    ],
)
def test_refused(names, change, settings, message):
    given = {name: (inputs() | change)[name] for name in names.split()}
    with pytest.raises(LayerError, match=message):
        if "rows" in given:
            loss(given, given, **settings)
        else:
            fed(detection(**settings), given)
