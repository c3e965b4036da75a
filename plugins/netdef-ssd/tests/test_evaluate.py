"""DetectionEvaluate on detections whose worth is plain to see."""

import numpy as np
import pytest
from ssd_nets import fed, options

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
