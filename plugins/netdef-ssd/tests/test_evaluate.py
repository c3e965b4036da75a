"""DetectionEvaluate on detections whose worth is plain to see."""

import numpy as np
import pytest
import ssd_oracles as oracles
from netdef_ssd.evaluate import average_precision
from ssd_nets import fed, options

from netdef import registry
from netdef.errors import LayerError

LEFT, RIGHT, MOST = [0, 0, 0.5, 1], [0.5, 0, 1, 1], [0, 0, 0.45, 1]
OBJECTS = [[0, 1, 0, *LEFT, 0], [0, 1, 1, *RIGHT, 1], [1, 2, 0, *LEFT, 0]]


def rows(detections, objects=OBJECTS, passes=1, **given):
    found, wanted = np.array(detections, float)[None, None], np.array(objects, float)[None, None]
    settings = {"num_classes": 3} | given
    text = f'type: "DetectionEvaluate" detection_evaluate_param {{ {options(settings)} }}'
    net = fed(text, {"found": found, "objects": wanted})
    for _ in range(passes - 1):
        net.forward()
    return net.blobs["y"].data[0, 0].tolist()


def test_objects_are_counted_first():
    assert rows([[0, 1, 0.5, *LEFT]])[:2] == [[-1, 1, 2, -1, -1], [-1, 2, 1, -1, -1]]
    assert rows([[0, 1, 0.5, *LEFT]], evaluate_difficult_gt=False)[0] == [-1, 1, 1, -1, -1]


def test_the_better_of_two_detections_of_an_object_is_right():
    found = rows([[0, 1, 0.25, *LEFT], [0, 1, 0.75, *MOST]])
    assert found[2:] == [[0, 1, 0.75, 1, 0], [0, 1, 0.25, 0, 1]]


@pytest.mark.parametrize(
    "detection", [[0, 2, 0.5, *LEFT], [1, 1, 0.5, *LEFT], [7, 1, 0.5, *LEFT], [0, 1, 0.5, 0, 0, 1, 0.3]]
)
def test_wrong(detection):
    assert rows([detection])[2] == [*detection[:3], 0, 1]


def test_a_difficult_object_makes_neither():
    assert rows([[0, 1, 0.5, *RIGHT]], evaluate_difficult_gt=False)[2] == [0, 1, 0.5, 0, 0]
    assert rows([[0, 1, 0.5, *RIGHT]])[2] == [0, 1, 0.5, 1, 0]


def test_rows_come_by_image_and_label_and_those_of_no_image_are_zero():
    found = rows([[1, 2, 0.5, *LEFT], [-1, 1, 0.5, *LEFT], [0, 2, 0.25, *LEFT], [0, 1, 0.125, *LEFT]])
    assert [row[:3] for row in found[2:]] == [[0, 1, 0.125], [0, 2, 0.25], [1, 2, 0.5], [0, 0, 0]]


def test_objects_end_at_the_row_without_an_image():
    assert rows([[0, 1, 0.5, *LEFT]], [[-1] * 8, *OBJECTS])[0] == [-1, 1, 0, -1, -1]


def test_boxes_in_pixels(tmp_path):
    """Two of three columns are shared, and the last is a column too: (1 + 1) / (2 + 1), not 1 / 2."""
    sizes = tmp_path / "sizes.txt"
    sizes.write_text("first 2 2\nsecond 200 200\n")
    given = {"name_size_file": f'"{sizes}"', "overlap_threshold": 0.6}
    objects, found = [[0, 1, 0, 0, 0, 1, 1, 0]], [[0, 1, 0.5, 0, 0, 0.5, 1]]
    assert rows(found, objects, **given)[2][3:] == [1, 0]
    assert rows(found, objects, passes=2, **given)[2][3:] == [0, 1]
    assert rows(found, objects, passes=3, **given)[2][3:] == [1, 0]


def test_a_file_without_sizes(tmp_path):
    sizes = tmp_path / "sizes.txt"
    sizes.write_text("first 2\n")
    with pytest.raises(LayerError, match=r"sizes.txt:1: 'first 2'; want name, height and width"):
        rows([[0, 1, 0.5, *LEFT]], name_size_file=f'"{sizes}"')


def test_the_background_is_refused():
    with pytest.raises(LayerError, match="a detection has the label of the background, 0"):
        rows([[0, 0, 0.5, *LEFT]])


def test_average_precision():
    rng = np.random.default_rng(0)
    found = np.stack([rng.uniform(0, 1, 40), rng.integers(0, 2, 40)], axis=1)
    assert average_precision(found, 30, "Integral") == pytest.approx(oracles.average_precision(found, 30))
    two = np.array([[0.9, 1], [0.8, 0], [0.7, 1]])  # precisions 1, 1/2, 2/3 at recalls 1/2, 1/2, 1
    assert average_precision(two, 2, "Integral") == pytest.approx(1 / 2 + 1 / 3)
    assert average_precision(two, 2, "MaxIntegral") == pytest.approx(1 / 2 + 1 / 3)
    assert average_precision(two, 2, "11point") == pytest.approx((6 + 5 * 2 / 3) / 11)
    assert average_precision(two[:0], 2, "11point") == 0
    with pytest.raises(LayerError, match="want Integral, MaxIntegral or 11point"):
        average_precision(two, 2, "Area")


def test_a_test_reports_the_mean_of_average_precisions():
    """Batches have as many rows as there are detections, and a batch without any has one of label -1."""
    net = fed(
        'type: "DetectionEvaluate" detection_evaluate_param { num_classes: 3 }',
        {"found": np.full((1, 1, 1, 7), -1.0), "objects": np.array(OBJECTS, float)[None, None]},
    )
    layer, batches = net.layers[-1], []
    for detections in ([[0, 1, 0.5, *LEFT], [0, 1, 0.4, *RIGHT]], [[1, 2, 0.9, *LEFT]], [[0, -1] + [-1] * 5]):
        net.blobs["found"].reshape(1, 1, len(detections), 7)
        net.blobs["found"].data[...] = detections
        net.forward()
        batches.append(net.blobs["y"].data.copy())
    # of class 1 two of six objects (three batches of two), both first; of class 2 one of three
    assert layer.overall(batches, None) == pytest.approx((2 / 6 + 1 / 3) / 2)
    solver = registry.default().schema.message("SolverParameter")(show_per_class_result=True)
    assert layer.overall(batches, solver) == pytest.approx([1 / 3, 1 / 3, 1 / 3])
